//! All pools on this node, and the reads that subscribers share.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::FutureExt;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::{
    Parts,
    bus::Link,
    counts::Counts,
    filter::Filter,
    freshness::{Freshness, FreshnessState},
    pool::PoolHub,
    reads::{Read, Reads},
    snapshot::Snapshot,
    subscription::Subscription,
    timing::Timing,
};
use crate::{
    coordinator::{Coordinator, types::CoordinatorError},
    domain::{PoolId, PoolStatus, Position, Scope},
    store::{
        Store, StoreError,
        log::{LogPage, LogQuery},
    },
};

/// Scopes whose newest figures are remembered.
const RECENT: usize = 4096;

/// A pool's scope in one generation of its tail: readings from before a loss of continuity are never
/// taken for later ones.
type SnapshotKey = (PoolId, Scope, u64);
/// Figures, or why there are none.
pub type SnapshotResult = Result<Arc<Snapshot>, CoordinatorError>;
/// A page of a log, or why there is none.
pub type LogResult = Result<Arc<LogPage>, StoreError>;

struct Inner {
    pools: Vec<Arc<PoolHub>>,
    by_id: HashMap<PoolId, Arc<PoolHub>>,
    coordinator: Coordinator,
    store: Arc<dyn Store>,
    snapshots: Reads<SnapshotKey, SnapshotResult>,
    logs: Reads<(PoolId, LogQuery), LogResult>,
    recent: Cache<SnapshotKey, (Instant, Arc<Snapshot>)>,
    freshness: Arc<FreshnessState>,
    counts: Arc<Counts>,
    timing: Timing,
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

impl Hub {
    /// A hub whose tails are yet to be run.
    pub(super) fn new(parts: &Parts, links: &HashMap<PoolId, Arc<Link>>) -> Self {
        let counts = Arc::new(Counts::default());
        let pool = |id: &PoolId| Some(Arc::new(PoolHub::new(id.clone(), links.get(id)?.clone(), counts.clone())));
        let pools: Vec<_> = parts.coordinator.pools().iter().filter_map(|configured| pool(&configured.id)).collect();
        Self(Arc::new(Inner {
            by_id: pools.iter().map(|pool| (pool.id().clone(), pool.clone())).collect(),
            pools,
            coordinator: parts.coordinator.clone(),
            store: parts.store.clone(),
            snapshots: Reads::default(),
            logs: Reads::default(),
            recent: Cache::new(RECENT),
            freshness: FreshnessState::new(parts.timing.probe, parts.timing.deaf_after),
            counts,
            timing: parts.timing,
        }))
    }

    /// Subscribes to a pool: a replay from the cursor where continuity can be proved, else a snapshot
    /// with the reason, then everything that follows. Errors when the store does not answer in time.
    pub async fn subscribe(
        &self,
        pool: &PoolId,
        filter: Filter,
        cursor: Option<Position>,
    ) -> Result<Subscription, CoordinatorError> {
        Subscription::open(self.clone(), pool, filter, cursor).await
    }

    /// Figures of a scope, at most so old. Everybody who asks at the same time shares one reading.
    pub async fn snapshot(&self, pool: &PoolId, scope: &Scope, oldest: Duration) -> SnapshotResult {
        let key = (pool.clone(), scope.clone(), *self.pool(pool)?.generation().borrow());
        match self.0.recent.get(&key) {
            Some((at, snapshot)) if at.elapsed() < oldest => Ok(snapshot),
            _ => self.read_snapshot(key).await,
        }
    }

    fn read_snapshot(&self, key: SnapshotKey) -> Read<SnapshotResult> {
        let hub = Arc::downgrade(&self.0);
        self.0.snapshots.join(key.clone(), || {
            let coordinator = self.0.coordinator.clone();
            async move {
                let at = Instant::now();
                let usage = coordinator.usage_of(&key.0, &key.1).await?;
                let snapshot = Arc::new(Snapshot::new(usage));
                if let Some(hub) = hub.upgrade() {
                    hub.recent.insert(key, (at, snapshot.clone()));
                }
                Ok(snapshot)
            }
            .boxed()
        })
    }

    /// A page of a pool's log; identical reads are shared.
    pub async fn log(&self, pool: &PoolId, query: LogQuery) -> LogResult {
        let key = (pool.clone(), query);
        let read = self.0.logs.join(key, || {
            let (store, pool) = (self.0.store.clone(), pool.clone());
            async move { store.log(&pool, query).await.map(Arc::new) }.boxed()
        });
        read.await
    }

    /// Present status of a scope as the events so far say.
    pub fn status(&self, pool: &PoolId, scope: &Scope) -> Result<PoolStatus, CoordinatorError> {
        Ok(self.pool(pool)?.status(&self.0.coordinator.own_groups(pool, scope)?))
    }

    /// How well this node hears.
    pub fn freshness(&self) -> Freshness {
        self.0.freshness.read(Instant::now(), self.0.pools.iter().all(|pool| pool.is_verified()))
    }

    /// Returns once this node is known to hear what happens. It may take long while Redis is away.
    pub async fn listening(&self) {
        self.0.freshness.proved().await;
    }

    /// Is what this node shows of a pool possibly old?
    pub fn is_stale(&self, pool: &PoolId) -> bool {
        let verified = self.0.by_id.get(pool).is_some_and(|pool| pool.is_verified());
        self.0.freshness.read(Instant::now(), verified).stale
    }

    /// How many subscribers a pool has on this node.
    pub fn subscribers(&self, pool: &PoolId) -> usize {
        self.0.by_id.get(pool).map_or(0, |pool| pool.subscribers())
    }

    /// Where this node's tail of a pool stands.
    pub fn position(&self, pool: &PoolId) -> Result<Position, CoordinatorError> {
        Ok(self.pool(pool)?.top())
    }

    /// What happened so far.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.0.counts
    }

    pub(super) fn pool(&self, id: &PoolId) -> Result<&Arc<PoolHub>, CoordinatorError> {
        match self.0.by_id.get(id) {
            Some(pool) => Ok(pool),
            // For its error, which names what exists.
            None => {
                self.0.coordinator.pool(id).and_then(|_| Err(CoordinatorError::Internal(format!("pool `{id}` is not followed"))))
            }
        }
    }

    pub(super) fn pools(&self) -> &[Arc<PoolHub>] {
        &self.0.pools
    }

    pub(super) fn freshness_state(&self) -> &Arc<FreshnessState> {
        &self.0.freshness
    }

    pub(super) fn coordinator(&self) -> &Coordinator {
        &self.0.coordinator
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    pub(super) fn timing(&self) -> &Timing {
        &self.0.timing
    }
}
