//! What the store answers to a call.

use bytes::Bytes;

use super::call::{HoldRule, Shape};
use crate::domain::{CounterStatus, GroupId, Number, PoolStatus};

/// Identifies one event: 20 hexadecimal characters, all zero before the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId(pub [u8; 20]);

impl EventId {
    /// Stands before a pool's first event.
    pub const NONE: Self = Self([b'0'; 20]);

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a pool's event log. The random event id tells two histories apart that a lost tail
/// gave the same epoch and seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log; 0 = the pool has none yet.
    pub epoch: u64,
    /// How many events it holds or held.
    pub seq: u64,
    /// The last of them.
    pub event: EventId,
}

impl Position {
    /// The opaque text for clients.
    pub fn to_cursor(self) -> String {
        format!("v1.{:x}.{}.{}", self.epoch, self.seq, self.event.as_str())
    }

    /// Reads a cursor back; `None` when it is no such text.
    pub fn from_cursor(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("v1.")?.split('.');
        let epoch = u64::from_str_radix(parts.next()?, 16).ok()?;
        let seq = parts.next()?.parse().ok()?;
        let event = parts.next()?.as_bytes().try_into().ok().map(EventId)?;
        let hexadecimal = event.0.iter().all(u8::is_ascii_hexdigit);
        (parts.next().is_none() && hexadecimal && epoch < 1 << 53 && seq < 1 << 53).then_some(Self { epoch, seq, event })
    }
}

/// The head of every reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The pool's clock in this call, µs since 1970.
    pub clock_us: u64,
    /// Writing calls so far. Going back means that data was lost.
    pub operations: u64,
    /// Version of overrides and freezes.
    pub config_version: u64,
    /// End of the event log.
    pub position: Position,
    /// The pool's status.
    pub pool_status: PoolStatus,
}

/// One counter after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterFigure {
    /// Used + held, units.
    pub total: u64,
    /// Held, units.
    pub held: u64,
    /// When it is whole again if nothing more comes, µs since 1970; 0 = it is.
    pub whole_at_us: u64,
    /// Ever charged, less what came back, units.
    pub charged: u64,
    /// Status.
    pub status: CounterStatus,
}

/// When a cost would fit one counter if nobody else came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Now.
    No,
    /// After so many µs.
    For(u64),
    /// Never: it is more than the ceiling.
    Never,
}

/// State of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// Held.
    Open,
    /// Settled at its cost.
    Committed,
    /// Given back.
    Released,
    /// The lease ended.
    Expired,
    /// Released before it was ever reserved.
    Void,
    /// A use that was not reserved.
    Recorded,
}

/// One hold of a reservation.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Its counter.
    pub number: Number,
    /// Its fate.
    pub rule: HoldRule,
    /// Its counter was reset or removed before the settlement.
    pub skipped: bool,
    /// It came back when the lease ended. The amount is what a late commit still charges.
    pub given_back: bool,
    /// Index into the record's groups.
    pub group: u8,
    /// Number of the unit.
    pub unit: Number,
    /// When it was taken, µs since 1970; 0 = with the reservation.
    pub since_us: u64,
    /// Held (open) or finally charged (settled), units.
    pub amount: u64,
}

/// The record of a reservation.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// State.
    pub state: RecordState,
    /// Committed after its lease had ended.
    pub late: bool,
    /// The true cost was not known.
    pub estimated: bool,
    /// Granted at, µs since 1970.
    pub since_us: u64,
    /// Lease ends at, µs since 1970.
    pub deadline_us: u64,
    /// Where its concurrency holds stand, µs since 1970.
    pub bucket_us: u64,
    /// Settled at, µs since 1970; 0 = not yet.
    pub settled_at_us: u64,
    /// Of the settlement's body.
    pub settlement: u64,
    /// Of the last extension; 0 = none.
    pub attempt: u64,
    /// Of the reserve's body.
    pub fingerprint: u64,
    /// Tells it from others under the same record id.
    pub nonce: u32,
    /// Groups that it holds in.
    pub groups: Vec<GroupId>,
    /// What it holds.
    pub holds: Vec<Hold>,
    /// Opaque to the store.
    pub blob: Bytes,
}

/// Answer to one operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done. `shadow` has a wait for each item when a shadow limit was in the way, else nothing.
    /// The figure is the deadline of a reserve or extend (µs since 1970), the count of a reset, else 0.
    Granted {
        /// See above.
        figure: u64,
        /// See above.
        shadow: Vec<Wait>,
    },
    /// Not done; a wait for each item.
    Denied(Vec<Wait>),
    /// The same was said before.
    Replay(Record),
    /// The record exists with another fingerprint.
    Mismatch,
    /// The record was, or is now, void.
    Voided,
    /// Settled just now.
    Settled(Record),
    /// No such record.
    Unknown,
    /// The call must name the record's groups; nothing was done.
    NeedGroups(Record),
    /// Settled before in another way.
    Conflict(Record),
    /// Nothing to do.
    Noop,
    /// Too late to prolong.
    LeaseEnded,
    /// Longer than a lease may be.
    TooLong,
}

/// A call that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The head.
    pub header: Header,
    /// Counters of all groups that the call described, group by group.
    pub counters: Vec<CounterFigure>,
    /// Where each group's counters begin.
    pub bases: Vec<(GroupId, usize)>,
    /// In the order of the operations.
    pub answers: Vec<Answer>,
}

impl Reply {
    /// The figures of a shape's items; absent ones (which a correct store never leaves out) are skipped.
    pub fn figures<'a>(&'a self, shape: &'a Shape) -> impl Iterator<Item = CounterFigure> + 'a {
        shape.items.iter().filter_map(|item| {
            let group = shape.groups.get(usize::from(item.group))?;
            let base = self.bases.iter().find(|(id, _)| *id == group.id)?.1;
            self.counters.get(base + usize::from(item.slot)).copied()
        })
    }
}

/// Outcome of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Carried out.
    Done(Reply),
    /// Made with an older (or newer) version of overrides than the store's; nothing was done.
    StaleConfig(Header),
    /// Budgets' periods around the header's clock are needed; nothing was done.
    RetryPeriod(Header),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        let position = Position { epoch: 0xabc, seq: 42, event: EventId(*b"0123456789abcdef0001") };
        assert_eq!(Position::from_cursor(&position.to_cursor()), Some(position));
        for bad in ["", "v1", "v1.a.b.c", "v2.abc.42.0123456789abcdef0001", "v1.abc.42.0123456789abcdef0001.x", "v1.abc.42.xyz"] {
            assert_eq!(Position::from_cursor(bad), None, "{bad}");
        }
    }
}
