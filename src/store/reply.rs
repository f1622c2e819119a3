//! What the store answers to a call.

use bytes::Bytes;

use super::call::{HoldRule, Shape};
pub use crate::domain::event::{EventId, Position};
use crate::domain::{CounterStatus, GroupId, Number, PoolStatus};

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
