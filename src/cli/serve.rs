//! `serve`: one node.

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    let mut stop = StopSignal::listen()?;
    let mut node = tokio::select! {
        started = Node::start(&config, args.wait) => started?,
        () = stop.received() => return Ok(()),
    };
    tokio::select! {
        () = stop.received() => {}
        error = node.failed() => return Err(CliError::Internal(format!("the server failed: {error}"))),
    }
    node.stop().await;
    Ok(())
}

/// SIGTERM or Ctrl-C, listened for before anything answers: a signal that nobody listens for ends the process on the
/// spot, with whatever is in flight.
pub(super) struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, CliError> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
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
