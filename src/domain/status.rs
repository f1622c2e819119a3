//! Statuses of counters and pools, and the packed bytes that stand for them.

use serde::{Deserialize, Serialize};

/// Status of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterStatus {
    /// Below its warning threshold.
    #[default]
    Normal,
    /// At or above `warning_at` of its capacity; leaves five points below.
    Warning,
    /// Full, or it refused a small request; leaves five points below (concurrency: at capacity − 1).
    Exhausted,
}

impl CounterStatus {
    /// From the byte in packed state; unknown bytes read as normal.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Warning,
            2 => Self::Exhausted,
            _ => Self::Normal,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Exhausted => "exhausted",
        }
    }
}

/// Status of a pool or a scope, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolStatus {
    /// Nothing is near its ceiling.
    #[default]
    Normal,
    /// A counter is at its warning threshold.
    Warning,
    /// The provider is overloaded, or this node answers without Redis.
    Degraded,
    /// A rate or concurrency limit is exhausted, or the provider said wait.
    RateLimited,
    /// A budget is exhausted, or the provider said that the quota is gone.
    QuotaExceeded,
}

impl PoolStatus {
    /// From the byte in packed state; unknown bytes read as normal.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Warning,
            2 => Self::Degraded,
            3 => Self::RateLimited,
            4 => Self::QuotaExceeded,
            _ => Self::Normal,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Degraded => "degraded",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
        }
    }

    /// What a counter's status means for the pool or scope that it belongs to.
    pub fn of_counter(status: CounterStatus, is_budget: bool) -> Self {
        match status {
            CounterStatus::Normal => Self::Normal,
            CounterStatus::Warning => Self::Warning,
            CounterStatus::Exhausted if is_budget => Self::QuotaExceeded,
            CounterStatus::Exhausted => Self::RateLimited,
        }
    }
}
