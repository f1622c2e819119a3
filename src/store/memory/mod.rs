//! The executable specification of the store: what `lua/apply.lua` does, in plain data structures.
//!
//! It keeps everything for ever (retention is a matter of memory, not of meaning) and lives in one
//! process, so it serves tests and reasoning, not production.

mod admin;
mod counter;
mod log;
mod ops;
mod rate;
mod work;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use counter::Counter;
use futures_util::{FutureExt, future::BoxFuture};
use work::Work;

use super::{
    AuditEntry, Due, GroupPage, Overrides, Store, StoreError,
    call::{Call, RecordId},
    log::{LogPage, LogQuery, Loss},
    reply::{EventId, Header, Outcome, Position, Record, RecordState},
};
use crate::domain::{CounterStatus, GroupId, Number, PoolId, PoolStatus};

/// A status change as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Contiguous from 1.
    pub seq: u64,
    /// Its id.
    pub id: EventId,
    /// Of the event before.
    pub prev: EventId,
    /// µs.
    pub at: u64,
    /// What brought it about.
    pub cause: &'static str,
    /// The counter, or `None` for the pool.
    pub counter: Option<(GroupId, Number)>,
    /// Canonical text of the counter's partition.
    pub scope: String,
    /// Packed status before.
    pub from: u8,
    /// Packed status after.
    pub to: u8,
    /// Used + held, held, capacity.
    pub figures: [u64; 3],
}

/// Counters of one partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    text: String,
    counters: Vec<Counter>,
    /// When it is looked at next.
    look: Option<u64>,
}

/// All of one pool.
#[derive(Clone, Debug)]
struct PoolState {
    clock: u64,
    operations: u64,
    version: u64,
    epoch: u64,
    seq: u64,
    status: PoolStatus,
    event: EventId,
    groups: BTreeMap<GroupId, Group>,
    records: BTreeMap<RecordId, Record>,
    due: BTreeMap<GroupId, u64>,
    standing: BTreeMap<(GroupId, Number), (CounterStatus, u64)>,
    pool_since: Option<u64>,
    log: Vec<Event>,
    names: HashMap<u64, String>,
    overrides: BTreeMap<String, String>,
    audit: Vec<AuditEntry>,
    acknowledged: BTreeMap<String, String>,
}

impl Default for PoolState {
    fn default() -> Self {
        Self {
            clock: 0,
            operations: 0,
            version: 0,
            epoch: 0,
            seq: 0,
            status: PoolStatus::Normal,
            event: EventId::NONE,
            groups: BTreeMap::new(),
            records: BTreeMap::new(),
            due: BTreeMap::new(),
            standing: BTreeMap::new(),
            pool_since: None,
            log: Vec::new(),
            names: HashMap::new(),
            overrides: BTreeMap::new(),
            audit: Vec::new(),
            acknowledged: BTreeMap::new(),
        }
    }
}

impl PoolState {
    fn header(&self, clock_us: u64) -> Header {
        Header {
            clock_us,
            operations: self.operations,
            config_version: self.version,
            position: Position { epoch: self.epoch, seq: self.seq, event: self.event },
            pool_status: self.status,
        }
    }

    fn apply(&mut self, time: u64, call: &Call) -> Outcome {
        let now = time.max(self.clock + 1);
        if call.config_version != self.version {
            return Outcome::StaleConfig(self.header(now));
        }
        let Some(mut work) = Work::begin(self, call, now) else { return Outcome::RetryPeriod(self.header(now)) };
        let answers = call.ops.iter().filter_map(|op| work.operate(op)).collect();
        let changes = work.finish();
        Outcome::Done(self.keep(changes, answers))
    }

    fn read(&self, time: u64, call: &Call) -> Outcome {
        let version = self.version;
        self.clone().apply(time, &Call { config_version: version, ..call.clone() })
    }
}

/// A [`Store`] in memory whose time is set by its owner.
#[derive(Default)]
pub struct MemoryStore {
    pools: Mutex<HashMap<PoolId, PoolState>>,
    once: Mutex<HashMap<String, String>>,
    time: std::sync::atomic::AtomicU64,
}

impl MemoryStore {
    /// An empty store at an instant, µs since 1970.
    pub fn at(time_us: u64) -> Self {
        Self { pools: Mutex::default(), once: Mutex::default(), time: time_us.into() }
    }

    /// Sets the server's time; it may go back, as servers' clocks do.
    pub fn set_time(&self, time_us: u64) {
        self.time.store(time_us, std::sync::atomic::Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.time.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<PoolId, PoolState>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Send + 'static>(
        &self,
        pool: &PoolId,
        f: impl FnOnce(&mut PoolState) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let result = f(self.pools().entry(pool.clone()).or_default());
        async move { Ok(result) }.boxed()
    }
}

impl Store for MemoryStore {
    fn apply<'a>(&'a self, pool: &'a PoolId, call: &'a Call) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        self.with(pool, |state| state.apply(self.now(), call))
    }

    fn read<'a>(&'a self, pool: &'a PoolId, call: &'a Call) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        self.with(pool, |state| state.read(self.now(), call))
    }

    fn due<'a>(&'a self, pool: &'a PoolId, max: usize) -> BoxFuture<'a, Result<Due, StoreError>> {
        let now = self.now();
        self.with(pool, |state| {
            let mut leases: Vec<(u64, RecordId)> = state
                .records
                .iter()
                .filter(|(_, record)| record.state == RecordState::Open && record.deadline_us <= now)
                .map(|(id, record)| (record.deadline_us, *id))
                .collect();
            leases.sort_unstable();
            let mut groups: Vec<(u64, GroupId)> =
                state.due.iter().filter(|(_, at)| **at <= now).map(|(id, at)| (*at, *id)).collect();
            groups.sort_unstable();
            let names = |list: Vec<(u64, GroupId)>| list.into_iter().take(max).map(|(_, id)| id).collect();
            Due { clock_us: now, leases: names(leases), groups: names(groups) }
        })
    }

    fn trim<'a>(&'a self, _pool: &'a PoolId, _clock_us: u64) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn records<'a>(&'a self, pool: &'a PoolId, ids: &'a [RecordId]) -> BoxFuture<'a, Result<Vec<Option<Record>>, StoreError>> {
        self.with(pool, |state| ids.iter().map(|id| state.records.get(id).cloned()).collect())
    }

    fn open<'a>(&'a self, pool: &'a PoolId, max: usize) -> BoxFuture<'a, Result<Vec<RecordId>, StoreError>> {
        self.with(pool, |state| {
            let open = state.records.iter().filter(|(_, record)| record.state == RecordState::Open);
            let mut open: Vec<_> = open.map(|(id, record)| (record.deadline_us, *id)).collect();
            open.sort_unstable();
            open.into_iter().take(max).map(|(_, id)| id).collect()
        })
    }

    fn groups<'a>(
        &'a self,
        pool: &'a PoolId,
        after: Option<&'a str>,
        max: usize,
    ) -> BoxFuture<'a, Result<GroupPage, StoreError>> {
        self.with(pool, |state| {
            let rest = state.groups.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
            let groups: Vec<_> = rest.take(max).map(|(id, group)| (*id, group.text.clone())).collect();
            let next = groups.last().filter(|_| groups.len() == max).map(|(id, _)| id.as_str().to_owned());
            GroupPage { groups, next }
        })
    }

    fn texts<'a>(&'a self, pool: &'a PoolId, groups: &'a [GroupId]) -> BoxFuture<'a, Result<Vec<Option<String>>, StoreError>> {
        self.with(pool, |state| groups.iter().map(|id| state.groups.get(id).map(|group| group.text.clone())).collect())
    }

    fn register<'a>(&'a self, pool: &'a PoolId, names: &'a [(u64, String)]) -> BoxFuture<'a, Result<(), StoreError>> {
        let collision = {
            let mut pools = self.pools();
            let state = pools.entry(pool.clone()).or_default();
            names.iter().find_map(|(number, name)| {
                let known = state.names.entry(*number).or_insert_with(|| name.clone());
                (known != name).then(|| StoreError::Refused(format!("`{known}` and `{name}` have the same number")))
            })
        };
        async move { collision.map_or(Ok(()), Err) }.boxed()
    }

    fn overrides<'a>(&'a self, pool: &'a PoolId) -> BoxFuture<'a, Result<Overrides, StoreError>> {
        self.with(pool, |state| Overrides { version: state.version, entries: state.overrides.clone() })
    }

    fn configure<'a>(
        &'a self,
        pool: &'a PoolId,
        field: &'a str,
        value: Option<&'a str>,
        note: &'a str,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        let ms = self.now() / 1000;
        self.with(pool, |state| admin::configure(state, ms, field, value, note))
    }

    fn audit<'a>(
        &'a self,
        pool: &'a PoolId,
        before: Option<(u64, u64)>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<AuditEntry>, StoreError>> {
        self.with(pool, |state| admin::audit(state, before, max))
    }

    fn log<'a>(&'a self, pool: &'a PoolId, query: LogQuery) -> BoxFuture<'a, Result<LogPage, StoreError>> {
        self.with(pool, |state| log::page(state, query))
    }

    /// What this process holds is lost only with the process, so that nobody can have seen more.
    fn announce<'a>(&'a self, pool: &'a PoolId, loss: Loss) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.with(pool, |state| state.epoch != loss.epoch || state.operations < loss.seen)
    }

    fn probe<'a>(&'a self, _channel: &'a str, _nonce: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }

    fn acknowledgements<'a>(&'a self, pool: &'a PoolId) -> BoxFuture<'a, Result<BTreeMap<String, String>, StoreError>> {
        self.with(pool, |state| state.acknowledged.clone())
    }

    fn acknowledge<'a>(
        &'a self,
        pool: &'a PoolId,
        id: &'a str,
        json: &'a str,
        standing: &'a [String],
        _remembered: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.with(pool, |state| {
            state.acknowledged.retain(|id, _| standing.contains(id));
            state.acknowledged.insert(id.to_owned(), json.to_owned());
        })
    }

    fn keep_once<'a>(&'a self, name: &'a str, value: &'a str, _life: Duration) -> BoxFuture<'a, Result<(), StoreError>> {
        self.once.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.to_owned());
        async { Ok(()) }.boxed()
    }

    fn take_once<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        let taken = self.once.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        async move { Ok(taken) }.boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { Ok(()) }.boxed()
    }
}
