//! Pauses between attempts to connect: endless, with full jitter.

use std::time::Duration;

use super::message::Range;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that stood for so long was a good one.
const STABLE: Duration = Duration::from_secs(30);

/// See the module's documentation. `random` is from 0 to 1 each time.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a failure: anything up to a bound that doubles each time.
    pub fn after_failure(&mut self, random: f64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random)
    }

    /// A connection ended that had stood for so long.
    pub fn stood(&mut self, time: Duration) {
        if time >= STABLE {
            self.failures = 0;
        }
    }
}

/// A pause from a range that a node named; bounded, whatever it says.
pub fn within(range: Range, random: f64) -> Duration {
    let (min, max) = (Duration::from_millis(range.min).min(LONGEST), Duration::from_millis(range.max).min(LONGEST));
    min + max.saturating_sub(min).mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_start_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        let bounds: Vec<u128> = (0..9).map(|_| backoff.after_failure(1.0).as_millis()).collect();
        assert_eq!(bounds, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(backoff.after_failure(0.0), Duration::ZERO);
        backoff.stood(Duration::from_secs(29));
        assert_eq!(backoff.after_failure(0.5), LONGEST / 2);
        backoff.stood(STABLE);
        assert_eq!(backoff.after_failure(1.0), FIRST);
        let range = Range { min: 1000, max: 20_000 };
        assert_eq!((within(range, 0.0), within(range, 1.0)), (Duration::from_secs(1), Duration::from_secs(20)));
        assert_eq!(within(Range { min: 5, max: 0 }, 1.0), Duration::from_millis(5));
    }
}
