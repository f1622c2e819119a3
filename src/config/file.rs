//! The configuration as it is written: every key of the file, none of the rules. Keys that are not
//! listed here are refused, so that a misspelt limit is an error and not a missing limit.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::scalar::{OneOrMany, Scalar};

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct File {
    /// Opens admin operations (also `QUOTA_ADMIN_KEY`). Absent: they answer 503.
    pub admin_key: Option<Scalar>,
    /// The pools. Absent: one pool `openai` from the `OPENAI_…` variables.
    pub pools: Option<Vec<PoolFile>>,
    /// What tokens cost. Absent: only explicit costs count as money.
    pub prices: Vec<PriceFile>,
    /// The HTTP server.
    pub server: ServerFile,
    /// The Redis that holds all state.
    pub redis: RedisFile,
    /// Who may call.
    pub auth: AuthFile,
    /// Live connections.
    pub live: LiveFile,
    /// Snapshots of usage.
    pub history: HistoryFile,
    /// Log output.
    pub log: LogFile,
}

/// `[server]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct ServerFile {
    /// Address and port to listen on. Default `127.0.0.1:8080`.
    pub listen: Option<Scalar>,
    /// Another port for `listen`.
    pub port: Option<Scalar>,
    /// Largest request body, bytes. Default 1 MiB.
    pub max_body_bytes: Option<Scalar>,
    /// Longest time for one request. Default `30s`.
    pub request_timeout: Option<Scalar>,
    /// Time between "not ready" and closing the listener on shutdown. Default `0s`.
    pub drain_delay: Option<Scalar>,
    /// Longest time for open requests to end on shutdown. Default `10s`.
    pub shutdown_grace: Option<Scalar>,
    /// Address and port of a listener of its own for `/metrics`. Default: the same listener.
    pub metrics_listen: Option<Scalar>,
}

/// `[redis]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RedisFile {
    /// `redis://`, `rediss://` or `redis+unix://`. Default `redis://127.0.0.1:6379`.
    pub url: Option<Scalar>,
    /// Longest time for one call, connecting included, ms. Default 250.
    pub deadline_ms: Option<Scalar>,
    /// Longest time to connect; what is left of the deadline, if that is less. Default `1s`.
    pub connect_timeout: Option<Scalar>,
    /// Failures in a row until requests are answered without asking Redis. Default 3.
    pub breaker_failures: Option<Scalar>,
    /// Redis is tried again at growing intervals of at most this. Default `2s`.
    pub breaker_longest_pause: Option<Scalar>,
}

/// `[auth]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct AuthFile {
    /// `keys` or `none`. No default: a server without it does not start.
    pub mode: Option<Scalar>,
    /// Listen beyond loopback although `mode` is `none`. Default false.
    pub force: Option<Scalar>,
    /// The keys.
    pub keys: Vec<KeyFile>,
}

/// `[[auth.keys]]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct KeyFile {
    /// Who holds the key; unique.
    pub name: Option<Scalar>,
    /// SHA-256 of the key, 64 hex digits.
    pub sha256: Option<Scalar>,
    /// Of `read`, `consume`, `report`, `admin`.
    pub roles: Option<OneOrMany>,
    /// The pools it may see. Default: all.
    pub pools: Option<OneOrMany>,
    /// Scope values that it is confined to, by scope key. Default: none.
    pub scope: BTreeMap<String, OneOrMany>,
    /// Until when it is good, RFC 3339. Default: until it is taken out.
    pub expires_at: Option<Scalar>,
}

/// `[live]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct LiveFile {
    /// Origins whose pages may connect, besides the node's own. Default: none.
    pub origins: OneOrMany,
    /// Most web sockets and event streams of this node; more are answered 503. Default 10000.
    pub max_connections: Option<Scalar>,
    /// Most that follow one pool. Default: `max_connections`.
    pub max_connections_per_pool: Option<Scalar>,
    /// Most with one key. Default: `max_connections`.
    pub max_connections_per_key: Option<Scalar>,
    /// Most that have not said who they are. Default: a tenth of `max_connections`.
    pub max_unauthenticated: Option<Scalar>,
    /// Most of those from one address. Default 20.
    pub max_unauthenticated_per_address: Option<Scalar>,
    /// Most new connections in a second, twice as many at once; more are answered 503. Default 500.
    pub connects_per_second: Option<Scalar>,
    /// Most subscriptions on one connection. Default 64.
    pub max_subscriptions: Option<Scalar>,
    /// Longest message from a client, bytes. Default 16384.
    pub max_message_bytes: Option<Scalar>,
    /// Most commands of a client in a second, twice as many at once. Default 20.
    pub commands_per_second: Option<Scalar>,
    /// Time in which a client without a key in its request has to say who it is. Default `5s`.
    pub authenticate_within: Option<Scalar>,
    /// Time between pings, give or take a tenth. Default `25s`.
    pub ping_interval: Option<Scalar>,
    /// A client that is silent for so long after a ping is closed. Default `10s`.
    pub pong_timeout: Option<Scalar>,
    /// A client that takes nothing for so long is closed. Default `10s`.
    pub write_timeout: Option<Scalar>,
    /// Age at which a web socket is asked to come again, give or take a third. Default `45m`.
    pub max_age: Option<Scalar>,
    /// The same for an event stream, give or take a tenth. Default `10m`.
    pub max_stream_age: Option<Scalar>,
    /// Life of a one-time ticket. Default `30s`.
    pub ticket_lifetime: Option<Scalar>,
}

/// `[history]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct HistoryFile {
    /// Days that snapshots are kept (also `QUOTA_HISTORY_RETENTION_DAYS`). Default 30.
    pub retention_days: Option<Scalar>,
    /// Take snapshots at all (also `ENABLE_QUOTA_PERSISTENCE`). Default true.
    pub persistence: Option<Scalar>,
    /// Minutes between snapshots (also `QUOTA_SNAPSHOT_INTERVAL_MINUTES`). Default 5.
    pub snapshot_interval_minutes: Option<Scalar>,
}

/// `[log]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct LogFile {
    /// `text` or `json`. Default `text`.
    pub format: Option<Scalar>,
    /// `error`, `warn`, `info`, `debug`, `trace`, or `target=level` pairs. Default `info`.
    pub level: Option<Scalar>,
}

/// `[[prices]]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PriceFile {
    /// Only for pools of this provider. Default: for all.
    pub provider: Option<Scalar>,
    /// A model's name, or a glob.
    pub model: Option<Scalar>,
    /// Dollars per million tokens of the prompt.
    pub input: Option<Scalar>,
    /// Dollars per million tokens that were read from a cache. Default: as `input`.
    pub cached_input: Option<Scalar>,
    /// Dollars per million tokens that were written to a cache. Default: as `input`.
    pub cache_write: Option<Scalar>,
    /// Dollars per million tokens of the answer, reasoning included.
    pub output: Option<Scalar>,
    /// The first day (UTC) that it is valid on. Default: it always was.
    pub from: Option<Scalar>,
}

/// `[[pools]]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PoolFile {
    /// Name.
    pub id: Option<Scalar>,
    /// `openai`, `azure`, `anthropic`, `gemini`, `bedrock` or `generic`. Default `generic`.
    pub provider: Option<Scalar>,
    /// Units that requests may carry though no limit counts them.
    pub units: Option<OneOrMany>,
    /// How long a reservation's record is kept after its lease ended. Default `10m`.
    pub record_retention: Option<Scalar>,
    /// `deny` or `allow`, while Redis is away. Default `deny`.
    pub on_store_failure: Option<Scalar>,
    /// The limits.
    pub limits: Vec<LimitFile>,
}

/// `[[pools.limits]]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct LimitFile {
    /// Name, unique in the pool.
    pub id: Option<Scalar>,
    /// What is counted.
    pub unit: Option<Scalar>,
    /// `rate`, `budget` or `concurrency`; the first two follow from `window` and `period`.
    pub kind: Option<Scalar>,
    /// The ceiling: a whole number, or dollars for `cost_usd`.
    pub capacity: Option<Scalar>,
    /// Length of a rate's sliding window, `1s` to `31d`.
    pub window: Option<Scalar>,
    /// Calendar period of a budget: `hour`, `day`, `week` or `month`.
    pub period: Option<Scalar>,
    /// IANA time zone of `period`. Default `UTC`.
    pub time_zone: Option<Scalar>,
    /// Scope keys: one counter for each combination of their values. Default: one for the pool.
    pub per: Option<OneOrMany>,
    /// Applies only where these scope keys have one of these values or match one of these globs.
    pub when: BTreeMap<String, OneOrMany>,
    /// Other capacities for some values of `per`.
    pub overrides: Vec<OverrideFile>,
    /// Fraction of the capacity at which the status is `warning`. Default 0.9.
    pub warning_at: Option<Scalar>,
    /// `enforce` or `shadow`. Default `enforce`.
    pub mode: Option<Scalar>,
    /// `refund` or `charge`. Default: a rate charges, others refund.
    pub on_lease_end: Option<Scalar>,
    /// `actual` or `admitted`. Default `actual`.
    pub settle: Option<Scalar>,
    /// The fraction of the capacity that each priority may fill. Default 1.
    pub priority_share: PriorityShareFile,
    /// Cost of a request that names none in this unit.
    pub default_cost: Option<Scalar>,
    /// `deny` or `allow`, while Redis is away. Default: as the pool says.
    pub on_store_failure: Option<Scalar>,
    /// Skip the limit when a request's cost in its unit is not known. Default false.
    pub optional: Option<Scalar>,
    /// Emit status events. Default true.
    pub events: Option<Scalar>,
    /// Also judge in slices of this length, each with its share of the capacity.
    pub smooth: Option<Scalar>,
}

/// `[[pools.limits.overrides]]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct OverrideFile {
    /// Values (or globs) of keys in `per`; all must match.
    #[serde(rename = "match")]
    pub matches: BTreeMap<String, OneOrMany>,
    /// The capacity then.
    pub capacity: Option<Scalar>,
}

/// `priority_share`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct PriorityShareFile {
    /// For priority `low`.
    pub low: Option<Scalar>,
    /// For priority `normal`.
    pub normal: Option<Scalar>,
    /// For priority `high`.
    pub high: Option<Scalar>,
}
