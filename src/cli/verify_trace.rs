//! `verify-trace`: did the grants keep within the limit?

use std::{
    fs::File,
    io::{BufReader, Write, stdin},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use super::{CliError, ExitCode};
use crate::trace::{self, Count, Report};

/// Arguments of `verify-trace`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct VerifyTraceArgs {
    /// The trace; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Units that may be granted in any interval of the window's length.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub capacity: u64,
    /// Length of the interval, such as 60s or 1d.
    #[arg(long, value_name = "DURATION", value_parser = window)]
    pub window: Duration,
    /// Count the whole cost of a grant until its `settled_at_us` (always, where a line has none): the
    /// total that stood at each grant, rather than what was charged in the end.
    #[arg(long)]
    pub held: bool,
}

fn whole(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| "must be a whole number of zero or more".to_owned())
}

fn window(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if parsed < Duration::from_micros(1) { Err("must be at least 1us".to_owned()) } else { Ok(parsed) }
}

pub(super) fn run(args: VerifyTraceArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let fault = |error: &dyn std::fmt::Display| CliError::Usage(format!("{}: {error}", args.file.display()));
    let entries = if args.file.as_os_str() == "-" {
        trace::read(stdin().lock())
    } else {
        trace::read(BufReader::new(File::open(&args.file).map_err(|error| fault(&error))?))
    };
    let entries = entries.map_err(|error| fault(&error))?;
    let window_us = u64::try_from(args.window.as_micros()).map_err(|_| fault(&"the window is too long"))?;
    let count = if args.held { Count::Held } else { Count::Charged };
    let report = trace::worst(&entries, window_us, args.capacity, count);
    print(&report, entries.len(), &args, out)?;
    Ok(if report.holds { ExitCode::Fine } else { ExitCode::DoesNotHold })
}

/// Overruns that are listed one by one.
const OVERRUNS_SHOWN: usize = 10;

fn print(report: &Report, grants: usize, args: &VerifyTraceArgs, out: &mut impl Write) -> std::io::Result<()> {
    let verdict = if report.holds { "holds" } else { "DOES NOT HOLD" };
    let word = if args.held { "held or charged" } else { "charged" };
    let window = humantime::format_duration(args.window);
    writeln!(out, "{verdict}: at most {} {word} in any {window}, capacity {}", report.worst, args.capacity)?;
    if report.grants > 0 {
        let Report { from_us, to_us, grants, .. } = report;
        writeln!(out, "worst interval: ({from_us}, {to_us}] µs, grants: {grants}{}", dated(*to_us))?;
    }
    writeln!(out, "grants in the trace: {grants}")?;
    let total: u128 = report.overruns.iter().map(|overrun| u128::from(overrun.amount)).sum();
    if !report.overruns.is_empty() {
        let count = report.overruns.len();
        writeln!(out, "overruns, not counted above: {count}, of {total} units in all")?;
        for overrun in report.overruns.iter().take(OVERRUNS_SHOWN) {
            writeln!(out, "  line {}: {} above the grant at {} µs", overrun.line, overrun.amount, overrun.at_us)?;
        }
        if count > OVERRUNS_SHOWN {
            writeln!(out, "  and {} more", count - OVERRUNS_SHOWN)?;
        }
    }
    out.flush()
}

/// The instant for people, where it is one.
fn dated(at_us: u64) -> String {
    let instant = i64::try_from(at_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    instant.map(|instant| format!(", to {instant}")).unwrap_or_default()
}
