//! `serve`: one node.

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, ConfigArgs};
use crate::{
    app::{Node, StartError},
    config::Environment,
    telemetry,
};

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
    let mut node = Node::start(&config, args.wait).await?;
    tokio::select! {
        stopped = stop_signal() => stopped?,
        error = node.failed() => return Err(CliError::Internal(format!("the server failed: {error}"))),
    }
    node.stop().await;
    Ok(())
}

/// Waits for SIGTERM or Ctrl-C.
pub(super) async fn stop_signal() -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(_) => Self::Unavailable(error.to_string()),
            StartError::Listen { .. } | StartError::Refused(_) => Self::Usage(error.to_string()),
            StartError::Internal(_) => Self::Internal(error.to_string()),
        }
    }
}
