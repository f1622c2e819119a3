//! Many operations in one call.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{
    CallOutcome, CommitBody, CostMap, Entries, EstimateBody, ExtendBody, Priority, ProviderUsage, RecordBody, ReleaseByKeyBody,
    ReserveBody,
};
use crate::http::{body::JsonBody, checks::Checks};

/// Most operations of a batch.
pub const MAX_OPERATIONS: usize = 256;

/// Operations, decided in one go for each pool. A value of the wrong type, or a field that does not belong to its
/// operation, refuses the batch before anything is written; whatever else is wrong with an operation is its own answer.
#[derive(Clone, Debug, Object, Deserialize)]
#[oai(rename = "BatchRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// The operations.
    #[oai(validator(min_items = 1, max_items = 256))]
    pub operations: Vec<BatchOperation>,
}

impl JsonBody for BatchBody {}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "BatchOp")]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Like `POST /reservations`.
    Reserve,
    /// Like `POST /reservations/{id}/commit`.
    Commit,
    /// Like `POST /reservations/{id}/release`, or by idempotency key.
    Release,
    /// Like `POST /reservations/{id}/extend`.
    Extend,
    /// Like `POST /usage`.
    Record,
}

/// One operation: the fields of its own request, and `reservation` where that stands in the path otherwise.
#[derive(Clone, Debug, Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct BatchOperation {
    /// What it does.
    pub op: Op,
    /// commit, release, extend: the reservation's id.
    pub reservation: Option<String>,
    /// reserve, record, release by key: the pool.
    pub pool: Option<String>,
    /// reserve, record: who asks and for what.
    pub scope: Option<Entries>,
    /// reserve, record, commit: costs.
    pub cost: Option<CostMap>,
    /// reserve, record: fills in what `cost` leaves out.
    pub estimate: Option<EstimateBody>,
    /// reserve, extend: the lease, ms.
    #[oai(validator(minimum(value = "1000"), maximum(value = "3600000")))]
    pub lease_ms: Option<u64>,
    /// reserve: which share of a capacity may be filled.
    pub priority: Option<Priority>,
    /// reserve: how long to wait for room, ms; 0 is the only value.
    #[oai(validator(maximum(value = "0")))]
    pub wait_ms: Option<u64>,
    /// reserve, record, extend, release by key: the idempotency key.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub idempotency_key: Option<String>,
    /// reserve: kept with the reservation.
    pub metadata: Option<Entries>,
    /// commit, record: what the provider said that the call used.
    pub usage: Option<ProviderUsage>,
    /// commit: the model that answered.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub model: Option<String>,
    /// commit: how the call went.
    pub outcome: Option<CallOutcome>,
    /// extend: more units.
    pub add_cost: Option<CostMap>,
}

/// An operation, with the request that it stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchItem {
    /// Hold units.
    Reserve(Box<ReserveBody>),
    /// Settle.
    Commit(String, CommitBody),
    /// Give back.
    Release(String),
    /// Give back by key.
    ReleaseByKey(ReleaseByKeyBody),
    /// Prolong.
    Extend(String, ExtendBody),
    /// Count.
    Record(RecordBody),
}

impl BatchOperation {
    /// The request that the operation stands for. Fields of other operations are refused, so that none is
    /// overlooked in silence.
    pub fn into_item(self, checks: &mut Checks) -> Option<BatchItem> {
        let op = self.op;
        self.refuse_strangers(checks);
        let Self {
            op: _,
            reservation,
            pool,
            scope,
            cost,
            estimate,
            lease_ms,
            priority,
            wait_ms,
            idempotency_key,
            metadata,
            usage,
            model,
            outcome,
            add_cost,
        } = self;
        let mut named = |reservation: Option<String>| {
            if reservation.is_none() {
                checks.refuse("/reservation", "is missing");
            }
            reservation
        };
        Some(match op {
            Op::Reserve => BatchItem::Reserve(Box::new(ReserveBody {
                pool,
                scope,
                cost,
                estimate,
                lease_ms,
                priority,
                wait_ms,
                idempotency_key,
                metadata,
            })),
            Op::Commit => BatchItem::Commit(named(reservation)?, CommitBody { cost, usage, model, outcome }),
            Op::Release => match (reservation, idempotency_key) {
                (None, Some(idempotency_key)) => BatchItem::ReleaseByKey(ReleaseByKeyBody { pool, idempotency_key }),
                (reservation, _) => BatchItem::Release(named(reservation)?),
            },
            Op::Extend => BatchItem::Extend(named(reservation)?, ExtendBody { lease_ms, add_cost, idempotency_key }),
            Op::Record => BatchItem::Record(RecordBody { pool, scope, cost, estimate, usage, idempotency_key }),
        })
    }

    fn refuse_strangers(&self, checks: &mut Checks) {
        use Op::{Commit, Extend, Record, Release, Reserve};
        let by_key = self.op == Release && self.reservation.is_none();
        let fields: [(&str, bool, &[Op]); 14] = [
            ("reservation", self.reservation.is_some(), &[Commit, Release, Extend]),
            ("pool", self.pool.is_some() && !by_key, &[Reserve, Record]),
            ("scope", self.scope.is_some(), &[Reserve, Record]),
            ("cost", self.cost.is_some(), &[Reserve, Record, Commit]),
            ("estimate", self.estimate.is_some(), &[Reserve, Record]),
            ("lease_ms", self.lease_ms.is_some(), &[Reserve, Extend]),
            ("priority", self.priority.is_some(), &[Reserve]),
            ("wait_ms", self.wait_ms.is_some(), &[Reserve]),
            ("idempotency_key", self.idempotency_key.is_some() && !by_key, &[Reserve, Record, Extend]),
            ("metadata", self.metadata.is_some(), &[Reserve]),
            ("usage", self.usage.is_some(), &[Commit, Record]),
            ("model", self.model.is_some(), &[Commit]),
            ("outcome", self.outcome.is_some(), &[Commit]),
            ("add_cost", self.add_cost.is_some(), &[Extend]),
        ];
        for (field, given, of) in fields {
            if given && !of.contains(&self.op) {
                checks.refuse(&format!("/{field}"), "does not belong to this operation");
            }
        }
    }
}
