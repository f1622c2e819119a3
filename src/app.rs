//! The composition root: puts a node together, and takes it apart in order.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use poem::Route;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{AuthMode, Config, KeyHash, Role},
    coordinator::{Coordinator, types::CoordinatorError},
    events,
    http::{
        self, HttpSettings, HttpState,
        auth::{self, AuthSettings, KeySettings, Reach},
        live::{Live, LiveSettings},
    },
    store::{
        Store, StoreError,
        redis::{BreakerSettings, RedisSettings, RedisStore},
    },
    telemetry::{BreakerMetrics, LiveMetrics, StoreMetrics},
};

/// Pause between attempts to reach the store at start.
const RETRY: Duration = Duration::from_millis(200);
/// How long a node that starts waits until it hears of changes.
const HEARING: Duration = Duration::from_secs(2);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store was not reached in time.
    #[error("Redis is not reachable: {0}")]
    Store(String),
    /// The store refused what the node wrote down about its pools.
    #[error("{0}")]
    Refused(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Internal(String),
}

/// A node that serves.
pub struct Node {
    address: SocketAddr,
    state: HttpState,
    serving: JoinHandle<io::Result<()>>,
    tasks: TaskTracker,
    stop_serving: CancellationToken,
    stop_tasks: CancellationToken,
    drain_delay: Duration,
    grace: Duration,
}

impl Node {
    /// Binds `config.server.listen` and starts a node there; `wait` is how long the store may take to appear.
    pub async fn start(config: &Config, wait: Duration) -> Result<Self, StartError> {
        let address = config.server.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        Self::start_on(listener, config, wait).await
    }

    /// Starts a node on a listener of the caller's.
    pub async fn start_on(listener: TcpListener, config: &Config, wait: Duration) -> Result<Self, StartError> {
        let store: Arc<dyn Store> =
            Arc::new(RedisStore::new(&redis_settings(config)).map_err(|e| StartError::Refused(e.to_string()))?);
        Self::start_with(store, listener, config, wait).await
    }

    /// Starts a node on a store of the caller's.
    pub async fn start_with(
        store: Arc<dyn Store>,
        listener: TcpListener,
        config: &Config,
        wait: Duration,
    ) -> Result<Self, StartError> {
        let internal = |error: &dyn std::fmt::Display| StartError::Internal(error.to_string());
        let address = listener.local_addr().map_err(|error| internal(&error))?;
        let (tasks, stop_tasks, stop_serving) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let coordinator =
            Coordinator::start(store.clone(), config.pools.clone(), &tasks, &stop_tasks).map_err(|error| internal(&error))?;
        if let Err(error) = prepare(&coordinator, wait).await {
            stop_tasks.cancel();
            return Err(error);
        }
        let registry = prometheus::Registry::new_custom(Some("quota".into()), None).map_err(|error| internal(&error))?;
        registry.register(Box::new(StoreMetrics::new(coordinator.clone()))).map_err(|error| internal(&error))?;
        registry.register(Box::new(BreakerMetrics::new(coordinator.clone()))).map_err(|error| internal(&error))?;
        let parts = events::Parts {
            url: config.redis.url.expose().to_owned(),
            store,
            coordinator: coordinator.clone(),
            timing: events::Timing::default(),
        };
        let hub = events::start(parts, &tasks, &stop_tasks).inspect_err(|_| stop_tasks.cancel())?;
        let live_metrics = LiveMetrics::new(hub.clone()).map_err(|error| internal(&error))?;
        registry.register(Box::new(live_metrics)).map_err(|error| internal(&error))?;
        // So that the node is ready from its first answer on. One that does not hear says so by itself.
        let _ = tokio::time::timeout(HEARING, hub.listening()).await;
        let live = Live::new(hub, live_settings(config), TaskTracker::new(), &registry).map_err(|error| internal(&error))?;
        let settings = http_settings(config);
        let grace = settings.shutdown_grace;
        let state = HttpState::new(coordinator, &auth_settings(config), registry, settings)
            .map_err(|error| internal(&error))?
            .with_live(live);
        let router = http::router(state.clone(), Route::new());
        let serving = {
            let (state, stop) = (state.clone(), stop_serving.clone());
            tasks.spawn(async move { http::serve(listener, router, &state, stop).await })
        };
        tracing::info!(%address, pools = config.pools.len(), version = env!("CARGO_PKG_VERSION"), "node serves");
        Ok(Self { address, state, serving, tasks, stop_serving, stop_tasks, drain_delay: config.server.drain_delay, grace })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its use cases.
    pub fn coordinator(&self) -> &Coordinator {
        self.state.coordinator()
    }

    /// Waits until the node ends by itself, which it only does when its listener fails.
    pub async fn failed(&mut self) -> io::Error {
        match (&mut self.serving).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::Error::other("the server ended"),
            Err(error) => io::Error::other(error),
        }
    }

    /// Takes the node out of service: not ready at once, still answering for the drain delay, then
    /// requests in flight finish within their grace, then the tasks behind them end.
    pub async fn stop(self) {
        self.state.draining().cancel();
        tracing::info!(address = %self.address, delay = ?self.drain_delay, "node drains");
        tokio::time::sleep(self.drain_delay).await;
        self.stop_serving.cancel();
        // The server does not wait for connections that were upgraded; they close themselves, spread over a while.
        if let Some(live) = self.state.live()
            && tokio::time::timeout(self.grace + Duration::from_secs(3), live.ended()).await.is_err()
        {
            tracing::warn!(address = %self.address, "live connections were cut off");
        }
        // The server has a deadline of its own; one second more lets it say so.
        let _ = tokio::time::timeout(self.grace + Duration::from_secs(1), self.serving).await;
        self.stop_tasks.cancel();
        drop(self.state);
        self.tasks.close();
        if tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await.is_err() {
            tracing::warn!(address = %self.address, "tasks were cut off");
        }
        tracing::info!(address = %self.address, "node stopped");
    }
}

/// Writes the pools down in the store, trying again while it is away.
async fn prepare(coordinator: &Coordinator, wait: Duration) -> Result<(), StartError> {
    let give_up = Instant::now() + wait;
    loop {
        match coordinator.prepare().await {
            Ok(()) => return Ok(()),
            Err(CoordinatorError::StoreUnavailable { reason, .. }) if Instant::now() < give_up => {
                tracing::warn!(reason, "Redis is not reachable; trying again");
                tokio::time::sleep(RETRY).await;
            }
            Err(CoordinatorError::StoreUnavailable { reason, .. }) => return Err(StartError::Store(reason)),
            Err(error) => return Err(StartError::Refused(error.to_string())),
        }
    }
}

/// What the store is told of the configuration.
pub fn redis_settings(config: &Config) -> RedisSettings {
    RedisSettings {
        url: config.redis.url.expose().to_owned(),
        deadline: config.redis.deadline,
        connect_timeout: config.redis.connect_timeout,
        breaker: BreakerSettings {
            failures: config.redis.breaker_failures,
            longest_pause: config.redis.breaker_longest_pause,
            ..BreakerSettings::default()
        },
    }
}

/// Connections are closed within the drain delay and half of the grace, so that the last have time to say farewell.
fn live_settings(config: &Config) -> LiveSettings {
    let live = &config.live;
    LiveSettings {
        origins: live.origins.clone(),
        max_connections: live.max_connections,
        max_per_pool: live.max_connections_per_pool,
        max_per_key: live.max_connections_per_key,
        max_unknown: live.max_unauthenticated,
        max_unknown_per_address: live.max_unauthenticated_per_address,
        connects: (live.connects_per_second, live.connects_per_second.saturating_mul(2)),
        max_subscriptions: live.max_subscriptions,
        message_bytes: live.max_message_bytes,
        unknown_message_bytes: live.max_message_bytes.min(LiveSettings::default().unknown_message_bytes),
        authenticate_within: live.authenticate_within,
        ping: live.ping_interval,
        pong: live.pong_timeout,
        write_stall: live.write_timeout,
        max_age: live.max_age,
        max_stream_age: live.max_stream_age,
        drain_window: config.server.drain_delay + config.server.shutdown_grace / 2,
        commands: (live.commands_per_second, live.commands_per_second.saturating_mul(2)),
        ticket: live.ticket_lifetime,
    }
}

fn http_settings(config: &Config) -> HttpSettings {
    HttpSettings {
        body_limit: config.server.max_body_bytes,
        shutdown_grace: config.server.shutdown_grace,
        ..HttpSettings::default()
    }
}

fn auth_settings(config: &Config) -> AuthSettings {
    let role = |role: &Role| match role {
        Role::Read => auth::Role::Read,
        Role::Consume => auth::Role::Consume,
        Role::Report => auth::Role::Report,
        Role::Admin => auth::Role::Admin,
    };
    AuthSettings {
        mode: match config.auth.mode {
            Some(AuthMode::None) => auth::AuthMode::None,
            Some(AuthMode::Keys) | None => auth::AuthMode::Keys,
        },
        keys: config
            .auth
            .keys
            .iter()
            .map(|key| KeySettings {
                name: key.name.clone(),
                sha256: key.sha256.0,
                roles: key.roles.iter().map(role).collect(),
                pools: key.pools.clone(),
                reach: Reach::new(key.scope.clone()),
                expires_at: key.expires_at,
            })
            .collect(),
        admin_key_sha256: config.admin_key.as_ref().map(|key| KeyHash::of(key.expose()).0),
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}
