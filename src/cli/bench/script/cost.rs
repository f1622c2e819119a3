//! CPU time of the server for each admission, of all subjects in turns.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{
    simulated::Simulated,
    subjects::{self, Subject},
};
use crate::{
    cli::{
        CliError,
        bench::{
            BenchArgs,
            cpu::Process,
            progress,
            resp::Client,
            rounds::{median, ratio},
            table::{
                Table,
                Target::{AtLeast, AtMost},
            },
        },
    },
    private_redis::PrivateRedis,
};

const CONNECTIONS: usize = 4;

type Costs = HashMap<&'static str, Vec<f64>>;

pub async fn run(args: &BenchArgs, redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    let mut simulated = Simulated::start(redis).await?;
    let full = simulated.fill(server_time(redis).await?).await?;
    let kept = simulated.dump(&full).await?;
    let mut all = subjects::all(&[full]);
    all.list.retain(|subject| args.takes(subject.name));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(redis).await?);
    }
    for text in &all.scripts {
        clients[0].ask(&["SCRIPT", "LOAD", text]).await?;
    }
    let mut costs = Costs::new();
    for round in 1..=args.rounds {
        progress(format_args!("script, round {round} of {}", args.rounds));
        for subject in &mut all.list {
            clients[0].ask(&["FLUSHALL"]).await?;
            clients[0].ask(&[b"RESTORE", kept.0.as_bytes(), b"0", &kept.1]).await?;
            // Once unmeasured: memory is made, the group exists.
            turn(&mut clients, subject).await?;
            let cost = measure(redis, &mut clients, subject, args).await?;
            costs.entry(subject.name).or_default().push(cost);
        }
    }
    clients[0].ask(&["FLUSHALL"]).await?;
    report(&costs, table);
    Ok(())
}

async fn server_time(redis: &PrivateRedis) -> Result<u64, CliError> {
    let micros = Client::connect(redis).await?.info("server", "server_time_usec").await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of today")]
    Ok(micros as u64)
}

/// One exchange on each connection; how many admissions it was.
async fn turn(clients: &mut [Client], subject: &mut Subject) -> Result<usize, CliError> {
    let depth = subject.depth;
    let mut batches = Vec::with_capacity(clients.len());
    for _ in 0..clients.len() {
        let mut packed = Vec::new();
        (0..depth).for_each(|_| (subject.make)(&mut packed));
        batches.push(packed);
    }
    try_join_all(clients.iter_mut().zip(&batches).map(|(client, batch)| client.exchange(batch, depth))).await?;
    Ok(depth * clients.len() * subject.admissions)
}

/// CPU µs of the server for each admission.
async fn measure(redis: &PrivateRedis, clients: &mut [Client], subject: &mut Subject, args: &BenchArgs) -> Result<f64, CliError> {
    let server = Process(redis.pid());
    let (began, before, mut admissions) = (Instant::now(), server.cpu_us()?, 0);
    // There are many subjects, and each is the mean of thousands: a quarter of the usual turn is enough.
    while began.elapsed() < args.slot() / 4 {
        admissions += turn(clients, subject).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
    Ok((server.cpu_us()? - before) / admissions as f64)
}

fn report(costs: &Costs, table: &mut Table) {
    let of = |name: &str| costs.get(name).map_or(&[][..], Vec::as_slice);
    let over = |name: &str, base: &str| ratio(of(name), of(base));
    let mut row = |name: &str, value, target| table.row(name, value, "", target);
    row(" 1  4 limits ÷ GCRA (one key, one limit)", over("4 limits", "GCRA"), AtMost(1.8));
    row(" 2  8 limits ÷ 4 limits", over("8 limits", "4 limits"), AtMost(1.4));
    row(" 3  GCRA with a key for each of 4 limits ÷ 4 limits", over("GCRA each", "4 limits"), AtLeast(2.0));
    row(" 4  4 limits, 16 in a call ÷ GCRA", over("4 limits, 16", "GCRA"), AtMost(0.3));
    row(" 5  4 limits, 64 in a call ÷ INCR, pipelined", over("4 limits, 64", "INCR"), AtMost(1.3));
    row(" 6  a core's rate, 16 in a call ÷ INCR/s, pipelined", over("INCR", "4 limits, 16"), AtLeast(0.45));
    row(" 7  the same ÷ INCR/s, unpipelined", over("INCR unpipelined", "4 limits, 16"), AtLeast(2.5));
    row(" 8  12 limits of 3 scopes, 64 in a call ÷ GCRA", over("3 × 4 limits, 64", "GCRA"), AtMost(0.4));
    row(" 9  reserve and commit, mean, 16 in a call ÷ GCRA", over("reserve and commit, 16", "GCRA"), AtMost(0.75));
    row("10  8 limits of 3 scopes of many, 16 in a call ÷ GCRA", over("mixed, 16", "GCRA"), AtMost(1.6));
    row("11  denial (32 segments × 4) ÷ reserve", over("denial", "4 limits"), AtMost(2.0));
    row("11  the same, 16 in a call", over("denial, 16", "4 limits, 16"), AtMost(2.0));
    let status = (1.0 - over("without status, 16", "4 limits, 16")) * 100.0;
    table.row("12  status logic without a change, 16 in a call", status, "%", AtMost(3.0));
    for (name, base) in [("check, 16", "GCRA"), ("check, 64", "INCR")] {
        table.figure(format!("decision alone (nothing taken, no record): {name} ÷ {base}"), over(name, base), "");
    }
    let mut names: Vec<_> = costs.keys().collect();
    names.sort_unstable();
    for name in names {
        table.figure(format!("CPU for each: {name}"), median(of(name)), "µs");
    }
}
