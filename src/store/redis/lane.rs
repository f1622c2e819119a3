//! One multiplexed connection, leased from the pool and shared by clones; replaced when it breaks.
//!
//! `Pool::get` pings on each use and hands out exclusive connections: per call it costs more than the
//! script. So a lane leases one connection for as long as it works. While the server is away, at most
//! one attempt every [`RETRY_AFTER`] is made; everybody else is told so at once.

use std::time::Duration;

use arc_swap::ArcSwapOption;
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, aio::MultiplexedConnection, io::tcp::TcpSettings};
use tokio::{sync::Mutex, time::Instant};

use crate::store::StoreError;

/// Pause between attempts to connect.
const RETRY_AFTER: Duration = Duration::from_millis(100);

struct Live {
    lease: std::sync::Mutex<Option<Connection>>,
    shared: MultiplexedConnection,
    generation: u64,
}

/// Times of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The longest that a command may take.
    pub deadline: Duration,
    /// The longest that connecting may take: DNS, TCP, TLS and greeting.
    pub connect: Duration,
}

#[derive(Default)]
struct Attempts {
    generation: u64,
    failed: Option<(Instant, String)>,
}

/// See the module's documentation.
pub struct Lane {
    pool: Pool,
    live: ArcSwapOption<Live>,
    connecting: Mutex<Attempts>,
    times: Times,
}

/// A clone of the lane's connection, and which one it is.
pub struct Held {
    /// The connection.
    pub connection: MultiplexedConnection,
    generation: u64,
}

impl Lane {
    /// Prepares a lane; connects on first use. Errors name what is wrong with the URL.
    pub fn new(url: &str, times: Times) -> Result<Self, StoreError> {
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
        Ok(Self { pool, live: ArcSwapOption::empty(), connecting: Mutex::default(), times })
    }

    /// The longest that a command may take.
    pub fn deadline(&self) -> Duration {
        self.times.deadline
    }

    /// The connection, made if there is none.
    pub async fn connection(&self) -> Result<Held, StoreError> {
        if let Some(held) = self.held() {
            return Ok(held);
        }
        let mut attempts = self.connecting.lock().await;
        if let Some(held) = self.held() {
            return Ok(held);
        }
        if let Some((at, reason)) = &attempts.failed
            && at.elapsed() < RETRY_AFTER
        {
            return Err(StoreError::Unavailable(reason.clone()));
        }
        match self.pool.get().await {
            Ok(lease) => {
                let shared = MultiplexedConnection::clone(&lease);
                attempts.generation += 1;
                attempts.failed = None;
                let live = Live { lease: Some(lease).into(), shared, generation: attempts.generation };
                self.live.store(Some(live.into()));
                self.held().ok_or_else(|| StoreError::Unavailable("the connection broke at once".into()))
            }
            Err(error) => {
                let reason = error.to_string();
                attempts.failed = Some((now(), reason.clone()));
                Err(StoreError::Unavailable(reason))
            }
        }
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
