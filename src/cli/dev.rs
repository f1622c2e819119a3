//! `dev`: everything on this machine, with nothing to configure.

use clap::Args;

use super::{CliError, ConfigArgs};
use crate::config::Environment;

/// Arguments of `dev`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct DevArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Nodes to run.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub nodes: u16,
    /// Port of the first node; the others follow.
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Pretend calls a second, over all nodes.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub traffic: u32,
}

pub(super) async fn run(args: DevArgs, env: &Environment) -> Result<(), CliError> {
    let _config = args.config.load(env)?;
    Err(CliError::Internal("dev: the nodes are not part of this build yet".to_owned()))
}
