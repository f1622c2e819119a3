//! A configured ceiling and the rules by which it applies to a request.

use std::sync::Arc;

use globset::GlobMatcher;

use super::{
    ids::{LimitId, Number},
    period::Calendar,
    scope::{Partition, Scope},
    unit::Unit,
};

/// How a limit counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// At most `capacity` in any interval of this many milliseconds (1 s to 31 d).
    Rate {
        /// The window's length.
        window_ms: u32,
    },
    /// At most `capacity` in one calendar period; nothing comes back before its end.
    Budget {
        /// Cuts time into periods.
        calendar: Arc<Calendar>,
    },
    /// At most `capacity` held at once.
    Concurrency,
}

impl Kind {
    /// The word used in configuration and on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rate { .. } => "rate",
            Self::Budget { .. } => "budget",
            Self::Concurrency => "concurrency",
        }
    }
}

/// What an exceeded limit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Denies.
    Enforce,
    /// Decides, counts and reports, but lets pass.
    Shadow,
}

/// What becomes of held units when a lease ends without commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLeaseEnd {
    /// They come back.
    Refund,
    /// They count as used.
    Charge,
}

/// What a commit below the hold gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// The difference.
    Actual,
    /// Nothing: the provider counted what was admitted.
    Admitted,
}

/// What a request is told while the store is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnStoreFailure {
    /// That nobody can decide now.
    #[default]
    Deny,
    /// That it may go, uncounted.
    Allow,
}

impl OnStoreFailure {
    /// The word used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// How important a request is to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Priority {
    /// Gives way first.
    Low,
    /// The default.
    #[default]
    Normal,
    /// May use all of the capacity.
    High,
}

impl Priority {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// Reads [`Self::as_str`] back; anything else is normal.
    pub fn from_word(word: &str) -> Self {
        match word {
            "low" => Self::Low,
            "high" => Self::High,
            _ => Self::Normal,
        }
    }
}

/// The fraction of a limit's capacity that a priority may fill, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityShare {
    /// For `low`.
    pub low: u16,
    /// For `normal`.
    pub normal: u16,
    /// For `high`.
    pub high: u16,
}

impl Default for PriorityShare {
    fn default() -> Self {
        Self { low: 1000, normal: 1000, high: 1000 }
    }
}

impl PriorityShare {
    /// The ceiling that a priority sees, in units (rounded down).
    pub fn ceiling(&self, priority: Priority, capacity: u64) -> u64 {
        let share = match priority {
            Priority::Low => self.low,
            Priority::Normal => self.normal,
            Priority::High => self.high,
        };
        if share >= 1000 {
            return capacity;
        }
        u64::try_from(u128::from(capacity) * u128::from(share) / 1000).unwrap_or(capacity)
    }
}

/// One pattern of a `when` list: an exact value or a glob (`*`, `?`, `[…]`, `{a,b}`).
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This very value.
    Exact(Box<str>),
    /// Any value that the glob matches.
    Glob(GlobMatcher),
}

impl Pattern {
    /// Compiles a pattern; text without glob characters is exact.
    pub fn new(text: &str) -> Result<Self, globset::Error> {
        if text.contains(['*', '?', '[', '{']) {
            Ok(Self::Glob(globset::GlobBuilder::new(text).literal_separator(false).build()?.compile_matcher()))
        } else {
            Ok(Self::Exact(text.into()))
        }
    }

    /// Does the value match?
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(exact) => &**exact == value,
            Self::Glob(glob) => glob.is_match(value),
        }
    }

    /// The text that it was made of.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(exact) => exact,
            Self::Glob(glob) => glob.glob().glob(),
        }
    }
}

/// Another capacity for some values of `per`.
#[derive(Clone, Debug)]
pub struct Override {
    /// All of these must match the partition's values.
    pub matches: Vec<(Box<str>, Vec<Pattern>)>,
    /// The capacity then, in units.
    pub capacity: u64,
}

/// A configured ceiling. Amounts are in units (nano-dollars for money), fractions in thousandths.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Name, unique in its pool.
    pub id: LimitId,
    /// What is counted.
    pub unit: Unit,
    /// How it is counted.
    pub kind: Kind,
    /// The ceiling.
    pub capacity: u64,
    /// One counter for each combination of these scope keys' values; sorted; empty = pool-wide.
    pub per: Vec<Box<str>>,
    /// Applies only where each key's value matches one of its patterns. A missing key matches.
    pub when: Vec<(Box<str>, Vec<Pattern>)>,
    /// Other capacities, first match wins.
    pub overrides: Vec<Override>,
    /// The fraction of capacity (used + held) at which the status becomes `warning`.
    pub warning_at: u16,
    /// Enforce or shadow.
    pub mode: Mode,
    /// Fate of units whose lease ended.
    pub on_lease_end: OnLeaseEnd,
    /// What a commit below the hold gives back.
    pub settle: Settle,
    /// What it says while the store is away; only where all limits of a request allow, it is allowed.
    pub on_store_failure: OnStoreFailure,
    /// Ceilings by priority.
    pub priority_share: PriorityShare,
    /// Taken when a request names no cost in this unit.
    pub default_cost: Option<u64>,
    /// Skip the limit, rather than refuse the request, when no cost in its unit is known.
    pub optional: bool,
    /// Emit status events.
    pub events: bool,
    /// True for a companion made by `smooth`; it takes its parent's overrides scaled.
    pub companion: bool,
}

impl Limit {
    /// The text whose number identifies this limit's counters. It names what a counter's content
    /// means (id, unit, kind, window or calendar), and not what may change under it (capacity, thresholds).
    pub fn identity(&self) -> String {
        let shape = match &self.kind {
            Kind::Rate { window_ms } => format!("rate:{window_ms}"),
            Kind::Budget { calendar } => format!("budget:{}:{}", calendar.length().as_str(), calendar.zone_name()),
            Kind::Concurrency => "concurrency".to_owned(),
        };
        format!("limit:{}:{}:{shape}", self.id, self.unit)
    }

    /// The number of [`Self::identity`].
    pub fn number(&self) -> Number {
        Number::of(&self.identity())
    }

    /// Does this limit apply to a request of that scope? A key that the request left out counts as a match.
    pub fn applies_to(&self, scope: &Scope) -> bool {
        self.when.iter().all(|(key, patterns)| scope.get(key).is_none_or(|value| patterns.iter().any(|p| p.matches(value))))
    }

    /// A companion's part of a capacity: `capacity × slice ÷ window`, rounded down, yet at least 1 where anything is allowed
    /// at all.
    pub fn share(capacity: u64, slice_ms: u32, window_ms: u32) -> u64 {
        let share = u128::from(capacity) * u128::from(slice_ms) / u128::from(window_ms.max(1));
        u64::try_from(share).unwrap_or(capacity).max(capacity.min(1))
    }

    /// The capacity of one counter.
    pub fn capacity_for(&self, partition: &Partition) -> u64 {
        self.overrides
            .iter()
            .find(|o| {
                o.matches.iter().all(|(key, patterns)| partition.get(key).is_some_and(|v| patterns.iter().any(|p| p.matches(v))))
            })
            .map_or(self.capacity, |o| o.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_sees_its_share_rounded_down() {
        let share = PriorityShare { low: 500, normal: 900, high: 1000 };
        assert_eq!(share.ceiling(Priority::Low, 65), 32);
        assert_eq!(share.ceiling(Priority::Normal, 65), 58);
        assert_eq!(share.ceiling(Priority::High, 65), 65);
        assert_eq!(share.ceiling(Priority::Low, (1 << 53) - 1), ((1 << 53) - 1) / 2);
    }

    #[test]
    fn patterns_match_whole_values() {
        let glob = Pattern::new("gpt-4o*").unwrap();
        assert!(glob.matches("gpt-4o") && glob.matches("gpt-4o-mini/x"));
        assert!(!glob.matches("xgpt-4o"));
        assert!(Pattern::new("o3").unwrap().matches("o3"));
        assert!(!Pattern::new("o3").unwrap().matches("o3-mini"));
    }
}
