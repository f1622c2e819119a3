//! The sections that stand beside the pools: server, Redis, history, log.

use std::{net::SocketAddr, time::Duration};

use redis::IntoConnectionInfo;

use super::{
    file::{HistoryFile, LogFile, RedisFile, ServerFile},
    path::KeyPath,
    reader::Reader,
    redact::SecretUrl,
};

/// How HTTP is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Longest time for one request.
    pub request_timeout: Duration,
    /// On shutdown: time between "not ready" and closing the listener, for load balancers to notice.
    pub drain_delay: Duration,
    /// On shutdown: longest time for open requests to end.
    pub shutdown_grace: Duration,
    /// Where `/metrics` alone is served; absent = on `listen`.
    pub metrics_listen: Option<SocketAddr>,
}

/// Where all state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// How to reach it; may carry a password.
    pub url: SecretUrl,
    /// Longest time for one call, connecting included.
    pub deadline: Duration,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Failures in a row until requests are answered without asking Redis.
    pub breaker_failures: u32,
    /// Longest time between two tries to reach it then.
    pub breaker_longest_pause: Duration,
}

/// Snapshots of usage over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Take them at all.
    pub persistence: bool,
    /// How long they are kept.
    pub retention: Duration,
    /// Time between two.
    pub snapshot_interval: Duration,
}

/// Log output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// A level, or `target=level` pairs.
    pub level: String,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The word used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY_SECS: u64 = 24 * 3600;

pub(super) fn read_server(reader: &mut Reader<'_>, file: &ServerFile) -> Server {
    let at = |key: &str| KeyPath::of(["server", key]);
    let seconds = Duration::from_secs;
    let listen = file.listen.as_ref().and_then(|text| reader.address(&at("listen"), text));
    let mut listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
    if let Some(port) = file.port.as_ref().and_then(|port| reader.whole(&at("port"), port, 0..=65_535)) {
        listen.set_port(u16::try_from(port).unwrap_or_default());
    }
    let max_body = reader.whole_or(&at("max_body_bytes"), file.max_body_bytes.as_ref(), 1024..=64 << 20, 1 << 20);
    let mut time = |key: &str, value, range, default| reader.duration_or(&at(key), value, range, default);
    Server {
        listen,
        max_body_bytes: usize::try_from(max_body).unwrap_or(usize::MAX),
        request_timeout: time("request_timeout", file.request_timeout.as_ref(), seconds(1)..=HOUR, seconds(30)),
        drain_delay: time("drain_delay", file.drain_delay.as_ref(), seconds(0)..=HOUR, seconds(0)),
        shutdown_grace: time("shutdown_grace", file.shutdown_grace.as_ref(), seconds(0)..=HOUR, seconds(10)),
        metrics_listen: file.metrics_listen.as_ref().and_then(|text| reader.address(&at("metrics_listen"), text)),
    }
}

pub(super) fn read_redis(reader: &mut Reader<'_>, file: &RedisFile) -> Redis {
    let at = |key: &str| KeyPath::of(["redis", key]);
    let url = file.url.as_ref().map_or("redis://127.0.0.1:6379", |url| url.text().trim());
    if url.into_connection_info().is_err() {
        reader.refuse(&at("url"), "must be a URL of redis://, rediss:// or redis+unix://, such as redis://127.0.0.1:6379");
    }
    let deadline_ms = reader.whole_or(&at("deadline_ms"), file.deadline_ms.as_ref(), 1..=60_000, 250);
    let range = Duration::from_millis(1)..=Duration::from_secs(60);
    let failures = reader.whole_or(&at("breaker_failures"), file.breaker_failures.as_ref(), 1..=1000, 3);
    let pause = file.breaker_longest_pause.as_ref();
    let pauses = Duration::from_millis(100)..=Duration::from_secs(60);
    Redis {
        url: SecretUrl::new(url),
        deadline: Duration::from_millis(deadline_ms),
        connect_timeout: reader.duration_or(&at("connect_timeout"), file.connect_timeout.as_ref(), range, Duration::from_secs(1)),
        breaker_failures: u32::try_from(failures).unwrap_or(u32::MAX),
        breaker_longest_pause: reader.duration_or(&at("breaker_longest_pause"), pause, pauses, Duration::from_secs(2)),
    }
}

pub(super) fn read_history(reader: &mut Reader<'_>, file: &HistoryFile) -> History {
    let at = |key: &str| KeyPath::of(["history", key]);
    let days = reader.whole_or(&at("retention_days"), file.retention_days.as_ref(), 1..=3650, 30);
    let interval = file.snapshot_interval_minutes.as_ref();
    let minutes = reader.whole_or(&at("snapshot_interval_minutes"), interval, 1..=1440, 5);
    History {
        persistence: reader.flag_or(&at("persistence"), file.persistence.as_ref(), true),
        retention: Duration::from_secs(days * DAY_SECS),
        snapshot_interval: Duration::from_secs(minutes * 60),
    }
}

pub(super) fn read_log(reader: &mut Reader<'_>, file: &LogFile) -> Log {
    let at = |key: &str| KeyPath::of(["log", key]);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let level = file.level.as_ref().map_or("info", |level| level.text().trim());
    if tracing_subscriber::EnvFilter::try_new(level).is_err() {
        let rule = "must be `error`, `warn`, `info`, `debug` or `trace`, or pairs such as `info,quota_coordinator=debug`";
        reader.refuse(&at("level"), rule);
    }
    Log { format: reader.choice_or(&at("format"), file.format.as_ref(), &formats, LogFormat::Text), level: level.to_owned() }
}
