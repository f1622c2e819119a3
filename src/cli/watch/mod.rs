//! `watch`: a live view of pools in the terminal, over the WebSocket of any node.
//!
//! [`link`] keeps the connection and tells what happens to it; [`model`] is what is known from that;
//! [`draw`] shows it, and [`screen`] is what the one who watches has chosen to see.

mod address;
mod backoff;
mod draw;
mod ending;
mod link;
mod message;
mod model;
mod plain;
mod quantity;
mod resume;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod theme;

use std::{fmt, io::Write, str::FromStr};

use clap::Args;
use tokio::sync::mpsc;

use self::{link::Link, model::Model, resume::Resume, theme::Theme};
use super::CliError;
use crate::config::Environment;

pub use address::Address;

/// Signals that may wait to be shown; the connection is not read meanwhile.
const WAITING: usize = 256;

/// A key on the command line: not shown when arguments are.
#[derive(Clone)]
pub struct KeyArg(String);

impl FromStr for KeyArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for KeyArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyArg(…)")
    }
}

/// Arguments of `watch`.
#[expect(clippy::doc_markdown, reason = "these docs are printed as help, where backticks would show")]
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct WatchArgs {
    /// Any node, or the load balancer before them.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: Address,
    /// The pool; give it several times for several pools. The node's first pool when left out.
    #[arg(long = "pool", value_name = "POOL")]
    pub pools: Vec<String>,
    /// Only this workspace.
    #[arg(long, value_name = "WORKSPACE")]
    pub workspace: Option<String>,
    /// The API key. Others on this machine can see arguments: better set the variable [env: QUOTA_KEY]
    #[arg(long, value_name = "KEY")]
    pub key: Option<KeyArg>,
    /// Use no colours; the same as a variable NO_COLOR that is not empty.
    #[arg(long)]
    pub no_color: bool,
    /// Print the present state as plain text and exit; needs no terminal.
    #[arg(long)]
    pub once: bool,
}

pub(super) async fn run(args: WatchArgs, env: &Environment, out: &mut impl Write) -> Result<(), CliError> {
    if !args.once && !terminal::is_there() {
        let error = "watch needs a terminal for its input and output; use --once to print the present state";
        return Err(CliError::Usage(error.to_owned()));
    }
    let mut pools: Vec<String> = Vec::new();
    for pool in args.pools {
        if !pools.contains(&pool) {
            pools.push(pool);
        }
    }
    let key = args.key.map(|KeyArg(key)| key).or_else(|| env.get("QUOTA_KEY").map(str::to_owned));
    let model = Model::new(args.url.to_string(), args.workspace.clone(), &pools);
    let (to_model, signals) = mpsc::channel(WAITING);
    let link = Link::new(args.url, key, Resume::new(&pools, args.workspace), to_model);
    if args.once {
        return plain::once(model, link, signals, out).await;
    }
    let theme = Theme { colour: !args.no_color && env.get("NO_COLOR").is_none() };
    terminal::watch(model, link, signals, theme).await
}
