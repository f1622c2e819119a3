//! What the store says about a pool's event log.

use crate::domain::{CounterStatus, GroupId, Number, PoolStatus, Position, QuotaEvent};

/// The most events that one read returns, and that a reader who was away can catch up on.
pub const MOST_EVENTS: usize = 1000;
/// The most counters in another status than normal that one read returns.
pub const MOST_STANDING: usize = 10_000;

/// What to read of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogQuery {
    /// Seq of the place after which events are wanted.
    pub after: u64,
    /// The most events to return: if more lie after the place, none is.
    pub most: usize,
    /// Also return every counter whose status is not normal.
    pub standing: bool,
}

impl LogQuery {
    /// Only where the log stands.
    pub const HEAD: Self = Self { after: 0, most: 0, standing: false };

    /// Everything after a place.
    pub fn after(seq: u64) -> Self {
        Self { after: seq, most: MOST_EVENTS, standing: false }
    }
}

/// A counter in another status than normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// Its group.
    pub group: GroupId,
    /// Its limit.
    pub number: Number,
    /// Its status.
    pub status: CounterStatus,
    /// When that began, µs since 1970. With the status it names the episode.
    pub since_us: u64,
}

/// A log at one instant.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// Its end.
    pub top: Position,
    /// Writing calls so far: equal numbers mean that nothing was written between.
    pub operations: u64,
    /// The pool's status.
    pub pool_status: PoolStatus,
    /// Seq of the oldest event that is still kept; 0 = none is.
    pub oldest: u64,
    /// Events from the queried place's own (if it is still kept) to the end.
    pub entries: Vec<QuotaEvent>,
    /// Counters in another status than normal; `None` = not asked for, or too many.
    pub standing: Option<Vec<Standing>>,
    /// When the pool's status began, µs since 1970; `None` = it is normal, or standing was not read.
    pub pool_since_us: Option<u64>,
    /// How many groups there are.
    pub groups: u64,
}

/// What a node has seen of a loss of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The epoch that it knew.
    pub epoch: u64,
    /// Writing calls that it had seen there.
    pub seen: u64,
    /// Writing calls that it found of the same epoch; `None` = that epoch is gone.
    pub found: Option<u64>,
}
