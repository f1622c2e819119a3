//! Bytes that are replicated, and bytes that are kept.

use std::sync::Arc;

use super::{
    baselines::EXACT_LOG,
    calls::{Limits, Pool, new_record, reserve, shape},
    simulated::Simulated,
};
use crate::{
    cli::{
        CliError,
        bench::{
            private_redis,
            resp::{Client, pack},
            table::{Table, Target::AtMost},
        },
    },
    private_redis::PrivateRedis,
    store::scripts::{Composed, Publish, Scripts},
};

const ADMISSIONS: usize = 1600;
const LOG_KEYS: [&str; 4] = ["log:{a}:1", "log:{a}:2", "log:{a}:3", "log:{a}:4"];

pub async fn run(redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    let (ours, log) = replicated().await?;
    table.row("13  replication, 4 limits, 16 in a call ÷ exact log", ours / log, "", AtMost(0.05));
    table.note("ours with the reservation's record");
    table.figure("replication for each reserve, 4 limits, 16 in a call", ours, "B");
    table.figure("replication for each request, exact log (ZSET), 4 limits", log, "B");
    let (ours, log) = kept(redis).await?;
    table.row("14  memory of 4 full limits ÷ exact log of 1000 requests", ours / log, "", AtMost(0.02));
    table.figure("memory of 4 full limits (32 segments each)", ours, "B");
    Ok(())
}

fn exact_log(hash: &str, member: usize) -> Vec<u8> {
    let mut packed = Vec::new();
    let member = format!("{member:016x}");
    let words = ["EVALSHA", hash, "4"].into_iter().chain(LOG_KEYS).chain(["600000000", "100000", &member]);
    pack(&mut packed, &words.collect::<Vec<_>>());
    packed
}

/// Bytes for each admission that the server writes for its replicas. The append-only file holds the same commands.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
async fn replicated() -> Result<(f64, f64), CliError> {
    let redis = private_redis(&["--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"]).await?;
    let mut client = Client::connect(&redis).await?;
    let script = Arc::new(Scripts::new(Publish::Plain, None).apply);
    let hash = redis::Script::new(EXACT_LOG).get_hash().to_owned();
    for text in [script.text.as_str(), EXACT_LOG] {
        client.ask(&["SCRIPT", "LOAD", text]).await?;
    }
    reserves(&mut client, &script, 16).await?;
    let start = client.info("persistence", "aof_current_size").await?;
    reserves(&mut client, &script, ADMISSIONS).await?;
    let middle = client.info("persistence", "aof_current_size").await?;
    for member in 0..ADMISSIONS {
        client.send(&exact_log(&hash, member)).await?;
    }
    let end = client.info("persistence", "aof_current_size").await?;
    Ok(((middle - start) / ADMISSIONS as f64, (end - middle) / ADMISSIONS as f64))
}

async fn reserves(client: &mut Client, script: &Composed, count: usize) -> Result<(), CliError> {
    let (pool, shape) = (Pool::default(), shape(&[Limits::plenty(4).group("workspace", "w1")]));
    for _ in 0..count / 16 {
        let mut packed = Vec::new();
        pool.pack(&mut packed, script, (0..16).map(|_| reserve(&shape, new_record())).collect());
        client.send(&packed).await?;
    }
    Ok(())
}

async fn kept(redis: &PrivateRedis) -> Result<(f64, f64), CliError> {
    let mut simulated = Simulated::start(redis).await?;
    let full = simulated.fill(1_800_000_000_000_000).await?;
    let (key, _) = simulated.dump(&full).await?;
    let mut client = Client::connect(redis).await?;
    let ours = usage(&mut client, &key).await?;
    client.ask(&["SCRIPT", "LOAD", EXACT_LOG]).await?;
    let hash = redis::Script::new(EXACT_LOG).get_hash().to_owned();
    for member in 0..1000 {
        client.send(&exact_log(&hash, member)).await?;
    }
    let mut log = 0.0;
    for key in LOG_KEYS {
        log += usage(&mut client, key).await?;
    }
    simulated.flush().await?;
    Ok((ours, log))
}

async fn usage(client: &mut Client, key: &str) -> Result<f64, CliError> {
    let reply = client.ask(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await?;
    String::from_utf8_lossy(&reply).trim().parse().map_err(|_| CliError::Internal(format!("bench: {key} is gone")))
}
