//! `bench --only admission`: what an admission costs over HTTP, and whether nodes together keep a limit.

mod exact;
mod memory;
pub mod node;
pub mod scenarios;
pub mod turns;

use super::{
    BenchArgs, CliError, progress,
    rounds::{median, ratio},
    table::{
        Table,
        Target::{AtLeast, AtMost},
    },
};
use crate::private_redis::PrivateRedis;
use node::Server;
use turns::{Runner, Turns};

pub async fn run(args: &BenchArgs, redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    let node = Server::node(redis, scenarios::POOLS).await?;
    table.section("Admission over HTTP, 4 limits in 2 counter groups, one node; hello = GET /livez on the same node");
    // Counters exist before their cost is compared: making them is not what a request usually does.
    memory::run(redis, &node, table).await?;
    let mut runner = Runner::new(redis).await?;
    for scenario in scenarios::all(args.callers as usize).into_iter().filter(|scenario| args.takes(scenario.name)) {
        runner.add(&node, scenario).await?;
    }
    for round in 1..=args.rounds {
        progress(format_args!("admission, round {round} of {}", args.rounds));
        runner.round(args.slot()).await?;
    }
    report(&runner, table);
    if args.matching.is_some() {
        return Ok(());
    }
    progress("admission, three nodes on one limit");
    exact::run(redis, table).await
}

fn report(runner: &Runner, table: &mut Table) {
    let of = |name: &str| runner.turns(name);
    let hello = of("hello");
    let cpu = |name: &str| ratio(&of(name).cpu(), &hello.cpu());
    table.row("CPU of a reserve (node + Redis) ÷ hello", cpu("reserve"), "", AtMost(2.0));
    table.row("CPU of one of a batch of 64 ÷ hello", cpu("batch of 64"), "", AtMost(0.3));
    table.row("CPU of a denial, exhausted key ÷ hello", cpu("exhausted"), "", AtMost(1.2));
    table.figure("CPU of reserve and commit ÷ 2 hellos", cpu("reserve and commit") / 2.0, "");
    table.row("script calls for each reserve", median(&of("reserve").trips), "", AtMost(0.2));
    table.row("script calls for each reserve, 1 connection", median(&of("reserve, 1 connection").trips), "", AtMost(1.0));
    table.row("script calls for each denial, exhausted key", median(&of("exhausted").trips), "", AtMost(0.02));
    let floor: Vec<f64> =
        of("hello, 1 connection").p50.iter().zip(&runner.round_trips).map(|(hello, redis)| hello + redis).collect();
    let latency = ratio(&of("reserve, 1 connection").p50, &floor);
    table.row("latency, 1 connection ÷ (hello + a round trip to Redis)", latency, "", AtMost(1.3));
    table.figure("a round trip to Redis (PING, p50)", median(&runner.round_trips), "µs");
    let flat = |name: &str, base: &str| ratio(&of(name).cpu(), &of(base).cpu());
    table.row("CPU, 10,000 workspaces ÷ 100 workspaces", flat("10,000 workspaces", "100 workspaces"), "", AtMost(1.2));
    table.figure("CPU, 10,000 workspaces ÷ 1 workspace", flat("10,000 workspaces", "reserve"), "");
    table.row("rate of reserves ÷ rate of hellos", ratio(&of("reserve").rate, &hello.rate), "", AtLeast(0.4));
    for (name, turns) in runner.all() {
        describe(table, name, turns);
    }
}

/// The figures behind the ratios, on one line.
pub fn describe(table: &mut Table, name: &str, turns: &Turns) {
    table.figure(format!("{name}: CPU for each"), median(&turns.cpu()), "µs");
    let [node, redis, rate, p50, p99] =
        [&turns.node, &turns.redis, &turns.rate, &turns.p50, &turns.p99].map(|figures| median(figures));
    table.note(format!("node {node:.1}, Redis {redis:.1}; {rate:.0}/s, p50 {p50:.0} µs, p99 {p99:.0} µs"));
}
