//! The store in Redis: names keys, invokes scripts, maps errors. It decides nothing.

mod admin;
mod breaker;
mod lane;
mod listing;
mod log;

use std::{
    collections::{BTreeMap, HashMap},
    sync::RwLock,
    time::Duration,
};

pub use breaker::BreakerSettings;
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use lane::Held;
pub use lane::{Lane, Times};
use redis::{Arg, Cmd, ErrorKind, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection};

use tokio::time::Instant;

use super::{
    AuditEntry, Due, GroupPage, Overrides, Store, StoreError,
    call::{Call, Op, RecordId},
    codec,
    health::LaneHealth,
    keys::PoolKeys,
    log::{LogPage, LogQuery, Loss},
    reply::{Outcome, Record},
    scripts::{Composed, Publish, Scripts},
};
use crate::domain::{GroupId, PoolId};

/// Where the server is and how long it may take.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://`, `rediss://` or `redis+unix://`.
    pub url: String,
    /// The longest that any call may take, connecting included.
    pub deadline: Duration,
    /// The longest that connecting may take; what is left of the deadline, if that is less.
    pub connect_timeout: Duration,
    /// When the server is left alone.
    pub breaker: BreakerSettings,
}

/// Connections for decisions: pools share them only when there are more, so that one connection that
/// hangs holds up as few pools as possible.
const HOT: usize = 8;

/// A [`Store`] on one Redis (or Valkey) server, version 7.0 or newer.
pub struct RedisStore {
    /// Decisions; each pool keeps to one of them.
    hot: Vec<Lane>,
    /// Listings and sweeps: they may be large, and must not stand in front of decisions.
    slow: Lane,
    scripts: Scripts,
    keys: RwLock<HashMap<PoolId, Place>>,
}

/// A pool's keys, and which connection is its own.
#[derive(Clone)]
struct Place {
    keys: std::sync::Arc<PoolKeys>,
    lane: usize,
}

impl RedisStore {
    /// Prepares the store; connects on first use.
    pub fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        Self::with_scripts(settings, Scripts::new(Publish::Plain, None))
    }

    /// The same with scripts of the caller's (tests bring their own clock).
    pub fn with_scripts(settings: &RedisSettings, scripts: Scripts) -> Result<Self, StoreError> {
        let times = Times { deadline: settings.deadline, connect: settings.connect_timeout, breaker: settings.breaker };
        let hot = (0..HOT).map(|at| Lane::new(format!("decisions-{at}"), &settings.url, times)).collect::<Result<_, _>>()?;
        let slow = Lane::new("listings", &settings.url, times)?;
        Ok(Self { hot, slow, scripts, keys: RwLock::default() })
    }

    fn place(&self, pool: &PoolId) -> Place {
        if let Ok(known) = self.keys.read()
            && let Some(place) = known.get(pool)
        {
            return place.clone();
        }
        let keys = std::sync::Arc::new(PoolKeys::new(pool));
        match self.keys.write() {
            Ok(mut known) => {
                let lane = known.len() % HOT;
                known.entry(pool.clone()).or_insert(Place { keys, lane }).clone()
            }
            Err(_) => Place { keys, lane: 0 },
        }
    }

    fn keys(&self, pool: &PoolId) -> std::sync::Arc<PoolKeys> {
        self.place(pool).keys
    }

    async fn invoke(&self, lane: &Lane, script: &Composed, keys: &PoolKeys, call: &Call) -> Result<Outcome, StoreError> {
        let encoded = codec::encode(call);
        let command = command(script, keys, &encoded);
        let reply = run_script(lane, script, &command).await?;
        let Value::BulkString(raw) = reply else {
            return Err(StoreError::Protocol(format!("expected one string, got {reply:?}")));
        };
        codec::decode(&encoded, &Bytes::from(raw)).map_err(|error| StoreError::Protocol(error.to_string()))
    }
}

/// A call as one command.
pub fn command(script: &Composed, keys: &PoolKeys, encoded: &codec::Encoded) -> Cmd {
    let count = 6 + encoded.groups.len() + encoded.records.len();
    let mut command = evalsha(script, count, encoded.args.iter().map(Vec::len).sum::<usize>() + encoded.texts.len());
    for key in keys.fixed() {
        command.arg(key);
    }
    let mut name = String::with_capacity(128);
    for group in &encoded.groups {
        keys.write_group(&mut name, *group);
        command.arg(&name);
    }
    for record in &encoded.records {
        keys.write_record(&mut name, *record);
        command.arg(&name);
    }
    for arg in &encoded.args {
        command.arg(arg.as_slice());
    }
    command.arg(keys.channel.as_bytes()).arg(encoded.texts.as_slice());
    command
}

/// `EVALSHA` with its key count, and room for arguments of so many bytes.
fn evalsha(script: &Composed, keys: usize, bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(keys + 10, 256 + keys * 64 + bytes);
    command.arg("EVALSHA").arg(script.script.get_hash()).arg(keys);
    command
}

/// The same call with the script's whole text in place of its hash: what was forgotten is run and kept
/// in one step, so that no flush can come between.
fn with_text(script: &Composed, command: &Cmd) -> Cmd {
    let mut whole = Cmd::new();
    whole.arg("EVAL").arg(&script.text);
    for argument in command.args_iter().skip(2) {
        if let Arg::Simple(bytes) = argument {
            whole.arg(bytes);
        }
    }
    whole
}

/// Runs a script call; sends the whole script when the server does not have it (nothing was executed then).
async fn run_script(lane: &Lane, script: &Composed, command: &Cmd) -> Result<Value, StoreError> {
    let until = lane.enter()?;
    let result = async {
        let held = connected(lane, until).await?;
        let mut connection = held.connection.clone();
        let result = match within(until, command.query_async(&mut connection)).await {
            Err(Fault::Server(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                within(until, with_text(script, command).query_async(&mut connection)).await
            }
            other => other,
        };
        result.map_err(|fault| fault.into_error(lane, &held, |message| script.locate(message)))
    };
    let result = result.await;
    lane.leave(&result);
    result
}

/// Runs a plain command on a lane.
async fn run<T: redis::FromRedisValue>(
    lane: &Lane,
    query: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
) -> Result<T, StoreError> {
    let until = lane.enter()?;
    let result = async {
        let held = connected(lane, until).await?;
        let mut connection = held.connection.clone();
        within(until, query(&mut connection)).await.map_err(|fault| fault.into_error(lane, &held, str::to_owned))
    };
    let result = result.await;
    lane.leave(&result);
    result
}

/// The lane's connection, if it stands or can be made in time.
async fn connected(lane: &Lane, until: Instant) -> Result<Held, StoreError> {
    let waited = tokio::time::timeout_at(until, lane.connection()).await;
    waited.unwrap_or_else(|_| Err(StoreError::Unavailable("no connection within the deadline".into())))
}

enum Fault {
    Deadline,
    Server(RedisError),
}

async fn within<T>(until: Instant, future: impl Future<Output = Result<T, RedisError>>) -> Result<T, Fault> {
    match tokio::time::timeout_at(until, future).await {
        Err(_) => Err(Fault::Deadline),
        Ok(Err(error)) if error.is_timeout() => Err(Fault::Deadline),
        Ok(result) => result.map_err(Fault::Server),
    }
}

impl Fault {
    /// What the caller is told. A connection that is of no more use is given up: one that broke, one
    /// whose server may not write any more, and one that went silent (an answer that comes too late
    /// would otherwise be waited for by the next command, too).
    fn into_error(self, lane: &Lane, held: &Held, locate: impl Fn(&str) -> String) -> StoreError {
        match self {
            Self::Deadline => {
                lane.give_up(held);
                StoreError::Timeout(lane.deadline())
            }
            Self::Server(error) if error.is_unrecoverable_error() || error.is_connection_dropped() => {
                lane.give_up(held);
                StoreError::Lost(error.to_string())
            }
            Self::Server(error) if error.code() == Some("OOM") => StoreError::OutOfMemory(error.to_string()),
            Self::Server(error) if cannot_serve(&error) => {
                lane.give_up(held);
                StoreError::Unavailable(error.to_string())
            }
            Self::Server(error) => StoreError::Refused(locate(&error.to_string())),
        }
    }
}

/// Answers of a server that works and yet is of no use now. Another connection may lead to another
/// server, so it is made at once.
fn cannot_serve(error: &RedisError) -> bool {
    const CODES: [&str; 9] =
        ["READONLY", "MASTERDOWN", "LOADING", "NOAUTH", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "BUSY"];
    error.code().is_some_and(|code| CODES.contains(&code))
}

impl Store for RedisStore {
    fn apply<'a>(&'a self, pool: &'a PoolId, call: &'a Call) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        let script = if call.ops.iter().all(Op::only_frees) { &self.scripts.apply_freeing } else { &self.scripts.apply };
        let place = self.place(pool);
        async move { self.invoke(&self.hot[place.lane], script, &place.keys, call).await }.boxed()
    }

    fn read<'a>(&'a self, pool: &'a PoolId, call: &'a Call) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        let keys = self.keys(pool);
        async move { self.invoke(&self.slow, &self.scripts.read, &keys, call).await }.boxed()
    }

    fn due<'a>(&'a self, pool: &'a PoolId, max: usize) -> BoxFuture<'a, Result<Due, StoreError>> {
        listing::due(&self.slow, &self.scripts.due, self.keys(pool), max).boxed()
    }

    fn trim<'a>(&'a self, pool: &'a PoolId, clock_us: u64) -> BoxFuture<'a, Result<(), StoreError>> {
        listing::trim(&self.slow, self.keys(pool), clock_us).boxed()
    }

    fn records<'a>(&'a self, pool: &'a PoolId, ids: &'a [RecordId]) -> BoxFuture<'a, Result<Vec<Option<Record>>, StoreError>> {
        listing::records(&self.slow, self.keys(pool), ids).boxed()
    }

    fn open<'a>(&'a self, pool: &'a PoolId, max: usize) -> BoxFuture<'a, Result<Vec<RecordId>, StoreError>> {
        listing::open(&self.slow, self.keys(pool), max).boxed()
    }

    fn groups<'a>(
        &'a self,
        pool: &'a PoolId,
        after: Option<&'a str>,
        max: usize,
    ) -> BoxFuture<'a, Result<GroupPage, StoreError>> {
        listing::groups(&self.slow, self.keys(pool), after, max).boxed()
    }

    fn texts<'a>(&'a self, pool: &'a PoolId, groups: &'a [GroupId]) -> BoxFuture<'a, Result<Vec<Option<String>>, StoreError>> {
        listing::texts(&self.slow, self.keys(pool), groups).boxed()
    }

    fn register<'a>(&'a self, pool: &'a PoolId, names: &'a [(u64, String)]) -> BoxFuture<'a, Result<(), StoreError>> {
        listing::register(&self.slow, &self.scripts.register, self.keys(pool), names).boxed()
    }

    fn overrides<'a>(&'a self, pool: &'a PoolId) -> BoxFuture<'a, Result<Overrides, StoreError>> {
        admin::overrides(&self.slow, self.keys(pool)).boxed()
    }

    fn configure<'a>(
        &'a self,
        pool: &'a PoolId,
        field: &'a str,
        value: Option<&'a str>,
        note: &'a str,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        admin::configure(&self.slow, &self.scripts.configure, self.keys(pool), (field, value), note).boxed()
    }

    fn audit<'a>(
        &'a self,
        pool: &'a PoolId,
        before: Option<(u64, u64)>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<AuditEntry>, StoreError>> {
        admin::audit(&self.slow, self.keys(pool), before, max).boxed()
    }

    fn log<'a>(&'a self, pool: &'a PoolId, query: LogQuery) -> BoxFuture<'a, Result<LogPage, StoreError>> {
        log::log(&self.slow, &self.scripts.log, self.keys(pool), query).boxed()
    }

    fn announce<'a>(&'a self, pool: &'a PoolId, loss: Loss) -> BoxFuture<'a, Result<bool, StoreError>> {
        log::announce(&self.slow, &self.scripts.announce, self.keys(pool), loss).boxed()
    }

    fn probe<'a>(&'a self, channel: &'a str, nonce: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        log::probe(&self.slow, &self.scripts.probe, channel, nonce).boxed()
    }

    fn acknowledgements<'a>(&'a self, pool: &'a PoolId) -> BoxFuture<'a, Result<BTreeMap<String, String>, StoreError>> {
        listing::acknowledgements(&self.slow, self.keys(pool)).boxed()
    }

    fn acknowledge<'a>(
        &'a self,
        pool: &'a PoolId,
        id: &'a str,
        json: &'a str,
        standing: &'a [String],
        remembered: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        listing::acknowledge(&self.slow, self.keys(pool), (id, json), standing, remembered).boxed()
    }

    fn keep_once<'a>(&'a self, name: &'a str, value: &'a str, life: Duration) -> BoxFuture<'a, Result<(), StoreError>> {
        listing::keep_once(&self.slow, name, value, life).boxed()
    }

    fn take_once<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        listing::take_once(&self.slow, name).boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        run(&self.hot[0], async |connection| redis::cmd("PING").query_async::<Value>(connection).await)
            .map(|answer| answer.map(drop))
            .boxed()
    }

    fn health(&self) -> Vec<LaneHealth> {
        let used = self.keys.read().map_or(HOT, |known| known.len()).min(HOT);
        self.hot.iter().take(used).chain([&self.slow]).map(Lane::health).collect()
    }
}

/// A reply of another shape than asked for.
fn unexpected(value: &Value) -> StoreError {
    StoreError::Protocol(format!("unexpected reply {value:?}"))
}

/// A group or record name in a reply.
fn name_of(raw: &[u8]) -> Result<GroupId, StoreError> {
    GroupId::from_bytes(raw).ok_or_else(|| StoreError::Protocol("a name in an index is not one of ours".into()))
}
