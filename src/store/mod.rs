//! Where quota is kept and decided.
//!
//! [`Store`] is the atomicity contract: a [`call::Call`] is carried out as a whole, at one instant of the
//! store's own clock, or not at all. Two stores keep it: [`redis::RedisStore`], where a Lua script
//! decides, and [`memory::MemoryStore`], the executable specification that the script is tested against.

pub mod call;
pub mod codec;
pub mod health;
pub mod keys;
pub mod log;
pub mod memory;
pub mod redis;
pub mod reply;
pub mod scripts;

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::BoxFuture;

use self::{
    call::{Call, RecordId},
    log::{LogPage, LogQuery, Loss},
    reply::{Outcome, Record},
};
use crate::domain::{GroupId, PoolId};

/// Why the store gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Not reachable; nothing was sent.
    #[error("not reachable: {0}")]
    Unavailable(String),
    /// No answer within the deadline; the call may have been carried out.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection ended while waiting; the call may have been carried out.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The server has no memory left for what may add to it. Calls that only give back still run.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The server refused: missing permission, a script error.
    #[error("refused: {0}")]
    Refused(String),
    /// An answer that this version does not understand.
    #[error("not understood: {0}")]
    Protocol(String),
}

impl StoreError {
    /// True when sending the same call again may help. Each operation carries an identity of its own, so
    /// that a repetition never counts twice.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Timeout(_) | Self::Lost(_))
    }

    /// True when nobody can decide now, whatever is asked; then `on_store_failure` says what happens.
    pub fn is_away(&self) -> bool {
        self.is_transient() || matches!(self, Self::OutOfMemory(_))
    }
}

/// What time alone has brought about and nobody has written yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Due {
    /// The store's clock, µs since 1970.
    pub clock_us: u64,
    /// Reservations whose lease has ended.
    pub leases: Vec<RecordId>,
    /// Groups whose status may have changed.
    pub groups: Vec<GroupId>,
}

/// A page of groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupPage {
    /// Names and canonical texts.
    pub groups: Vec<(GroupId, String)>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// Overrides of one pool and the version that they make.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Raised by each change.
    pub version: u64,
    /// JSON by limit id.
    pub entries: BTreeMap<String, String>,
}

/// One change of an override, as it was written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditEntry {
    /// The instant of the store's clock, ms since 1970, and a number within it: later entries are greater.
    pub at: (u64, u64),
    /// Who, and what for: JSON.
    pub note: String,
    /// The override that stood before: JSON.
    pub before: Option<String>,
    /// The override that stands since: JSON.
    pub after: Option<String>,
}

/// Keeps counters and reservations of pools.
pub trait Store: Send + Sync + 'static {
    /// Carries out a call on one pool, atomically and in order.
    fn apply<'a>(&'a self, pool: &'a PoolId, call: &'a Call) -> BoxFuture<'a, Result<Outcome, StoreError>>;

    /// Reads counters and checks costs without writing. Only `Check` and `Read` operations may appear.
    fn read<'a>(&'a self, pool: &'a PoolId, call: &'a Call) -> BoxFuture<'a, Result<Outcome, StoreError>>;

    /// Lists what has come due, at most `max` of each.
    fn due<'a>(&'a self, pool: &'a PoolId, max: usize) -> BoxFuture<'a, Result<Due, StoreError>>;

    /// Forgets index entries of groups that have expired.
    fn trim<'a>(&'a self, pool: &'a PoolId, clock_us: u64) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Reads records; absent ones are `None`.
    fn records<'a>(&'a self, pool: &'a PoolId, ids: &'a [RecordId]) -> BoxFuture<'a, Result<Vec<Option<Record>>, StoreError>>;

    /// Names of open reservations, at most `max`.
    fn open<'a>(&'a self, pool: &'a PoolId, max: usize) -> BoxFuture<'a, Result<Vec<RecordId>, StoreError>>;

    /// Groups after a place, at most `max`.
    fn groups<'a>(&'a self, pool: &'a PoolId, after: Option<&'a str>, max: usize)
    -> BoxFuture<'a, Result<GroupPage, StoreError>>;

    /// Canonical texts of groups; `None` where a group has gone.
    fn texts<'a>(&'a self, pool: &'a PoolId, groups: &'a [GroupId]) -> BoxFuture<'a, Result<Vec<Option<String>>, StoreError>>;

    /// Writes down which number stands for which name; an error names a collision.
    fn register<'a>(&'a self, pool: &'a PoolId, names: &'a [(u64, String)]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Reads runtime overrides.
    fn overrides<'a>(&'a self, pool: &'a PoolId) -> BoxFuture<'a, Result<Overrides, StoreError>>;

    /// Sets or removes one override, and writes the note down with it (an empty one is not); the version.
    fn configure<'a>(
        &'a self,
        pool: &'a PoolId,
        field: &'a str,
        value: Option<&'a str>,
        note: &'a str,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Sets or removes one override without a note; the version.
    fn set_override<'a>(
        &'a self,
        pool: &'a PoolId,
        field: &'a str,
        value: Option<&'a str>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.configure(pool, field, value, "")
    }

    /// What was changed, newest first: entries before a place, at most `max`.
    fn audit<'a>(
        &'a self,
        pool: &'a PoolId,
        before: Option<(u64, u64)>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<AuditEntry>, StoreError>>;

    /// Reads a pool's event log at one instant.
    fn log<'a>(&'a self, pool: &'a PoolId, query: LogQuery) -> BoxFuture<'a, Result<LogPage, StoreError>>;

    /// Writes down that a node has seen a loss of data; true when nobody had for that epoch.
    fn announce<'a>(&'a self, pool: &'a PoolId, loss: Loss) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Sends a message to whoever subscribes to the channel; nothing is kept.
    fn probe<'a>(&'a self, channel: &'a str, nonce: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Which notifications somebody has seen: JSON by id.
    fn acknowledgements<'a>(&'a self, pool: &'a PoolId) -> BoxFuture<'a, Result<BTreeMap<String, String>, StoreError>>;

    /// Remembers for a while that a notification was seen; forgets those that are not among `standing`.
    fn acknowledge<'a>(
        &'a self,
        pool: &'a PoolId,
        id: &'a str,
        json: &'a str,
        standing: &'a [String],
        remembered: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Keeps a value under a name for a while. The name is a secret's digest, never the secret.
    fn keep_once<'a>(&'a self, name: &'a str, value: &'a str, life: Duration) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes a kept value away; only one of many takers gets it.
    fn take_once<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

    /// Does the store answer?
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How its connections are doing; none where it has none.
    fn health(&self) -> Vec<health::LaneHealth> {
        Vec::new()
    }
}
