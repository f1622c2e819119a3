//! How fast a client may send commands.

use tokio::time::Instant;

/// Room for commands: fills up with time, up to what may come at once.
#[derive(Debug)]
pub struct Pace {
    a_second: f64,
    at_once: f64,
    room: f64,
    since: Instant,
}

impl Pace {
    /// So many in a second, so many at once.
    pub fn new((a_second, at_once): (u32, u32), now: Instant) -> Self {
        Self { a_second: a_second.into(), at_once: at_once.into(), room: at_once.into(), since: now }
    }

    /// Counts one command; false when it is one too many.
    pub fn admits(&mut self, now: Instant) -> bool {
        let passed = now.duration_since(self.since).as_secs_f64();
        self.room = (self.room + passed * self.a_second).min(self.at_once);
        self.since = now;
        let admits = self.room >= 1.0;
        if admits {
            self.room -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_pace_holds() {
        let start = Instant::now();
        let mut pace = Pace::new((20, 40), start);
        assert_eq!((0..50).filter(|_| pace.admits(start)).count(), 40);
        assert!(!pace.admits(start + Duration::from_millis(49)));
        assert!(pace.admits(start + Duration::from_millis(101)));
    }
}
