//! All that was ever in the logs of some pools, read from Redis as it is written: a log keeps its newest only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::redis::connection;
use quota_coordinator::{
    domain::{PoolId, Position, QuotaEvent, event::Change},
    private_redis::PrivateRedis,
};

type Logs = HashMap<PoolId, Vec<QuotaEvent>>;

/// Reads for as long as the test's runtime lives.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Logs>>);

impl Ledger {
    /// Begins with what the logs hold now, which must be all of them.
    pub async fn open(server: &PrivateRedis, pools: &[PoolId]) -> Self {
        let ledger = Self(Arc::new(Mutex::new(pools.iter().map(|pool| (pool.clone(), Vec::new())).collect())));
        let mut redis = connection(server).await;
        let (reading, pools) = (ledger.clone(), pools.to_vec());
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            loop {
                tick.tick().await;
                for pool in &pools {
                    let mut read = redis::cmd("XRANGE");
                    read.arg(format!("qc1:{{{pool}}}:log"))
                        .arg(format!("({}-0", reading.top(pool)))
                        .arg("+")
                        .arg("COUNT")
                        .arg(1000);
                    let Ok(entries) = read.query_async::<Vec<(String, Vec<String>)>>(&mut redis).await else { return };
                    for (_, fields) in entries {
                        reading.append(pool, QuotaEvent::from_entry(fields[1].as_bytes()).unwrap());
                    }
                }
            }
        });
        ledger
    }

    fn append(&self, pool: &PoolId, event: QuotaEvent) {
        let mut logs = self.0.lock().unwrap();
        let log = logs.get_mut(pool).unwrap();
        if let Some(last) = log.last() {
            assert!(event.follows(last.position), "the ledger read too slowly, or the log is broken: {event:?} after {last:?}");
        }
        log.push(event);
    }

    /// Seq of the newest event of a pool.
    pub fn top(&self, pool: &PoolId) -> u64 {
        self.0.lock().unwrap()[pool].last().map_or(0, |event| event.position.seq)
    }

    /// Places of the events after a place that concern a workspace; the empty text is the whole pool.
    pub fn places(&self, pool: &PoolId, workspace: &str, after: u64) -> Vec<Position> {
        let concerns = |change: &Change| match change {
            Change::Pool { .. } => true,
            Change::Counter(counter) => {
                workspace.is_empty() || counter.partition.get("workspace").is_none_or(|own| own == workspace)
            }
        };
        let logs = self.0.lock().unwrap();
        let events = logs[pool].iter().filter(|event| event.position.seq > after && concerns(&event.change));
        events.map(|event| event.position).collect()
    }
}
