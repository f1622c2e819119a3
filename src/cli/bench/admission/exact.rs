//! Three nodes, one limit: do they together keep it, and use it?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::{task::JoinSet, time::Instant};

use super::{
    node::Server,
    scenarios::{LEASE_MS, POOLS, reserve},
};
use crate::{
    cli::{
        CliError,
        bench::{
            exact_log,
            load::Connection,
            table::{
                Table,
                Target::{AtLeast, AtMost},
            },
        },
    },
    private_redis::PrivateRedis,
    trace::{Count, Entry, worst},
};

const NODES: usize = 3;
const CALLERS: usize = 24;
const CAPACITY: u64 = 2000;
const WINDOW_US: u64 = 2_000_000;
/// Mean pause of a caller between requests: all of them ask for about one and a half times the limit.
const PAUSE: Duration = Duration::from_millis(16);
const RUN: Duration = Duration::from_secs(7);

/// When a request was decided, and whether it was granted.
type Asked = (u64, bool);

#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub async fn run(redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(Server::node(redis, POOLS).await?);
    }
    let mut callers = JoinSet::new();
    for at in 0..CALLERS {
        let connection = Connection::to(nodes[at % NODES].address).await?;
        callers.spawn(ask(connection, Instant::now() + RUN));
    }
    let mut asked = Vec::new();
    while let Some(one) = callers.join_next().await {
        asked.extend(one.map_err(|error| CliError::Internal(error.to_string()))??);
    }
    asked.sort_unstable();
    let entry = |at_us: u64| Entry { line: 1, at_us, cost: 1, settled: None, settled_at_us: None };
    let grants: Vec<Entry> = asked.iter().filter(|(_, granted)| *granted).map(|(at, _)| entry(*at)).collect();
    let exact = exact_log::granted(asked.iter().map(|(at, _)| *at), WINDOW_US, CAPACITY);
    let over = worst(&grants, WINDOW_US, CAPACITY, Count::Charged).worst as f64 / CAPACITY as f64;
    table.section("Three nodes, one limit of 2000 in 2 s, asked for 1.5 times as much");
    table.row("worst sliding 2 s ÷ limit", over, "", AtMost(1.0));
    table.row("granted ÷ an exact log of the same requests", grants.len() as f64 / f64::from(exact), "", AtLeast(0.97));
    table.note(format!("{} granted of {}", grants.len(), asked.len()));
    Ok(())
}

async fn ask(mut connection: Connection, until: Instant) -> Result<Vec<Asked>, CliError> {
    let (request, mut asked) = (reserve("exact", 1), Vec::new());
    while Instant::now() < until {
        let pause = -(1.0 - rand::random::<f64>()).ln();
        tokio::time::sleep(PAUSE.mul_f64(pause)).await;
        let before = wall_clock_us();
        let (_, body) = connection.exchange(&request).await?;
        let after = wall_clock_us();
        match decided_at(body) {
            Some(at) => asked.push((at, true)),
            // A denial does not say when: about half-way. The server's clock is this machine's.
            None => asked.push((before.midpoint(after), false)),
        }
    }
    Ok(asked)
}

/// The instant of a grant by the clock that decided: the end of its lease, less the lease.
fn decided_at(body: &[u8]) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let ends: jiff::Timestamp = body.get("expires_at")?.as_str()?.parse().ok()?;
    u64::try_from(ends.as_microsecond()).ok()?.checked_sub(LEASE_MS * 1000)
}

#[expect(clippy::disallowed_methods, reason = "compared with Redis' clock on the same machine; decides nothing")]
fn wall_clock_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(0))
}
