//! The script under a clock that is moved by hand.

use std::sync::Arc;

use super::calls::{Limits, Pool, new_record, reserve, shape};
use crate::{
    cli::{CliError, bench::resp::Client},
    private_redis::PrivateRedis,
    store::{
        call::{GroupSpec, Shape},
        codec,
        reply::{Answer, Outcome, Wait},
        scripts::{Composed, Publish, Scripts},
    },
};

const CLOCK: &str = "local function server_time() return tonumber(redis.call('GET', KEYS[1] .. ':clock')) end\n";

/// A pool in simulated time.
pub struct Simulated {
    client: Client,
    script: Composed,
    pool: Pool,
}

impl Simulated {
    /// Loads the script. The pool is the same as in real time.
    pub async fn start(redis: &PrivateRedis) -> Result<Self, CliError> {
        let mut client = Client::connect(redis).await?;
        let script = Scripts::new(Publish::Plain, Some(CLOCK)).apply;
        client.ask(&["SCRIPT", "LOAD", &script.text]).await?;
        Ok(Self { client, script, pool: Pool::default() })
    }

    /// Moves the clock.
    pub async fn set(&mut self, now_us: u64) -> Result<(), CliError> {
        self.client.ask(&["SET", "qc1:{bench}:meta:clock", &now_us.to_string()]).await?;
        Ok(())
    }

    /// Reserves one unit from each counter at an instant; waits (one for each counter) when it is denied.
    pub async fn reserve(&mut self, shape: &Arc<Shape>, now_us: u64) -> Result<Option<Vec<Wait>>, CliError> {
        self.set(now_us).await?;
        let mut packed = Vec::new();
        let encoded = self.pool.pack(&mut packed, &self.script, vec![reserve(shape, new_record())]);
        let raw = self.client.send(&packed).await?;
        match codec::decode(&encoded, &raw.into()) {
            Ok(Outcome::Done(reply)) => match reply.answers.into_iter().next() {
                Some(Answer::Granted { .. }) => Ok(None),
                Some(Answer::Denied(waits)) => Ok(Some(waits)),
                other => Err(CliError::Internal(format!("bench: unexpected answer {other:?}"))),
            },
            other => Err(CliError::Internal(format!("bench: unexpected outcome {other:?}"))),
        }
    }

    /// Fills limits with as many segments as they keep, up to `now_us`.
    pub async fn fill(&mut self, now_us: u64) -> Result<Arc<GroupSpec>, CliError> {
        let group = Limits { count: 4, capacity: 3200, window_ms: 600_000 }.group("workspace", "full");
        let shape = shape(std::slice::from_ref(&group));
        for step in 0..32u64 {
            // Each step is more than a tick later than the one before, and a share of the capacity: a segment of its own.
            let at = now_us - 400_000_000 + step * 12_000_000;
            for request in 0..100 {
                self.reserve(&shape, at + request).await?;
            }
        }
        Ok(group)
    }

    /// The stored form of a group.
    pub async fn dump(&mut self, group: &GroupSpec) -> Result<(String, Vec<u8>), CliError> {
        let key = self.pool.group_key(group);
        let raw = self.client.ask(&["DUMP", &key]).await?;
        Ok((key, raw))
    }

    /// Forgets everything.
    pub async fn flush(&mut self) -> Result<(), CliError> {
        self.client.ask(&["FLUSHALL"]).await?;
        Ok(())
    }
}
