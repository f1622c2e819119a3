//! Checks a trace of grants against a limit, independently of the code that granted them: exact
//! integers, no shared code, O(n log n).
//!
//! A trace is JSON lines, one for each grant, in any order:
//!
//! | field | meaning |
//! | --- | --- |
//! | `at_us` | when it was granted, µs since 1970 by the clock that decided |
//! | `cost` | units that were granted |
//! | `settled` | units finally charged; absent = the cost |
//! | `settled_at_us` | when that was known, for [`Count::Held`]; absent = never within the trace |
//!
//! Other fields are ignored. A grant at `a` counts in the half-open interval `(t − window, t]` when
//! `t − window < a ≤ t`. What was settled above the cost was never granted: it is no fault of the
//! decision, so it is not counted, and listed apart as an overrun.

mod read;
mod sweep;

pub use read::{Entry, TraceError, read};
pub use sweep::worst;

/// What of a grant counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Count {
    /// What was finally charged, from the grant on: the promise of a limit.
    #[default]
    Charged,
    /// The whole cost until the settlement, then what was charged: the total that each decision saw.
    Held,
}

/// The interval with the greatest sum, and what is to be said of the whole trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Units in the worst interval.
    pub worst: u128,
    /// Start of the first such interval, µs since 1970, exclusive. Below zero where a window reaches back beyond 1970.
    pub from_us: i128,
    /// Its end, inclusive: the instant of a grant.
    pub to_us: u64,
    /// Grants in it.
    pub grants: usize,
    /// Is `worst` within the capacity?
    pub holds: bool,
    /// Settlements above the grant, in the order of the trace.
    pub overruns: Vec<Overrun>,
}

/// A settlement above the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Line of the trace, from 1.
    pub line: usize,
    /// When it was granted, µs since 1970.
    pub at_us: u64,
    /// Units beyond the grant.
    pub amount: u64,
}
