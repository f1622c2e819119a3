//! One multiplexed connection, leased from the pool and shared by clones; replaced when it breaks.
//!
//! `Pool::get` pings on each use and hands out exclusive connections: per call it costs more than the
//! script. So a lane leases one connection for as long as it works. While the server is away, the lane's
//! [`Breaker`] lets one call at a time find out whether it is back; everybody else is told so at once.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, aio::MultiplexedConnection, io::tcp::TcpSettings};
use tokio::{sync::Mutex, time::Instant};
use tracing::{info, warn};

use super::breaker::{Admission, Breaker, BreakerSettings};
use crate::store::{StoreError, health::LaneHealth};

struct Live {
    lease: std::sync::Mutex<Option<Connection>>,
    shared: MultiplexedConnection,
    generation: u64,
}

/// Times of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The longest that a call may take, connecting included.
    pub deadline: Duration,
    /// The longest that connecting may take: DNS, TCP, TLS and greeting.
    pub connect: Duration,
    /// When the server is left alone.
    pub breaker: BreakerSettings,
}

/// See the module's documentation.
pub struct Lane {
    name: String,
    pool: Pool,
    live: ArcSwapOption<Live>,
    /// The number of the last connection.
    connecting: Mutex<u64>,
    times: Times,
    breaker: std::sync::Mutex<Breaker>,
}

/// A clone of the lane's connection, and which one it is.
pub struct Held {
    /// The connection.
    pub connection: MultiplexedConnection,
    generation: u64,
}

impl Lane {
    /// Prepares a lane; connects on first use. Errors name what is wrong with the URL.
    pub fn new(name: impl Into<String>, url: &str, times: Times) -> Result<Self, StoreError> {
        let unusable = |error: redis::RedisError| StoreError::Unavailable(format!("the Redis URL is not usable: {error}"));
        let info = url.into_connection_info().map_err(unusable)?;
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(socket_keepalive());
        let info = info.set_tcp_settings(tcp);
        Client::open(info.clone()).map_err(unusable)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(times.connect))
            .set_response_timeout(Some(times.deadline))
            .set_pipeline_buffer_size(1024);
        let manager = Manager::new_with_config(info, config).map_err(unusable)?;
        let pool = Pool::builder(manager)
            .max_size(2)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(times.connect))
            .create_timeout(Some(times.connect))
            .recycle_timeout(Some(times.deadline))
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let breaker = Breaker::new(times.breaker).into();
        Ok(Self { name: name.into(), pool, live: ArcSwapOption::empty(), connecting: Mutex::default(), times, breaker })
    }

    /// The longest that a call may take.
    pub fn deadline(&self) -> Duration {
        self.times.deadline
    }

    /// May a call go now? Answers until when it must be done.
    pub fn enter(&self) -> Result<Instant, StoreError> {
        let now = now();
        match self.breaker().admit(now, self.times.deadline) {
            Admission::Pass => Ok(now + self.times.deadline),
            Admission::Refused(pause) => {
                Err(StoreError::Unavailable(format!("it failed repeatedly and is tried again in {} ms", pause.as_millis())))
            }
        }
    }

    /// A call is done. Any answer of the server's own is a success, unless it says that it cannot serve.
    pub fn leave<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(error) if error.is_transient() => {
                if self.breaker().failed(now()) {
                    warn!(lane = self.name, %error, "Redis is away: answering without it, and trying it at intervals");
                }
            }
            _ => {
                if self.breaker().succeeded() {
                    info!(lane = self.name, "Redis is back");
                }
            }
        }
    }

    /// How it is doing.
    pub fn health(&self) -> LaneHealth {
        let breaker = self.breaker();
        LaneHealth { lane: self.name.clone(), circuit: breaker.circuit(), transitions: breaker.transitions() }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Nothing in there can panic half-way.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, made if there is none.
    pub async fn connection(&self) -> Result<Held, StoreError> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let mut generation = self.connecting.lock().await;
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let lease = self.pool.get().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let shared = MultiplexedConnection::clone(&lease);
        *generation += 1;
        let live = Live { lease: Some(lease).into(), shared, generation: *generation };
        self.live.store(Some(live.into()));
        self.held().ok_or_else(|| StoreError::Unavailable("the connection broke at once".into()))
    }

    fn held(&self) -> Option<Held> {
        let live = self.live.load();
        live.as_ref().map(|live| Held { connection: live.shared.clone(), generation: live.generation })
    }

    /// Gives up a connection that broke, unless another has already taken its place.
    pub fn give_up(&self, held: &Held) {
        let current = self.live.load_full();
        if let Some(live) = current.filter(|live| live.generation == held.generation) {
            self.live.compare_and_swap(&live, None);
            if let Ok(mut lease) = live.lease.lock() {
                // Taken out of the pool, so that nobody else is given it.
                lease.take().map(Connection::take);
            }
        }
    }
}

fn socket_keepalive() -> redis::io::tcp::socket2::TcpKeepalive {
    redis::io::tcp::socket2::TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5))
}

fn now() -> Instant {
    Instant::now()
}
