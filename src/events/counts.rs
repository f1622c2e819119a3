//! What happened to live updates since the node started, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Running counts.
        #[derive(Debug, Default)]
        pub struct Counts { $($(#[$doc])* pub $name: Count),* }

        /// The counts at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counted { $($(#[$doc])* pub $name: u64),* }

        impl Counts {
            /// Reads all counts.
            pub fn read(&self) -> Counted {
                Counted { $($name: self.$name.0.load(Relaxed)),* }
            }
        }
    };
}

counts! {
    /// Events appended to a tail.
    events,
    /// Messages that did not continue a tail.
    gaps,
    /// Events that came from the log because their message did not come.
    repaired,
    /// Times that a tail could not be continued.
    resets,
    /// Messages dropped because a tail's inbox was full.
    dropped,
    /// Connections of the subscription that ended.
    disconnects,
    /// Probes that were sent and did not come back.
    probes_lost,
    /// Subscribers that read too slowly.
    overflows,
    /// Resumes answered from the ring.
    ring_resumes,
    /// Resumes answered from the log.
    log_resumes,
    /// Snapshots given instead of a resume.
    snapshots,
}

/// One running count.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }
}
