//! `serve`: one node.

use std::time::Duration;

use clap::Args;

use super::{CliError, ConfigArgs};
use crate::{config::Environment, telemetry};

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct ServeArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How long to try to reach Redis before giving up with exit code 69.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub wait: Duration,
}

pub(super) async fn run(args: ServeArgs, env: &Environment) -> Result<(), CliError> {
    let config = args.config.load(env)?;
    config.check_serve()?;
    telemetry::init(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Err(CliError::Internal("serve: the node is not part of this build yet".to_owned()))
}
