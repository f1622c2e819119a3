//! Answers to reading, recording and clearing use.

use poem_openapi::Object;
use serde::Serialize;

use super::{Charged, Counter, CounterUsage, Instant, Status, shown};
use crate::coordinator::types;

/// Counters of a pool.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct UsagePage {
    /// The pool.
    pub pool: String,
    /// Status of the pool, or of the scope that was asked for.
    pub status: Status,
    /// Position in the pool's event log.
    pub cursor: String,
    /// When this was read, by the store's clock.
    pub at: Instant,
    /// The counters.
    pub limits: Vec<CounterUsage>,
    /// Give this as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl UsagePage {
    /// The counters of that pool.
    pub fn new(pool: &crate::domain::PoolId, usage: types::Usage) -> Self {
        let types::Usage { figures, status, cursor, at_us, next } = usage;
        Self { pool: pool.as_str().to_owned(), status: status.into(), cursor, at: Instant(at_us), limits: shown(figures), next }
    }
}

/// A use that was recorded.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Recorded {
    /// What was counted, by unit.
    pub charged: Charged,
    /// Every counter that counted.
    pub limits: Vec<Counter>,
    /// Status of the scope.
    pub status: Status,
    /// The same was said before; nothing was counted again.
    pub replayed: bool,
    /// Position in the pool's event log.
    pub cursor: String,
}

impl From<types::Recorded> for Recorded {
    fn from(recorded: types::Recorded) -> Self {
        let types::Recorded { charged, figures, status, replayed, cursor } = recorded;
        let limits = shown(figures);
        Self { charged: Charged(charged), limits, status: status.into(), replayed, cursor }
    }
}

/// Answer to a reset.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Cleared {
    /// How many counters were cleared.
    pub cleared: u64,
}
