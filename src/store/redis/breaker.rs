//! Circuit breaker of one connection: after some failures in a row the server is left alone, and tried
//! with one call at growing intervals. A pure state machine; the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::health::Circuit;

/// When it opens and how often the server is tried then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row until calls are answered without the server; at least 1.
    pub failures: u32,
    /// Time until the first try.
    pub first_pause: Duration,
    /// Each failed try doubles the pause, up to this.
    pub longest_pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 3, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(2) }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        pause: Duration,
    },
    /// A try that says nothing by `until` was given up by its caller; then another may go.
    HalfOpen {
        until: Instant,
        pause: Duration,
    },
}

/// What became of a call that wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It goes.
    Pass,
    /// It does not; another may after this time.
    Refused(Duration),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    transitions: [u64; 3],
}

impl Breaker {
    /// Closed.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failures: 0 }, transitions: [0; 3] }
    }

    /// May a call go? `patience` is the longest that it can take.
    pub fn admit(&mut self, now: Instant, patience: Duration) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass,
            State::Open { until, .. } | State::HalfOpen { until, .. } if now < until => Admission::Refused(until - now),
            State::Open { pause, .. } | State::HalfOpen { pause, .. } => {
                self.enter(State::HalfOpen { until: now + patience, pause });
                Admission::Pass
            }
        }
    }

    /// The server answered. True when that closed the circuit.
    pub fn succeeded(&mut self) -> bool {
        let was_closed = matches!(self.state, State::Closed { .. });
        if was_closed {
            self.state = State::Closed { failures: 0 };
        } else {
            self.enter(State::Closed { failures: 0 });
        }
        !was_closed
    }

    /// The server did not answer. True when that opened a closed circuit.
    pub fn failed(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures => {
                self.state = State::Closed { failures: failures + 1 };
                false
            }
            State::Closed { .. } => {
                let pause = self.settings.first_pause;
                self.enter(State::Open { until: now + pause, pause });
                true
            }
            // A call from before it opened; what it says is known.
            State::Open { .. } => false,
            State::HalfOpen { pause, .. } => {
                let pause = (pause * 2).min(self.settings.longest_pause);
                self.enter(State::Open { until: now + pause, pause });
                false
            }
        }
    }

    /// The state's name.
    pub fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed { .. } => Circuit::Closed,
            State::Open { .. } => Circuit::Open,
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    /// How often each state was entered, in the order of [`Circuit::ALL`].
    pub fn transitions(&self) -> [u64; 3] {
        self.transitions
    }

    fn enter(&mut self, state: State) {
        let before = self.circuit();
        self.state = state;
        let after = self.circuit();
        if before != after {
            let at = Circuit::ALL.iter().position(|circuit| *circuit == after).unwrap_or(0);
            self.transitions[at] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(250);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerSettings::default());
        assert_eq!([breaker.failed(now), breaker.failed(now), breaker.failed(now)], [false, false, true]);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerSettings::default());
        for _ in 0..5 {
            assert!(!breaker.failed(now) && !breaker.failed(now) && !breaker.succeeded());
        }
        assert_eq!((breaker.circuit(), breaker.admit(now, PATIENCE)), (Circuit::Closed, Admission::Pass));
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + ms(40), PATIENCE), Admission::Refused(ms(60)));
        assert_eq!((breaker.circuit(), breaker.transitions()), (Circuit::Open, [0, 0, 1]));
    }

    #[test]
    fn one_call_tries_and_the_pause_grows_up_to_its_cap() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for pause in [100, 200, 400, 800, 1600, 2000, 2000] {
            assert_eq!(breaker.admit(now + ms(pause - 1), PATIENCE), Admission::Refused(ms(1)));
            now += ms(pause);
            assert_eq!(breaker.admit(now, PATIENCE), Admission::Pass);
            assert_eq!(breaker.circuit(), Circuit::HalfOpen);
            assert_eq!(breaker.admit(now, PATIENCE), Admission::Refused(PATIENCE), "one at a time");
            assert!(!breaker.failed(now), "it was open already");
        }
    }

    #[test]
    fn a_success_closes_it_and_the_next_outage_begins_anew() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + ms(100), PATIENCE), Admission::Pass);
        breaker.failed(now + ms(100));
        assert_eq!(breaker.admit(now + ms(300), PATIENCE), Admission::Pass);
        assert!(breaker.succeeded() && !breaker.succeeded());
        assert_eq!((breaker.circuit(), breaker.transitions()), (Circuit::Closed, [1, 2, 2]));
        assert!(!breaker.failed(now) && !breaker.failed(now) && breaker.failed(now));
        assert_eq!(breaker.admit(now, PATIENCE), Admission::Refused(ms(100)));
    }

    #[test]
    fn a_try_that_was_given_up_does_not_keep_others_away_for_good() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + ms(100), PATIENCE), Admission::Pass);
        assert_eq!(breaker.admit(now + ms(349), PATIENCE), Admission::Refused(ms(1)));
        assert_eq!(breaker.admit(now + ms(350), PATIENCE), Admission::Pass);
    }

    #[test]
    fn what_fails_late_does_not_put_the_next_try_off() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(!breaker.failed(now + ms(90)));
        assert_eq!(breaker.admit(now + ms(100), PATIENCE), Admission::Pass);
    }
}
