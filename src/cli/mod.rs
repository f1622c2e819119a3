//! The command line: one binary, one sub-command for each thing it does.

mod bench;
mod check_config;
mod command;
mod dev;
mod key;
mod openapi;
mod serve;
#[cfg(test)]
mod tests;
mod verify_trace;
mod watch;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Config, ConfigError, Environment};

pub use bench::BenchArgs;
pub use check_config::CheckConfigArgs;
use command::EXIT_CODES;
pub use command::{Cli, Command};
pub use dev::DevArgs;
pub use key::{KeyArgs, KeyCommand};
pub use openapi::{OpenApiArgs, OpenApiFormat};
pub use serve::ServeArgs;
pub use verify_trace::VerifyTraceArgs;
pub use watch::WatchArgs;

/// Where the configuration comes from.
#[expect(clippy::doc_markdown, reason = "these docs are printed as help, where backticks would show")]
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration file: TOML, YAML or JSON by its extension. It must exist when it is named [env: QUOTA_CONFIG]
    #[arg(long = "config", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads and checks the configuration: this file, else that of `QUOTA_CONFIG`, under the given
    /// environment. An empty `QUOTA_CONFIG` is how a deployment template says that there is no file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self, env: &Environment) -> Result<Config, ConfigError> {
        let file = self.file.as_deref().or_else(|| env.get("QUOTA_CONFIG").map(Path::new));
        Config::load(file, env)
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// All went well.
    Fine = 0,
    /// What was checked does not hold.
    DoesNotHold = 1,
    /// Bad usage, input or configuration.
    Usage = 64,
    /// Redis, or the node to watch, cannot be reached.
    Unavailable = 69,
    /// Anything else.
    Internal = 70,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An argument or an input was refused.
    #[error("{0}")]
    Usage(String),
    /// Redis, or the node to watch, cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    /// How the process ends.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::Usage,
            Self::Unavailable(_) => ExitCode::Unavailable,
            Self::Internal(_) => ExitCode::Internal,
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<crate::telemetry::TelemetryError> for CliError {
    fn from(error: crate::telemetry::TelemetryError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Runs a command.
///
/// # Errors
/// Whatever kept it from its end; [`CliError::exit_code`] says how the process ends then.
pub async fn run(cli: Cli, env: &Environment) -> Result<ExitCode, CliError> {
    let out = &mut std::io::stdout();
    match cli.command {
        Command::Serve(args) => serve::run(args, env).await.map(|()| ExitCode::Fine),
        Command::Dev(args) => dev::run(args, env).await.map(|()| ExitCode::Fine),
        Command::Bench(args) => bench::run(args, env).await.map(|()| ExitCode::Fine),
        Command::Openapi(args) => openapi::run(args, out).map(|()| ExitCode::Fine),
        Command::CheckConfig(args) => check_config::run(args, env, out).map(|()| ExitCode::Fine),
        Command::VerifyTrace(args) => verify_trace::run(args, out),
        Command::Watch(args) => watch::run(args, env, out).await.map(|()| ExitCode::Fine),
        Command::Key(args) => key::run(args, out).map(|()| ExitCode::Fine),
    }
}
