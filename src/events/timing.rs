//! How often and how long.

use std::time::Duration;

use rand::Rng;

/// Intervals and bounds of live updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between comparisons of each pool with its log, before jitter of a quarter.
    pub tail_check: Duration,
    /// Between probes, and the longest that one may take to come back.
    pub probe: Duration,
    /// Between pings on the subscription's connection, and the longest that one may take.
    pub ping: Duration,
    /// The longest that connecting and subscribing may take.
    pub connect: Duration,
    /// Pause before the first attempt to connect anew; doubles up to `most_backoff`.
    pub least_backoff: Duration,
    /// Longest pause between attempts.
    pub most_backoff: Duration,
    /// A node that hears nothing of itself for so long, while Redis works, is not ready.
    pub deaf_after: Duration,
    /// Between two updates of the same figures.
    pub update: Duration,
    /// Figures are read again after so long although nobody wrote, as windows slide by themselves.
    pub idle_update: Duration,
    /// The longest that a subscriber waits for its first answer.
    pub join: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            tail_check: Duration::from_secs(10),
            probe: Duration::from_secs(5),
            ping: Duration::from_secs(2),
            connect: Duration::from_secs(2),
            least_backoff: Duration::from_millis(20),
            most_backoff: Duration::from_millis(500),
            deaf_after: Duration::from_secs(30),
            update: Duration::from_millis(250),
            idle_update: Duration::from_secs(1),
            join: Duration::from_secs(3),
        }
    }
}

/// The duration give or take a part of it, so that nodes do not act in step.
pub fn jittered(duration: Duration, part: f64) -> Duration {
    duration.mul_f64(rand::rng().random_range(1.0 - part..1.0 + part))
}
