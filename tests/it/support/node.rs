//! Nodes, requests and answers for tests, as short as they can be said.

use std::{sync::Arc, time::Duration};

use quota_coordinator::{
    config::{Config, Environment, Format},
    coordinator::{
        Coordinator,
        catalogue::Catalogue,
        types::{
            Ask, Commit, CoordinatorError, Decision, Denial, Extend, Extended, Figure, Grant, Metadata, Outcome, Release,
            Reserve, Settled, Usage,
        },
    },
    domain::{Cost, Pool, PoolId, Priority, Scope, Unit, unit::parse_money},
    store::{
        Overrides, Store,
        call::{Call, GroupRef, Op, Settlement},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A pool of these limits (the rest of its table, in TOML).
pub fn pool_of(id: &PoolId, limits: &str) -> Arc<Pool> {
    let text = format!("[[pools]]\nid = \"{id}\"\n{limits}");
    Config::parse("test.toml", Format::Toml, &text, &Environment::default()).unwrap().pools.remove(0)
}

/// A running node. Its tasks end with it.
pub struct Node {
    pub coordinator: Coordinator,
    pub pool: PoolId,
    shutdown: CancellationToken,
}

impl std::ops::Deref for Node {
    type Target = Coordinator;

    fn deref(&self) -> &Coordinator {
        &self.coordinator
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Node {
    /// A node that sweeps.
    pub async fn start(store: Arc<dyn Store>, pool: &Arc<Pool>) -> Self {
        Self::with(store, pool, CancellationToken::new()).await
    }

    /// A node whose leases end only when the test says so (see [`sweep`]).
    pub async fn without_sweeper(store: Arc<dyn Store>, pool: &Arc<Pool>) -> Self {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        Self::with(store, pool, shutdown).await
    }

    async fn with(store: Arc<dyn Store>, pool: &Arc<Pool>, shutdown: CancellationToken) -> Self {
        let coordinator = Coordinator::start(store, vec![pool.clone()], &TaskTracker::new(), &shutdown).unwrap();
        coordinator.prepare().await.unwrap();
        Self { coordinator, pool: pool.id.clone(), shutdown }
    }

    pub async fn decide(&self, request: Reserve) -> Decision {
        self.reserve(request).await.unwrap()
    }

    /// Reserves what must be granted.
    pub async fn granted(&self, request: Reserve) -> Grant {
        match self.decide(request).await.outcome {
            Outcome::Granted(grant) => grant,
            Outcome::Denied(denial) => panic!("{denial:?}"),
        }
    }

    /// Reserves what must be denied.
    pub async fn denied(&self, request: Reserve) -> Denial {
        match self.decide(request).await.outcome {
            Outcome::Granted(grant) => panic!("{grant:?}"),
            Outcome::Denied(denial) => denial,
        }
    }

    /// Reserves without wanting the id.
    pub async fn tries(&self, request: Reserve) -> bool {
        matches!(self.decide(request).await.outcome, Outcome::Granted(_))
    }

    /// Commits at these costs; units not named keep their hold.
    pub async fn commits(&self, id: &str, costs: &[(&str, u64)]) -> Result<Settled, CoordinatorError> {
        self.commit(Commit { reservation: id.to_owned(), cost: cost(costs), used: None, estimated: false }).await
    }

    pub async fn releases(&self, id: &str) -> Result<Settled, CoordinatorError> {
        self.release(Release::Reservation(id.to_owned())).await
    }

    pub async fn extends(&self, id: &str, lease: Duration, more: &[(&str, u64)]) -> Result<Extended, CoordinatorError> {
        self.extend(Extend { reservation: id.to_owned(), lease, add_cost: cost(more), idempotency_key: None }).await
    }

    pub async fn usage_now(&self) -> Usage {
        self.usage(&self.pool, &Scope::default(), None, 200).await.unwrap()
    }

    /// Used and held of a limit's only counter.
    pub async fn figures(&self, limit: &str) -> (u64, u64) {
        let figure = self.figure(limit).await;
        (figure.used, figure.held)
    }

    /// A limit's only counter.
    pub async fn figure(&self, limit: &str) -> Figure {
        let usage = self.usage_now().await;
        let mut own = usage.figures.into_iter().filter(|figure| figure.limit.id.as_str() == limit);
        let figure = own.next().unwrap_or_else(|| panic!("limit {limit} has no counter"));
        assert!(own.next().is_none(), "limit {limit} has several counters");
        figure
    }

    /// The same with a key, so that the store is asked whatever this node believes to know.
    pub fn asks_anew(&self, costs: &[(&str, u64)]) -> Reserve {
        Reserve { idempotency_key: Some(rand::random::<u64>().to_string()), ..self.asks(costs) }
    }

    /// A request for these costs, without a scope.
    pub fn asks(&self, costs: &[(&str, u64)]) -> Reserve {
        asks(&self.pool, &[], costs)
    }
}

pub fn asks(pool: &PoolId, scope: &[(&str, &str)], costs: &[(&str, u64)]) -> Reserve {
    Reserve {
        ask: Ask {
            pool: pool.clone(),
            scope: Scope::new(scope.iter().copied()).unwrap(),
            cost: cost(costs),
            estimate: None,
            priority: Priority::Normal,
        },
        lease: Duration::from_secs(60),
        idempotency_key: None,
        metadata: Metadata::new(),
        principal: "tester".into(),
    }
}

pub fn cost(entries: &[(&str, u64)]) -> Cost {
    entries.iter().map(|(unit, amount)| (Unit::new(unit).unwrap(), *amount)).collect()
}

pub fn dollars(text: &str) -> u64 {
    parse_money(text).unwrap()
}

/// What a node's sweeper does once, at the store's time.
pub async fn sweep(store: &dyn Store, pool: &Arc<Pool>) {
    let due = store.due(&pool.id, 1000).await.unwrap();
    let records = store.records(&pool.id, &due.leases).await.unwrap();
    let ended = due.leases.iter().zip(records).map(|(id, record)| Op::Settle {
        record: *id,
        nonce: None,
        groups: record.map(|record| record.groups).unwrap_or_default(),
        how: Settlement::Expire,
        fingerprint: 0,
    });
    let looks = due.groups.iter().map(|group| Op::Touch { group: GroupRef::Id(*group) });
    let ops: Vec<Op> = ended.chain(looks).collect();
    let overrides = store.overrides(&pool.id).await.unwrap();
    for ops in ops.chunks(Call::MAX_OPS) {
        let call = call(&Catalogue::new(pool, &overrides), due.clock_us, ops.to_vec());
        store.apply(&pool.id, &call).await.unwrap();
    }
}

/// A call by a node that has this catalogue.
pub fn call(catalogue: &Catalogue, about_us: u64, ops: Vec<Op>) -> Call {
    Call {
        config_version: catalogue.version,
        retention_us: 600_000_000,
        calendars: catalogue.calendars.clone(),
        about_us,
        seed: rand::random(),
        ops,
    }
}

pub fn catalogue_of(pool: &Arc<Pool>) -> Catalogue {
    Catalogue::new(pool, &Overrides::default())
}

/// Waits for what the system brings about by itself and announces to nobody. Returns how long it took.
pub async fn until(what: &str, longest: Duration, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = std::time::Instant::now();
    while !holds().await {
        assert!(began.elapsed() < longest, "{what}: not within {longest:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    began.elapsed()
}
