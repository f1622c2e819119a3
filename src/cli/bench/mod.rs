//! `bench`: measurements, each beside its target.
//!
//! Absolute figures of a shared machine say little, so the tables show ratios: what is compared ran in turns in the
//! same run, against the same server, and the median of the rounds counts. CPU time is that of the process in question
//! alone, as the kernel counts it.

mod admission;
mod cpu;
mod exact_log;
mod load;
mod machine;
mod peer;
mod resp;
mod rounds;
mod script;
mod table;

use std::{io::Write, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::CliError;
use crate::{config::Environment, private_redis::PrivateRedis};
use table::Table;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The admission script on Redis: cost, memory, replication, exactness.
    Script,
    /// Admission over HTTP: CPU, latency, script calls, three nodes on one limit, memory.
    Admission,
    /// The same load on a fixed-window limiter in Node.js (rate-limiter-flexible, ioredis, fastify); needs `npm` and
    /// its registry.
    Peer,
}

/// Arguments of `bench`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct BenchArgs {
    /// What to measure; may be given more than once. Without it: script and admission.
    #[arg(long, value_name = "PART", value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,
    /// How long each thing is measured, over all rounds.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub duration: Duration,
    /// Rounds, in which everything that is compared takes its turn.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=101))]
    pub rounds: u32,
    /// Of what takes turns, only what has this in its name; for profilers.
    #[arg(long, value_name = "TEXT")]
    pub matching: Option<String>,
    /// Connections of the load, where the table does not name another number.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=1024))]
    pub callers: u32,
    /// Write the figures as JSON to this file (`-` for standard output, then without the table).
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if parsed < Duration::from_millis(100) { Err("must be at least 100ms".to_owned()) } else { Ok(parsed) }
}

impl BenchArgs {
    fn wants(&self, part: Part) -> bool {
        if self.only.is_empty() { part != Part::Peer } else { self.only.contains(&part) }
    }

    /// Does this take turns?
    fn takes(&self, name: &str) -> bool {
        self.matching.as_deref().is_none_or(|text| name.contains(text))
    }

    /// One turn of one thing.
    fn slot(&self) -> Duration {
        self.duration / self.rounds
    }
}

pub(super) async fn run(args: BenchArgs, _env: &Environment) -> Result<(), CliError> {
    let redis = private_redis(&[]).await?;
    let mut table = Table::new(machine::describe(&redis).await?);
    if args.wants(Part::Script) {
        script::run(&args, &redis, &mut table).await?;
    }
    if args.wants(Part::Admission) {
        admission::run(&args, &redis, &mut table).await?;
    }
    if args.wants(Part::Peer) {
        peer::run(&args, &redis, &mut table).await?;
    }
    let out = &mut std::io::stdout();
    match args.json.as_deref() {
        Some(path) if path.as_os_str() == "-" => writeln!(out, "{}", table.to_json()?)?,
        Some(path) => {
            std::fs::write(path, table.to_json()?)?;
            table.print(out)?;
        }
        None => table.print(out)?,
    }
    Ok(out.flush()?)
}

/// A server of our own: its CPU time must be nobody else's.
async fn private_redis(arguments: &[&str]) -> Result<PrivateRedis, CliError> {
    let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    let options = crate::private_redis::Options { arguments, ..Default::default() };
    PrivateRedis::start_with(options).await.map_err(|error| CliError::Unavailable(error.to_string()))
}

/// Tells whoever waits what is being done.
fn progress(what: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}
