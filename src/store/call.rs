//! One call to the store: operations on one pool, decided in order and atomically.
//!
//! A call is what a node sends; [`super::reply::Reply`] is what comes back. Both are independent of
//! Redis: the packed form is in `codec`, the executable specification in `memory`.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{GroupId, Number, period::Calendar};

/// Kind and shape of one counter as the store needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub enum SlotKind {
    /// Sliding window, ms.
    Rate(u32),
    /// Calendar periods.
    Budget(Arc<Calendar>),
    /// What is open at once.
    Concurrency,
}

/// One counter of a group: a limit with the capacity that holds for the group's partition.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotSpec {
    /// Identifies the counter in the group's packed state.
    pub number: Number,
    /// How it counts.
    pub kind: SlotKind,
    /// Decide and report, but do not deny.
    pub shadow: bool,
    /// Emit no status events.
    pub silent: bool,
    /// Thousandths of the capacity.
    pub warning_at: u16,
    /// Units.
    pub capacity: u64,
}

/// All counters of one partition that this node's configuration knows.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// Names the group in keys.
    pub id: GroupId,
    /// Canonical text of the partition, kept in the group for people.
    pub text: String,
    /// True for the partition without keys.
    pub pool_wide: bool,
    /// How long the group must outlive its last use for its own counters' sake, µs.
    pub keep_us: u64,
    /// Its counters, at most 64.
    pub slots: Vec<SlotSpec>,
}

/// What becomes of a hold, kept in the reservation's record so that any node can settle it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HoldRule {
    /// A commit below the hold gives nothing back.
    pub settle_admitted: bool,
    /// A lease that ends gives the units back.
    pub refund_on_lease_end: bool,
    /// The counter is a concurrency counter: settling always gives the units back.
    pub concurrency: bool,
}

/// One counter in a request's way.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Index into [`Shape::groups`].
    pub group: u8,
    /// Index into that group's slots.
    pub slot: u16,
    /// The most that used + held may be after this request: the capacity, or a share of it.
    pub ceiling: u64,
    /// Number of the unit.
    pub unit: Number,
    /// Fate of the hold.
    pub rule: HoldRule,
}

/// The counters that a kind of request must pass. Shared between requests of the same scope, so that
/// a batch describes it once.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Groups, each once.
    pub groups: Vec<Arc<GroupSpec>>,
    /// Counters, in the order of [`Op`]'s costs.
    pub items: Vec<Item>,
}

/// Name of a reservation's record: 22 characters of base64url, unguessable or derived from an idempotency key.
pub type RecordId = GroupId;

/// How a reservation is settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// At these amounts by unit; units not named keep their hold.
    Commit {
        /// True costs by unit number.
        costs: Vec<(Number, u64)>,
        /// The true cost is not known and the hold was charged.
        estimated: bool,
    },
    /// Everything comes back.
    Release {
        /// Leave a void record when there is none, so that a reserve that arrives later is refused.
        void_when_unknown: bool,
    },
    /// The lease ended: each hold follows its rule.
    Expire,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Take units from every counter of the shape, or from none; remember them in a record.
    Reserve {
        /// Counters.
        shape: Arc<Shape>,
        /// Units, one for each item.
        costs: Vec<u64>,
        /// Where the record goes. An existing record makes this a replay (or a mismatch).
        record: RecordId,
        /// Tells one reservation under a reused record id from the next.
        nonce: u32,
        /// Of the request's body; compared on replay.
        fingerprint: u64,
        /// For how long the hold stands, µs.
        lease_us: u64,
        /// Opaque to the store: scope, metadata, principal.
        blob: Bytes,
    },
    /// Decide like a reserve, take nothing.
    Check {
        /// Counters.
        shape: Arc<Shape>,
        /// Units, one for each item.
        costs: Vec<u64>,
    },
    /// Count a use that was not reserved. Never denied. Concurrency counters are left out of its shape.
    Record {
        /// Counters.
        shape: Arc<Shape>,
        /// Units, one for each item.
        costs: Vec<u64>,
        /// Makes a repetition harmless.
        record: RecordId,
        /// Of the request's body; compared on replay.
        fingerprint: u64,
    },
    /// Settle a reservation.
    Settle {
        /// The record.
        record: RecordId,
        /// As in the reservation's id; a record under another nonce is somebody else's.
        /// `None`: whichever reservation stands under the record (by idempotency key; sweeps).
        nonce: Option<u32>,
        /// The groups that the reservation holds in, as far as the caller knows.
        groups: Vec<GroupId>,
        /// How.
        how: Settlement,
        /// Of the request's body; compared on replay.
        fingerprint: u64,
    },
    /// Prolong a lease, and optionally take more.
    Extend {
        /// The record.
        record: RecordId,
        /// As in the reservation's id.
        nonce: u32,
        /// The groups that the reservation holds in, as far as the caller knows.
        groups: Vec<GroupId>,
        /// From now, µs.
        lease_us: u64,
        /// Makes a repetition harmless; not zero.
        attempt: u64,
        /// More units: counters and amounts.
        add: Option<(Arc<Shape>, Vec<u64>)>,
    },
    /// Bring a group's statuses to the present.
    Touch {
        /// The group.
        group: GroupRef,
    },
    /// Empty counters. Must be alone in its call: what is taken at the same instant would be lost to it.
    Reset {
        /// The group.
        group: GroupRef,
        /// Counters; none = all.
        numbers: Vec<Number>,
    },
    /// Only have the group's counters in the reply.
    Read {
        /// The group.
        group: GroupRef,
    },
}

impl Op {
    /// True when it can only give back, so that it may run while the server is out of memory.
    pub fn only_frees(&self) -> bool {
        matches!(self, Self::Settle { .. } | Self::Touch { .. } | Self::Reset { .. })
    }
}

/// A group that an operation names, with its configuration where the caller knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRef {
    /// Only its name.
    Id(GroupId),
    /// Name and counters.
    Spec(Arc<GroupSpec>),
}

impl GroupRef {
    /// The group's name.
    pub fn id(&self) -> GroupId {
        match self {
            Self::Id(id) => *id,
            Self::Spec(spec) => spec.id,
        }
    }

    /// Its counters, where known.
    pub fn spec(&self) -> Option<&Arc<GroupSpec>> {
        match self {
            Self::Id(_) => None,
            Self::Spec(spec) => Some(spec),
        }
    }
}

/// Operations of one call. At most [`Call::MAX_OPS`].
#[derive(Clone, Debug)]
pub struct Call {
    /// The version of overrides and freezes that the shapes were made with.
    pub config_version: u64,
    /// How long records stay after their lease ended, µs.
    pub retention_us: u64,
    /// Calendars of every budget of the pool by number, for settlements that do not know the group's shape.
    pub calendars: Arc<Vec<(Number, Arc<Calendar>)>>,
    /// The caller's guess of Redis' time, µs; only chooses which calendar periods are sent along.
    pub about_us: u64,
    /// Random: becomes the epoch if the pool has none, and the stem of event ids.
    pub seed: u64,
    /// What to do, in order.
    pub ops: Vec<Op>,
}

impl Call {
    /// More operations than this are split over calls, so that a script stays short.
    pub const MAX_OPS: usize = 64;

    /// Every group that the operations name, once, in order of appearance, with its configuration
    /// where an operation knows it. Replies and events follow this order.
    pub fn groups(&self) -> Vec<(GroupId, Option<Arc<GroupSpec>>)> {
        let mut list: Vec<(GroupId, Option<Arc<GroupSpec>>)> = Vec::new();
        let mut add = |id: GroupId, spec: Option<&Arc<GroupSpec>>| match list.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) if known.is_none() => *known = spec.cloned(),
            Some(_) => {}
            None => list.push((id, spec.cloned())),
        };
        for op in &self.ops {
            match op {
                Op::Reserve { shape, .. } | Op::Check { shape, .. } | Op::Record { shape, .. } => {
                    shape.groups.iter().for_each(|spec| add(spec.id, Some(spec)));
                }
                Op::Settle { groups, .. } => groups.iter().for_each(|id| add(*id, None)),
                Op::Extend { groups, add: more, .. } => {
                    groups.iter().for_each(|id| add(*id, None));
                    more.iter().flat_map(|(shape, _)| &shape.groups).for_each(|spec| add(spec.id, Some(spec)));
                }
                Op::Touch { group } | Op::Reset { group, .. } | Op::Read { group } => add(group.id(), group.spec()),
            }
        }
        list
    }
}
