//! The binary: parse the command line, run the command, turn its end into an exit code.

use std::{io::Write, process};

use clap::Parser;
use quota_coordinator::{
    cli::{self, Cli, CliError, ExitCode},
    config::Environment,
};

/// A request makes and drops some dozens of small values; under the system's allocator that took a fifth of a node's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way, too, and are no faults.
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Fine };
            let _ = error.print();
            return code.into();
        }
    };
    let code = run(cli).unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "{error}");
        error.exit_code()
    });
    code.into()
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    // Must be chosen before the first TLS connection; a second call would be harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli::run(cli, &Environment::of_process()))
}
