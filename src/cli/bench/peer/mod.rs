//! `bench --only peer`: the same load, in turns, on a node and on what many would use instead.

use std::{path::PathBuf, process::Stdio};

use tokio::process::Command;

use super::{
    BenchArgs, CliError,
    admission::{
        describe,
        node::Server,
        scenarios::{POOLS, Scenario, always, reserve},
        turns::Runner,
    },
    load::request,
    progress,
    rounds::ratio,
    table::{Table, Target::AtLeast},
};
use crate::private_redis::PrivateRedis;

const PACKAGES: [&str; 3] = ["rate-limiter-flexible@11", "ioredis@5", "fastify@5"];
const PROGRAM: &str = include_str!("server.mjs");

/// A directory that goes when the run is over.
struct Directory(PathBuf);

impl Directory {
    /// The peer and its packages.
    async fn install() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("quota-bench-peer-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&path)?;
        let directory = Self(path);
        std::fs::write(directory.0.join("server.mjs"), PROGRAM)?;
        progress(format_args!("peer, npm install {}", PACKAGES.join(" ")));
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--silent"]).args(PACKAGES).current_dir(&directory.0);
        let done = npm.stdin(Stdio::null()).output().await;
        let done = done.map_err(|error| CliError::Unavailable(format!("npm cannot be run: {error}")))?;
        if done.status.success() {
            return Ok(directory);
        }
        Err(CliError::Unavailable(format!("npm install failed: {}", String::from_utf8_lossy(&done.stderr).trim())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub async fn run(args: &BenchArgs, redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    let directory = Directory::install().await?;
    let mut command = Command::new("node");
    command.arg("server.mjs").current_dir(&directory.0).env("REDIS_SOCKET", redis.url().trim_start_matches("redis+unix://"));
    let peer = Server::run(&mut command).await?;
    let node = Server::node(redis, POOLS).await?;
    let mut runner = Runner::new(redis).await?;
    let callers = args.callers as usize;
    let of = |name, pool, next| Scenario { name, callers, admissions: 1.0, pool, next };
    let consume = request("POST", "/consume", r#"{"key":"w1","cost":1}"#);
    runner.add(&node, of("a node, 4 limits", "wide", always(reserve("wide", 1)))).await?;
    runner.add(&peer, of("rate-limiter-flexible, 1 limit", "", always(consume))).await?;
    runner.add(&node, of("a node, hello", "wide", always(request("GET", "/livez", "")))).await?;
    runner.add(&peer, of("fastify, hello", "", always(request("GET", "/livez", "")))).await?;
    for round in 1..=args.rounds {
        progress(format_args!("peer, round {round} of {}", args.rounds));
        runner.round(args.slot()).await?;
    }
    let (ours, theirs) = (runner.turns("a node, 4 limits"), runner.turns("rate-limiter-flexible, 1 limit"));
    table.section("A peer: rate-limiter-flexible + ioredis + fastify, one process, one limit, on the same Redis");
    table.row("admissions a second, ours (4 limits) ÷ theirs", ratio(&ours.rate, &theirs.rate), "", AtLeast(3.0));
    table.figure("CPU for each admission, theirs ÷ ours", ratio(&theirs.cpu(), &ours.cpu()), "");
    for (name, turns) in runner.all() {
        describe(table, name, turns);
    }
    Ok(())
}
