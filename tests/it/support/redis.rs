//! A private redis-server for this test process, and stores on it.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quota_coordinator::{
    domain::PoolId,
    store::{
        redis::{RedisSettings, RedisStore},
        scripts::{Publish, Scripts},
    },
};

/// Reads the pool's time from a key, so that tests move it.
pub const TEST_CLOCK: &str =
    "local function server_time() return tonumber(redis.call('GET', string.match(KEYS[1], '^[^}]*}') .. ':test-clock')) end\n";

/// A server in a directory of its own. The shell between us and it ends it when our end of the pipe
/// closes, however this process ends.
pub struct PrivateRedis {
    child: Child,
    pub dir: PathBuf,
}

impl PrivateRedis {
    pub fn start() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let dir = std::env::temp_dir().join(format!("qc-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst)));
        std::fs::create_dir_all(&dir).unwrap();
        let script = r#"exec 3<&0 </dev/null; d=$1; shift; "$@" 3<&- & p=$!; (read -r _ <&3; kill -9 $p 2>/dev/null) & w=$!; wait $p; kill $w 2>/dev/null; rm -rf "$d""#;
        let child = Command::new("/bin/sh")
            .args(["-c", script, "private-redis"])
            .arg(&dir)
            .args(["redis-server", "--port", "0", "--save", "", "--maxmemory-policy", "noeviction", "--unixsocketperm", "700"])
            .args(["--unixsocket", dir.join("redis.sock").to_str().unwrap(), "--dir", dir.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server (apt-get install redis-server)");
        let server = Self { child, dir };
        let started = std::time::Instant::now();
        while std::os::unix::net::UnixStream::connect(server.dir.join("redis.sock")).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "redis-server did not start");
            std::thread::yield_now();
        }
        server
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.dir.join("redis.sock").display())
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The server that most tests share; each takes pools of its own.
pub fn shared() -> &'static PrivateRedis {
    static SERVER: OnceLock<PrivateRedis> = OnceLock::new();
    SERVER.get_or_init(PrivateRedis::start)
}

pub fn settings(url: String) -> RedisSettings {
    RedisSettings { url, deadline: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) }
}

/// A store whose time the test sets.
pub fn timed_store(server: &PrivateRedis) -> RedisStore {
    RedisStore::with_scripts(&settings(server.url()), Scripts::new(Publish::Plain, Some(TEST_CLOCK))).unwrap()
}

/// A pool name that no other test uses.
pub fn fresh_pool(stem: &str) -> PoolId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    PoolId::new(&format!("{stem}-{}", NEXT.fetch_add(1, Ordering::SeqCst))).unwrap()
}

pub async fn connection(server: &PrivateRedis) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

pub async fn set_time(connection: &mut redis::aio::MultiplexedConnection, pool: &PoolId, time_us: u64) {
    let key = format!("qc1:{{{pool}}}:test-clock");
    let _: () = redis::cmd("SET").arg(key).arg(time_us).query_async(connection).await.unwrap();
}
