//! Servers, stores and time for tests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quota_coordinator::{
    domain::PoolId,
    private_redis::PrivateRedis,
    store::{
        redis::{BreakerSettings, RedisSettings, RedisStore},
        scripts::{Publish, Scripts},
    },
};
use redis::aio::MultiplexedConnection;
use tokio::sync::OnceCell;

/// Reads the pool's time from a key, so that tests move it.
pub const TEST_CLOCK: &str =
    "local function server_time() return tonumber(redis.call('GET', string.match(KEYS[1], '^[^}]*}') .. ':test-clock')) end\n";

/// An instant in 2027.
pub const START: u64 = 1_800_000_000_000_000;

/// The server that most tests share; each takes pools of its own.
pub async fn shared() -> &'static PrivateRedis {
    static SERVER: OnceCell<PrivateRedis> = OnceCell::const_new();
    SERVER.get_or_init(|| async { PrivateRedis::start().await.unwrap() }).await
}

pub fn settings(url: &str) -> RedisSettings {
    let long = Duration::from_secs(5);
    RedisSettings { url: url.to_owned(), deadline: long, connect_timeout: long, breaker: BreakerSettings::default() }
}

/// A store that lives by the server's clock.
pub fn store(server: &PrivateRedis) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(&settings(server.url())).unwrap())
}

/// A store whose time the test sets.
pub fn timed_store(server: &PrivateRedis) -> Arc<RedisStore> {
    Arc::new(RedisStore::with_scripts(&settings(server.url()), Scripts::new(Publish::Plain, Some(TEST_CLOCK))).unwrap())
}

/// A pool name that no other test uses.
pub fn fresh_pool(stem: &str) -> PoolId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    PoolId::new(&format!("{stem}-{}", NEXT.fetch_add(1, Ordering::SeqCst))).unwrap()
}

pub async fn connection(server: &PrivateRedis) -> MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The time of one pool, for stores made by [`timed_store`].
pub struct TestClock {
    connection: MultiplexedConnection,
    key: String,
    /// µs since 1970.
    pub now: u64,
}

impl TestClock {
    /// Starts at [`START`].
    pub async fn start(server: &PrivateRedis, pool: &PoolId) -> Self {
        let key = format!("qc1:{{{pool}}}:test-clock");
        let mut clock = Self { connection: connection(server).await, key, now: START };
        clock.set(START).await;
        clock
    }

    pub async fn set(&mut self, now_us: u64) {
        self.now = now_us;
        let _: () = redis::cmd("SET").arg(&self.key).arg(now_us).query_async(&mut self.connection).await.unwrap();
    }

    pub async fn pass(&mut self, time: Duration) {
        self.set(self.now + u64::try_from(time.as_micros()).unwrap()).await;
    }
}

/// Every key of a pool with its serialized value.
pub async fn dump(connection: &mut MultiplexedConnection, pool: &PoolId) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for key in keys_of(connection, pool).await {
        let value: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(connection).await.unwrap();
        all.extend(value.map(|value| (key, value)));
    }
    all
}

/// Every key of a pool.
pub async fn keys_of(connection: &mut MultiplexedConnection, pool: &PoolId) -> Vec<String> {
    // A hash tag has no glob characters in it, so that the pattern is exact.
    redis::cmd("KEYS").arg(format!("qc1:{{{pool}}}:*")).query_async(connection).await.unwrap()
}

/// A pool's event log, oldest first.
pub async fn events(connection: &mut MultiplexedConnection, pool: &PoolId) -> Vec<serde_json::Value> {
    let key = format!("qc1:{{{pool}}}:log");
    let rows: Vec<(String, Vec<String>)> = redis::cmd("XRANGE").arg(key).arg("-").arg("+").query_async(connection).await.unwrap();
    rows.iter().map(|(_, fields)| serde_json::from_str(&fields[1]).unwrap()).collect()
}

/// Status changes by counter (`group/number`; the pool is `/0`), after a check that the log is one
/// unbroken chain and that each change begins where the last one of its counter ended.
pub fn changes(events: &[serde_json::Value]) -> BTreeMap<String, Vec<(u64, u64)>> {
    let mut all: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    let mut previous = "0".repeat(20);
    for (at, event) in events.iter().enumerate() {
        assert_eq!((event["seq"].as_u64(), event["prev"].as_str()), (Some(at as u64 + 1), Some(previous.as_str())), "{event}");
        event["id"].as_str().unwrap().clone_into(&mut previous);
        let name = format!("{}/{}", event["group"].as_str().unwrap(), event["number"]);
        let (from, to) = (event["from"].as_u64().unwrap(), event["to"].as_u64().unwrap());
        let own = all.entry(name).or_default();
        assert_eq!(own.last().map_or(0, |(_, to)| *to), from, "{event}");
        own.push((from, to));
    }
    all
}
