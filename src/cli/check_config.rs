//! `check-config`: is the configuration sound, and what is it in the end?

use std::io::Write;

use clap::Args;

use super::{CliError, ConfigArgs};
use crate::config::Environment;

/// Arguments of `check-config`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct CheckConfigArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
}

pub(super) fn run(args: CheckConfigArgs, env: &Environment, out: &mut impl Write) -> Result<(), CliError> {
    let config = args.config.load(env)?;
    out.write_all(config.to_toml().as_bytes())?;
    out.flush()?;
    let warnings = config.warnings.iter().cloned().chain(config.check_serve().err().map(|error| error.to_string()));
    let mut err = std::io::stderr().lock();
    for warning in warnings {
        writeln!(err, "warning: {warning}")?;
    }
    Ok(())
}
