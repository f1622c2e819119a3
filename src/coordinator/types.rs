//! Requests and answers of the coordinator: what the HTTP edge turns its bodies into and out of.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use super::error::CoordinatorError;
use crate::domain::{Cost, CounterStatus, Estimate, Limit, Partition, PoolId, PoolStatus, Priority, Scope, TokenUse, Unit};

/// Free text that a caller attaches to a reservation (bounded by the edge).
pub type Metadata = BTreeMap<String, String>;

/// Who asks: name of the API key, used to keep idempotency keys of different callers apart.
pub type Principal = Arc<str>;

/// What a request wants of which limits.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The pool.
    pub pool: PoolId,
    /// Who asks and for what.
    pub scope: Scope,
    /// Explicit costs.
    pub cost: Cost,
    /// Fills in what `cost` leaves out.
    pub estimate: Option<Estimate>,
    /// Decides which share of a capacity may be filled.
    pub priority: Priority,
}

/// Hold units before use.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// What is asked.
    pub ask: Ask,
    /// For how long the hold stands: 1 s to 1 h.
    pub lease: Duration,
    /// Same key and body: the same reservation.
    pub idempotency_key: Option<String>,
    /// Kept with the reservation.
    pub metadata: Metadata,
    /// Who asks.
    pub principal: Principal,
}

/// Count a use that was not reserved.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was used.
    pub ask: Ask,
    /// Same key and body: counted once.
    pub idempotency_key: Option<String>,
    /// Who says so.
    pub principal: Principal,
}

/// Settle a reservation at its true cost.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The reservation's id.
    pub reservation: String,
    /// True costs; units not named keep their hold.
    pub cost: Cost,
    /// What the call used; gives the cost in money where `cost` does not.
    pub used: Option<Used>,
    /// The true cost is not known: the hold is charged and marked.
    pub estimated: bool,
}

/// Tokens, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// By what they are billed as.
    pub tokens: TokenUse,
    /// The model that answered; `None` = the one that was reserved for.
    pub model: Option<String>,
}

/// Give everything back.
#[derive(Clone, Debug)]
pub enum Release {
    /// By the reservation's id.
    Reservation(String),
    /// By the key that it was, or will be, reserved with; voids a reserve that arrives later.
    IdempotencyKey {
        /// The pool.
        pool: PoolId,
        /// The key.
        key: String,
        /// Whose key.
        principal: Principal,
    },
}

/// Prolong a lease.
#[derive(Clone, Debug)]
pub struct Extend {
    /// The reservation's id.
    pub reservation: String,
    /// From now: 1 s to 1 h, 24 h in total.
    pub lease: Duration,
    /// More units, which can be denied (then the lease is not prolonged either).
    pub add_cost: Cost,
    /// Makes a repetition of `add_cost` harmless.
    pub idempotency_key: Option<String>,
}

/// Where the system stands with one counter.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The limit, as configured on this node.
    pub limit: Arc<Limit>,
    /// Which instance of it.
    pub partition: Arc<Partition>,
    /// Ceiling, units.
    pub capacity: u64,
    /// Committed in the window, period (units).
    pub used: u64,
    /// Reserved and not yet settled (units).
    pub held: u64,
    /// Finally charged since the counter exists (units): grows until a reset.
    pub total: u64,
    /// Time until the limit is whole again if nothing more is asked; `None` when it is whole.
    pub reset_after: Option<Duration>,
    /// The counter's status.
    pub status: CounterStatus,
    /// May the figures be shown to the caller? The edge decides.
    pub shown: bool,
}

impl Figure {
    /// `max(0, capacity − used − held)`.
    pub fn remaining(&self) -> u64 {
        self.capacity.saturating_sub(self.used + self.held)
    }

    /// What is beyond the capacity.
    pub fn over(&self) -> u64 {
        (self.used + self.held).saturating_sub(self.capacity)
    }

    /// Used + held in tenths of a percent of the capacity, rounded down; may pass 1000.
    pub fn per_mille(&self) -> u64 {
        match self.capacity {
            0 => 1000,
            capacity => u64::try_from(u128::from(self.used + self.held) * 1000 / u128::from(capacity)).unwrap_or(u64::MAX),
        }
    }
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The shared store.
    Redis,
    /// This node, from what it held in advance.
    Local,
    /// Nobody: the store was away and the pool says `allow`.
    None,
}

/// Why a request was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// A limit has no room now.
    LimitReached,
    /// The cost is more than a limit's capacity: never granted as it is.
    CostExceedsCapacity,
}

/// What stands in the way of a request.
#[derive(Clone, Debug, Default)]
pub struct Obstacles {
    /// Enforcing limits without room, as indexes into the figures.
    pub violated: Vec<usize>,
    /// Shadow limits without room, as indexes into the figures.
    pub shadow_violated: Vec<usize>,
}

/// State of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationState {
    /// Held.
    Open,
    /// Settled at its true cost.
    Committed,
    /// Given back.
    Released,
    /// Its lease ended without settlement.
    Expired,
}

/// A reserve that was granted, now or earlier.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Opaque id, at most 128 characters of `[A-Za-z0-9_-]`.
    pub reservation: String,
    /// When the lease ends, µs since 1970.
    pub expires_at_us: u64,
    /// Units taken.
    pub charged: Vec<(Unit, u64)>,
    /// Open, unless this is a replay of a reservation that was settled since.
    pub state: ReservationState,
    /// True when an earlier reserve with the same idempotency key was found.
    pub replayed: bool,
}

/// A reserve or check that has no room.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Why.
    pub reason: DenialReason,
    /// When this very cost could be granted if nobody else came; `None` = never as it is.
    pub retry_after: Option<Duration>,
}

/// The outcome of a decision.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Units are held.
    Granted(Grant),
    /// Nothing was taken.
    Denied(Denial),
}

/// Answer to a reserve.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Granted or denied.
    pub outcome: Outcome,
    /// What stood (or, for shadow limits, would have stood) in the way.
    pub obstacles: Obstacles,
    /// Every counter that the request touches. Empty in a replay.
    pub figures: Vec<Figure>,
    /// Status of the request's scope.
    pub status: PoolStatus,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Who decided.
    pub authority: Authority,
}

/// Answer to a check: like a decision, but nothing was taken.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// `None` when the cost would be granted now.
    pub denial: Option<Denial>,
    /// What stands in the way.
    pub obstacles: Obstacles,
    /// Every counter that the request would touch.
    pub figures: Vec<Figure>,
    /// Status of the request's scope.
    pub status: PoolStatus,
    /// Position in the pool's event log.
    pub cursor: String,
}

/// Answer to commit and release.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The reservation's id.
    pub reservation: String,
    /// Its state now.
    pub state: ReservationState,
    /// Finally charged, by unit.
    pub charged: Vec<(Unit, u64)>,
    /// Limits whose counter was reset or removed since; nothing was given back there.
    pub skipped: Vec<String>,
    /// The lease had ended before.
    pub late: bool,
    /// The true cost was not known.
    pub estimated: bool,
    /// When it was settled, µs since 1970.
    pub settled_at_us: u64,
    /// The same was said before; this is the first answer again.
    pub replayed: bool,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Who settled it.
    pub authority: Authority,
}

/// Answer to extend.
#[derive(Clone, Debug)]
pub enum Extended {
    /// The lease stands until then.
    Prolonged {
        /// The reservation's id.
        reservation: String,
        /// When the lease ends, µs since 1970.
        expires_at_us: u64,
        /// Position in the pool's event log.
        cursor: String,
    },
    /// `add_cost` has no room; nothing changed.
    Denied(Box<Decision>),
}

/// Answer to record.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Units counted.
    pub charged: Vec<(Unit, u64)>,
    /// Every counter that counted.
    pub figures: Vec<Figure>,
    /// Status of the scope.
    pub status: PoolStatus,
    /// The same was said before; nothing was counted again.
    pub replayed: bool,
    /// Position in the pool's event log.
    pub cursor: String,
}

/// Counters of a pool, read.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Counters, pool-wide first, then by partition.
    pub figures: Vec<Figure>,
    /// Status of the pool, or of the scope that was asked for.
    pub status: PoolStatus,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Redis' time of the reading, µs since 1970.
    pub at_us: u64,
    /// Where to go on, when there are more groups.
    pub next: Option<String>,
}

/// How many partitions of a pool (its own, the pool-wide one, left out) are in which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    /// None of its counters is near its capacity.
    pub normal: u64,
    /// At least one is at its warning threshold, none exhausted.
    pub warning: u64,
    /// At least one is exhausted.
    pub exhausted: u64,
}

/// One reservation, read.
#[derive(Clone, Debug)]
pub struct ReservationView {
    /// Its id.
    pub reservation: String,
    /// The pool.
    pub pool: PoolId,
    /// Its state.
    pub state: ReservationState,
    /// Who asked and for what.
    pub scope: Scope,
    /// What the caller attached.
    pub metadata: Metadata,
    /// When it was granted, µs since 1970.
    pub created_at_us: u64,
    /// When its lease ends or ended, µs since 1970.
    pub expires_at_us: u64,
    /// Held (open) or finally charged, by unit.
    pub charged: Vec<(Unit, u64)>,
}

/// What a reset touches.
#[derive(Clone, Debug)]
pub struct Reset {
    /// The pool.
    pub pool: PoolId,
    /// Only this limit (by id).
    pub limit: Option<String>,
    /// Only counters whose partition contains these entries.
    pub scope: Scope,
    /// Who asks, for the audit.
    pub principal: Principal,
}
