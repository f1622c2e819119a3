//! Do messages that this node sends come back to it? A connection can be healthy and yet deliver
//! nothing: attached to a server that nobody writes to any more, or cut off behind a proxy.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
};

use super::{counts::Counts, freshness::FreshnessState, timing::Timing};
use crate::store::{Store, keys::probe_channel};

/// Sends probes through the store and hears them through the bus.
pub struct Probe {
    store: Arc<dyn Store>,
    channel: String,
    /// Number of the probe that was heard last.
    heard: AtomicU64,
    returned: Notify,
}

impl Probe {
    /// A probe on a channel that no other node has.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let node = format!("{:016x}", rand::random::<u64>());
        Self { store, channel: probe_channel(&node), heard: AtomicU64::new(0), returned: Notify::new() }
    }

    /// Where it listens.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// A message came on the probe's channel.
    pub fn heard(&self, nonce: &[u8], freshness: &FreshnessState) {
        if let Some(nonce) = std::str::from_utf8(nonce).ok().and_then(|text| text.parse().ok()) {
            self.heard.store(nonce, Ordering::Release);
            freshness.probe_returned(Instant::now());
            self.returned.notify_one();
        }
    }

    /// Probes at once and then in intervals, for as long as probes come back. Only a probe that the
    /// server has taken proves anything.
    pub async fn run(&self, freshness: &FreshnessState, counts: &Counts, timing: Timing) {
        loop {
            let sent = Instant::now();
            let nonce: u64 = rand::random();
            match self.store.probe(&self.channel, &nonce.to_string()).await {
                Ok(()) => {
                    let deadline = sent + timing.probe;
                    if self.heard.load(Ordering::Acquire) != nonce {
                        freshness.probe_sent(sent);
                    }
                    while self.heard.load(Ordering::Acquire) != nonce {
                        if timeout_at(deadline, self.returned.notified()).await.is_err() {
                            counts.probes_lost.add(1);
                            return;
                        }
                    }
                }
                Err(_) => freshness.probe_failed(),
            }
            sleep_until(sent + timing.probe).await;
        }
    }
}
