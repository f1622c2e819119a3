//! What every operation of a node shares.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    auth::{AuthSettings, Keyring},
    live::Live,
    metrics::HttpMetrics,
};
use crate::coordinator::Coordinator;

/// Bounds of the edge.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Longest body, bytes.
    pub body_limit: usize,
    /// Most connections at once; more are answered 503 and closed.
    pub max_connections: usize,
    /// A connection without traffic is closed after this time.
    pub idle_timeout: Duration,
    /// How long requests in flight may take once the node stops.
    pub shutdown_grace: Duration,
    /// How long readiness waits for the store.
    pub ready_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            body_limit: 1 << 20,
            max_connections: 10_000,
            idle_timeout: Duration::from_secs(120),
            shutdown_grace: Duration::from_secs(10),
            ready_timeout: Duration::from_secs(1),
        }
    }
}

/// A node, as its operations see it. Cheap to clone.
#[derive(Clone)]
pub struct HttpState(Arc<Inner>);

struct Inner {
    coordinator: Coordinator,
    keyring: Keyring,
    metrics: HttpMetrics,
    registry: prometheus::Registry,
    settings: HttpSettings,
    draining: CancellationToken,
    live: OnceLock<Live>,
}

impl HttpState {
    /// Puts a node together. `registry` is what `/metrics` shows; the edge's own metrics are added to it.
    /// Fails when a metric of the same name is registered there already.
    pub fn new(
        coordinator: Coordinator,
        auth: &AuthSettings,
        registry: prometheus::Registry,
        settings: HttpSettings,
    ) -> Result<Self, prometheus::Error> {
        let metrics = HttpMetrics::register(&registry)?;
        let (keyring, draining) = (Keyring::new(auth), CancellationToken::new());
        Ok(Self(Arc::new(Inner { coordinator, keyring, metrics, registry, settings, draining, live: OnceLock::new() })))
    }

    /// The use cases.
    pub fn coordinator(&self) -> &Coordinator {
        &self.0.coordinator
    }

    /// The keys.
    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// The edge's metrics.
    pub fn metrics(&self) -> &HttpMetrics {
        &self.0.metrics
    }

    /// Everything that `/metrics` shows.
    pub fn registry(&self) -> &prometheus::Registry {
        &self.0.registry
    }

    /// The bounds.
    pub fn settings(&self) -> &HttpSettings {
        &self.0.settings
    }

    /// Cancelled when the node is about to stop: from then on it says that it is not ready, and goes on answering.
    pub fn draining(&self) -> &CancellationToken {
        &self.0.draining
    }

    /// Adds live updates; only the first call counts.
    pub fn with_live(self, live: Live) -> Self {
        // A second one is ignored: connections of the first may stand already.
        let _ = self.0.live.set(live);
        self
    }

    /// Live updates, where the node was put together with them.
    pub fn live(&self) -> Option<&Live> {
        self.0.live.get()
    }
}
