//! `bench`: measurements.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::CliError;
use crate::config::Environment;

/// Arguments of `bench`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct BenchArgs {
    /// How long to measure each thing.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// Callers at the same time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub callers: u32,
    /// Write the figures as JSON to this file (`-` for standard output, then without the table).
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[expect(clippy::unused_async, reason = "measurements await")]
pub(super) async fn run(_args: BenchArgs, _env: &Environment) -> Result<(), CliError> {
    Err(CliError::Internal("bench: the measurements are not part of this build yet".to_owned()))
}
