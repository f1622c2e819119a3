//! The use cases, knowing the store but neither Redis nor HTTP.
//!
//! A request becomes a [`catalogue::Prepared`] shape and an operation; the pool's [`queue`] sends it
//! together with whatever else is waiting; `answers` turns the reply into what callers are told.

mod allowed;
mod answers;
pub mod catalogue;
mod clock;
mod denials;
mod error;
mod ids;
pub mod limits;
mod lookups;
mod meter;
pub mod notifications;
mod once;
mod pricing;
mod queue;
mod reads;
mod reservations;
mod settle;
mod sweeper;
pub mod types;
mod witness;

use std::{collections::HashMap, sync::Arc};

use catalogue::Catalogue;
pub use denials::LIVES as LOCAL_DENIAL_LIVES;
pub use meter::CallCounts;
use queue::{AWAY, Answered, PoolQueue, Unanswered};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{Ask, CoordinatorError, Decision, Grant, Record, Recorded, ReservationState, Reserve, Reset, Verdict};

use crate::{
    domain::{GroupId, Number, Pool, PoolId, Scope},
    store::{
        Store, StoreError,
        call::{GroupRef, Op},
        health::LaneHealth,
        reply::Answer,
    },
};

/// Times that a request is made anew because the limits changed while it was on its way.
const RENEWALS: usize = 4;

struct Inner {
    pools: Vec<Arc<Pool>>,
    queues: HashMap<PoolId, Arc<PoolQueue>>,
    by_tag: HashMap<[u8; 4], Arc<PoolQueue>>,
    store: Arc<dyn Store>,
}

/// One node's use cases over all configured pools. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator(Arc<Inner>);

impl Coordinator {
    /// Begins to serve the pools: for each a queue and a sweeper, which end with `shutdown` and are
    /// tracked by `tasks`. Nothing is sent yet; see [`Self::prepare`].
    pub fn start(
        store: Arc<dyn Store>,
        pools: Vec<Arc<Pool>>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, CoordinatorError> {
        let (mut queues, mut by_tag) = (HashMap::new(), HashMap::new());
        for pool in &pools {
            let (queue, serving) = PoolQueue::new(pool.clone(), store.clone());
            tasks.spawn(serving);
            tasks.spawn(sweeper::run(queue.clone(), store.clone(), shutdown.clone()));
            if by_tag.insert(ids::pool_tag(&pool.id), queue.clone()).is_some() {
                return Err(CoordinatorError::Internal(format!("pool `{}` needs another id: its tag is taken", pool.id)));
            }
            queues.insert(pool.id.clone(), queue);
        }
        Ok(Self(Arc::new(Inner { pools, queues, by_tag, store })))
    }

    /// A coordinator without pools, for tests of requests that are refused before they get here.
    #[cfg(test)]
    pub(crate) fn absent() -> Self {
        let store = Arc::new(crate::store::memory::MemoryStore::default());
        Self(Arc::new(Inner { pools: Vec::new(), queues: HashMap::new(), by_tag: HashMap::new(), store }))
    }

    /// Writes down the pools' names and reads their overrides. Errors when the store is away.
    pub async fn prepare(&self) -> Result<(), CoordinatorError> {
        for queue in self.0.queues.values() {
            let names = queue.catalogue.load().names();
            self.0.store.register(queue.id(), &names).await.map_err(store_error)?;
            queue::reload(queue, self.0.store.as_ref()).await.map_err(store_error)?;
        }
        Ok(())
    }

    /// The configured pools, in configuration order.
    pub fn pools(&self) -> &[Arc<Pool>] {
        &self.0.pools
    }

    /// The pool of that id.
    pub fn pool(&self, id: &PoolId) -> Result<&Arc<Pool>, CoordinatorError> {
        Ok(&self.queue(id)?.configured)
    }

    /// Counts of a pool's calls since the node started.
    pub fn call_counts(&self, id: &PoolId) -> Result<CallCounts, CoordinatorError> {
        Ok(self.queue(id)?.calls.read())
    }

    /// Losses of a pool's data that this node was the first to announce: of everything, and of the
    /// newest operations.
    pub fn losses(&self, id: &PoolId) -> Result<(u64, u64), CoordinatorError> {
        Ok(self.queue(id)?.witness.announced())
    }

    fn queue(&self, id: &PoolId) -> Result<&Arc<PoolQueue>, CoordinatorError> {
        self.0.queues.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.0.pools.iter().map(|pool| pool.id.as_str()).collect();
            CoordinatorError::UnknownPool { pool: id.to_string(), known: known.join(", ") }
        })
    }

    /// Hold units, or deny.
    pub async fn reserve(&self, request: Reserve) -> Result<Decision, CoordinatorError> {
        let queue = self.queue(&request.ask.pool)?;
        let scope = scope_of(&request.ask)?;
        let identity = reservations::Identity::of(&request, &scope);
        let blob = reservations::blob(
            &scope,
            &request.metadata,
            &request.principal,
            request.ask.priority,
            own_model(&request.ask, &scope),
        );
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let prepared = prepare(queue, &catalogue, &request.ask, &scope, true)?;
            if request.idempotency_key.is_none()
                && let Some(denial) = queue.denials.find(&prepared.shape, &prepared.costs, Instant::now())
            {
                queue.calls.count_local_denial();
                return Ok(answers::local_denial(&catalogue, &prepared, &denial));
            }
            let op = Op::Reserve {
                shape: prepared.shape.clone(),
                costs: prepared.costs.clone(),
                record: identity.record,
                nonce: identity.nonce,
                fingerprint: identity.fingerprint,
                lease_us: micros(request.lease),
                blob: blob.clone(),
            };
            let answered = queue.submit(&catalogue, op).await;
            if matches!(&answered, Err(Unanswered::Store(error)) if error.is_away()) && allowed::allows(&catalogue, &prepared) {
                return Ok(allowed::grant(queue, &prepared, &scope, identity.record, request.lease));
            }
            let Some(answered) = renewed(answered, queue.id())? else { continue };
            let grant = |expires_at_us| Grant {
                reservation: identity.reservation(queue.id(), &prepared.shape),
                expires_at_us,
                charged: prepared.charged.clone(),
                state: ReservationState::Open,
                replayed: false,
            };
            return answers::decision(&catalogue, &prepared, answered, grant, |record, clock_us| {
                let id = reservations::id_of(queue.id(), identity.record, record);
                reservations::earlier(&catalogue, id, record, clock_us, request.idempotency_key.is_some())
            });
        }
        Err(unsettled())
    }

    /// Would this be granted now?
    pub async fn check(&self, ask: Ask) -> Result<Verdict, CoordinatorError> {
        let queue = self.queue(&ask.pool)?;
        let scope = scope_of(&ask)?;
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let prepared = prepare(queue, &catalogue, &ask, &scope, true)?;
            let op = Op::Check { shape: prepared.shape.clone(), costs: prepared.costs.clone() };
            let Some(answered) = renewed(queue.submit(&catalogue, op).await, queue.id())? else { continue };
            return answers::verdict(&catalogue, &prepared, &answered);
        }
        Err(unsettled())
    }

    /// Count a use that was not reserved. Never denied.
    pub async fn record(&self, request: Record) -> Result<Recorded, CoordinatorError> {
        let queue = self.queue(&request.ask.pool)?;
        let scope = scope_of(&request.ask)?;
        let (record, fingerprint) = reservations::use_identity(&request, &scope);
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let prepared = prepare(queue, &catalogue, &request.ask, &scope, false)?;
            let op = Op::Record { shape: prepared.shape.clone(), costs: prepared.costs.clone(), record, fingerprint };
            let Some(answered) = renewed(queue.submit(&catalogue, op).await, queue.id())? else { continue };
            let replayed = match answered.answer {
                Answer::Granted { .. } => false,
                Answer::Replay(_) => true,
                Answer::Mismatch => return Err(CoordinatorError::IdempotencyMismatch),
                other => return Err(answers::unexpected(&other)),
            };
            let figures = catalogue.figures(&prepared, &answered.figures, answered.header.clock_us);
            return Ok(Recorded {
                charged: prepared.charged.clone(),
                status: catalogue.scope_status(&answered.header, &figures),
                figures,
                replayed,
                cursor: answered.header.position.to_cursor(),
            });
        }
        Err(unsettled())
    }

    /// Clear counters. Returns how many.
    pub async fn reset(&self, request: Reset) -> Result<u64, CoordinatorError> {
        let queue = self.queue(&request.pool)?;
        if let Some(limit) = &request.limit
            && !queue.configured.limits.iter().any(|known| known.id.as_str() == limit)
        {
            return Err(CoordinatorError::UnknownLimit { pool: request.pool.to_string(), limit: limit.clone() });
        }
        let mut count = 0;
        for (group, numbers) in reads::resettable(queue, self.0.store.as_ref(), &request).await.map_err(store_error)? {
            count += reset_group(queue, group, &numbers).await?;
        }
        tracing::warn!(pool = %request.pool, limit = request.limit, scope = %request.scope, by = %request.principal, count, "counters reset");
        Ok(count)
    }

    /// How the store's connections are doing.
    pub fn store_health(&self) -> Vec<LaneHealth> {
        self.0.store.health()
    }

    /// Does the store answer? For readiness.
    pub async fn ready(&self) -> Result<(), CoordinatorError> {
        self.0.store.ping().await.map_err(store_error)
    }
}

async fn reset_group(queue: &PoolQueue, group: GroupId, numbers: &[Number]) -> Result<u64, CoordinatorError> {
    for _ in 0..RENEWALS {
        let catalogue = queue.catalogue.load_full();
        let op = Op::Reset { group: GroupRef::Id(group), numbers: numbers.to_vec() };
        match renewed(queue.submit(&catalogue, op).await, queue.id())?.map(|answered| answered.answer) {
            Some(Answer::Granted { figure, .. }) => return Ok(figure),
            Some(other) => return Err(answers::unexpected(&other)),
            None => {}
        }
    }
    Err(unsettled())
}

/// The scope that limits see: the estimate's model stands in where the scope names none.
fn scope_of(ask: &Ask) -> Result<Scope, CoordinatorError> {
    match ask.estimate.as_ref().and_then(|estimate| estimate.model.as_deref()) {
        Some(model) if ask.scope.get("model").is_none() => {
            let entries = ask.scope.iter().chain([("model", model)]);
            Ok(Scope::new(entries)?)
        }
        _ => Ok(ask.scope.clone()),
    }
}

/// The estimate's model, where it is another than the scope's: it has a price of its own.
fn own_model<'a>(ask: &'a Ask, scope: &Scope) -> Option<&'a str> {
    let model = ask.estimate.as_ref()?.model.as_deref()?;
    (scope.get("model") != Some(model)).then_some(model)
}

fn prepare(
    queue: &PoolQueue,
    catalogue: &Catalogue,
    ask: &Ask,
    scope: &Scope,
    opens: bool,
) -> Result<catalogue::Prepared, CoordinatorError> {
    let estimate = ask.estimate.as_ref().map(|estimate| estimate.priced(&catalogue.pool, scope, queue.clock.about_us()));
    Ok(catalogue.prepare(scope, &ask.cost, estimate.as_ref(), ask.priority, opens)?)
}

/// `None` when the request must be made anew.
fn renewed(result: Result<Answered, Unanswered>, pool: &PoolId) -> Result<Option<Answered>, CoordinatorError> {
    match result {
        Ok(answered) => Ok(Some(answered)),
        Err(Unanswered::Stale) => Ok(None),
        Err(Unanswered::Store(error)) => Err(store_error(error)),
        Err(Unanswered::Full) => Err(CoordinatorError::Overloaded { pool: pool.to_string() }),
    }
}

fn store_error(error: StoreError) -> CoordinatorError {
    match error {
        StoreError::Protocol(what) => CoordinatorError::Internal(what),
        other => CoordinatorError::StoreUnavailable { reason: other.to_string(), retry_after: AWAY },
    }
}

fn unsettled() -> CoordinatorError {
    CoordinatorError::StoreUnavailable { reason: "the limits kept changing".into(), retry_after: AWAY }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
