//! Counts of one pool's calls, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::{StoreError, reply::Outcome};

/// Monotonic counts since the node started.
#[derive(Debug, Default)]
pub struct CallMeter {
    calls: AtomicU64,
    operations: AtomicU64,
    failures: AtomicU64,
    local_denials: AtomicU64,
}

/// A reading of [`CallMeter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Script calls.
    pub calls: u64,
    /// Operations in them.
    pub operations: u64,
    /// Calls that the store did not answer.
    pub failures: u64,
    /// Denials that needed no call.
    pub local_denials: u64,
}

impl CallMeter {
    /// One call with so many operations.
    pub fn count(&self, operations: usize, result: &Result<Outcome, StoreError>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(operations as u64, Ordering::Relaxed);
        if result.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One denial without a call.
    pub fn count_local_denial(&self) {
        self.local_denials.fetch_add(1, Ordering::Relaxed);
    }

    /// Present counts.
    pub fn read(&self) -> CallCounts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CallCounts {
            calls: get(&self.calls),
            operations: get(&self.operations),
            failures: get(&self.failures),
            local_denials: get(&self.local_denials),
        }
    }
}
