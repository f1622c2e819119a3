//! A node's idea of the store's time: what the last reply said, carried on by the monotonic clock.
//! It only chooses which calendar periods are sent along; decisions use the store's own time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

/// See the module's documentation.
#[derive(Debug)]
pub struct PoolClock {
    began: Instant,
    /// The store's time at `began`, µs; 0 = never heard.
    offset_us: AtomicU64,
}

impl Default for PoolClock {
    fn default() -> Self {
        Self { began: Instant::now(), offset_us: AtomicU64::new(0) }
    }
}

impl PoolClock {
    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The store said what time it is.
    pub fn learn(&self, store_us: u64) {
        self.offset_us.store(store_us.saturating_sub(self.elapsed_us()), Ordering::Relaxed);
    }

    /// About what time it is there, µs since 1970; by this node's own clock until the store was heard.
    #[expect(clippy::disallowed_methods, reason = "a guess until the store was heard; never decides")]
    pub fn about_us(&self) -> u64 {
        match self.offset_us.load(Ordering::Relaxed) {
            0 => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(0)),
            offset => offset + self.elapsed_us(),
        }
    }
}
