//! Does this node hear what happens?

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// How well this node hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The subscription stands.
    pub connected: bool,
    /// Time since the last probe that came back; `None` = none has yet.
    pub probe_age: Option<Duration>,
    /// What this node shows may be old: subscribers are told so.
    pub stale: bool,
    /// Probes are sent without error and do not come back: this node must not be given work. A node
    /// whose Redis is away as a whole is not deaf, and stays ready.
    pub deaf: bool,
}

impl Freshness {
    /// May the node be given subscribers?
    pub fn is_ready(&self) -> bool {
        !self.deaf
    }
}

#[derive(Default)]
struct Heard {
    connected: bool,
    returned_at: Option<Instant>,
    /// The first probe that was sent after the last one that came back.
    unheard_since: Option<Instant>,
    /// The last probe could not be sent.
    away: bool,
}

/// Shared between those who listen and those who ask.
pub struct FreshnessState {
    heard: Mutex<Heard>,
    /// A probe has come back since the node started.
    proved: watch::Sender<bool>,
    overdue: Duration,
    deaf_after: Duration,
}

impl FreshnessState {
    /// A probe is overdue after two intervals, and the node deaf after `deaf_after`.
    pub fn new(probe: Duration, deaf_after: Duration) -> Arc<Self> {
        Arc::new(Self { heard: Mutex::default(), proved: watch::Sender::new(false), overdue: probe * 2, deaf_after })
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subscription was made, or ended.
    pub fn set_connected(&self, connected: bool) {
        self.heard().connected = connected;
    }

    /// A probe was sent and the server took it.
    pub fn probe_sent(&self, at: Instant) {
        let mut heard = self.heard();
        heard.unheard_since.get_or_insert(at);
        heard.away = false;
    }

    /// A probe came back.
    pub fn probe_returned(&self, at: Instant) {
        let mut heard = self.heard();
        heard.returned_at = Some(at);
        heard.unheard_since = None;
        drop(heard);
        self.proved.send_if_modified(|proved| !std::mem::replace(proved, true));
    }

    /// Returns once a probe has come back.
    pub async fn proved(&self) {
        // The sender lives as long as this does.
        let _ = self.proved.subscribe().wait_for(|proved| *proved).await;
    }

    /// A probe could not be sent, so that silence proves nothing.
    pub fn probe_failed(&self) {
        let mut heard = self.heard();
        heard.unheard_since = None;
        heard.away = true;
    }

    /// How well this node hears now. `verified`: every tail was compared with its log.
    pub fn read(&self, now: Instant, verified: bool) -> Freshness {
        let heard = self.heard();
        let age = heard.returned_at.map(|at| now.duration_since(at));
        let unheard = heard.unheard_since.is_some_and(|at| now.duration_since(at) > self.deaf_after);
        Freshness {
            connected: heard.connected,
            probe_age: age,
            stale: !verified || !heard.connected || age.is_none_or(|age| age > self.overdue),
            // Before the first probe came back nothing proves that this node hears at all.
            deaf: !heard.away && (unheard || heard.returned_at.is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deaf_node_is_not_ready_and_one_without_redis_is_only_stale() {
        let (second, start) = (Duration::from_secs(1), Instant::now());
        let state = FreshnessState::new(5 * second, 30 * second);
        state.set_connected(true);
        assert!(!state.read(start, true).is_ready(), "nothing was heard yet");
        state.probe_sent(start);
        state.probe_returned(start);
        assert!(!state.read(start + second, true).stale);
        assert!(state.read(start + second, false).stale);
        state.probe_sent(start + 5 * second);
        let read = state.read(start + 20 * second, true);
        assert!(read.stale && read.is_ready());
        assert!(!state.read(start + 36 * second, true).is_ready());
        state.probe_failed();
        let away = state.read(start + 100 * second, true);
        assert!(away.stale && away.is_ready());
    }
}
