//! Reservations as callers know them: identities, what is kept with the record, views of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Coordinator,
    catalogue::Catalogue,
    ids::{self, ReservationId},
    types::{Ask, CoordinatorError, Grant, Metadata, ReservationState, ReservationView, Reserve},
};
use crate::{
    domain::{Estimate, PoolId, Priority, Scope, Unit},
    store::{
        call::{RecordId, Shape},
        reply::{Record, RecordState},
    },
};

/// Open reservations that a listing looks at.
const LISTED: usize = 10_000;

/// What the store keeps with a record without looking at it.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(rename = "s", default)]
    scope: Scope,
    #[serde(rename = "m", default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
    #[serde(rename = "p", default)]
    principal: String,
    #[serde(rename = "q", default)]
    priority: String,
    #[serde(rename = "e", default)]
    model: Option<String>,
}

/// Scope, metadata, principal, priority, and a model that is not the scope's, for the record.
pub fn blob(scope: &Scope, metadata: &Metadata, principal: &str, priority: Priority, model: Option<&str>) -> Bytes {
    #[derive(Serialize)]
    struct Keeping<'a> {
        #[serde(rename = "s")]
        scope: &'a Scope,
        #[serde(rename = "m", skip_serializing_if = "Metadata::is_empty")]
        metadata: &'a Metadata,
        #[serde(rename = "p")]
        principal: &'a str,
        #[serde(rename = "q", skip_serializing_if = "Option::is_none")]
        priority: Option<&'a str>,
        #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
    }
    let priority = (priority != Priority::Normal).then(|| priority.as_str());
    serde_json::to_vec(&Keeping { scope, metadata, principal, priority, model }).unwrap_or_default().into()
}

/// Which record a reserve writes, and how a repetition is recognised.
pub struct Identity {
    pub record: RecordId,
    pub nonce: u32,
    pub fingerprint: u64,
}

impl Identity {
    /// Random, unless the request has an idempotency key: then the same on every node.
    pub fn of(request: &Reserve, scope: &Scope) -> Self {
        let nonce = rand::random();
        match &request.idempotency_key {
            None => Self { record: ids::random_record(), nonce, fingerprint: u64::from(nonce) },
            Some(key) => {
                let lease = u64::try_from(request.lease.as_micros()).unwrap_or(u64::MAX).to_le_bytes();
                let metadata = serde_json::to_vec(&request.metadata).unwrap_or_default();
                let asked = asked_text(&request.ask, scope);
                let parts = asked.iter().map(String::as_bytes).chain([lease.as_slice(), metadata.as_slice()]);
                Self {
                    record: ids::keyed_record(&request.principal, key),
                    nonce,
                    fingerprint: ids::fingerprint(std::iter::once(b"reserve".as_slice()).chain(parts)),
                }
            }
        }
    }

    /// The reservation's id.
    pub fn reservation(&self, pool: &PoolId, shape: &Shape) -> String {
        let groups = shape.groups.iter().map(|group| group.id).collect();
        ReservationId { pool: ids::pool_tag(pool), nonce: self.nonce, record: self.record, groups }.to_text()
    }
}

/// What is asked, as text that is the same on every node of every version.
fn asked_text(ask: &Ask, scope: &Scope) -> [String; 4] {
    let estimate = ask.estimate.as_ref().map(Estimate::to_text).unwrap_or_default();
    let scope = serde_json::to_string(scope).unwrap_or_default();
    [scope, ask.cost.to_text(), estimate, ask.priority.as_str().to_owned()]
}

/// Which record a recorded use writes, and its fingerprint.
pub fn use_identity(request: &super::types::Record, scope: &Scope) -> (RecordId, u64) {
    let record =
        request.idempotency_key.as_ref().map_or_else(ids::random_record, |key| ids::keyed_record(&request.principal, key));
    let asked = asked_text(&request.ask, scope);
    (record, ids::fingerprint(std::iter::once(b"record".as_slice()).chain(asked.iter().map(String::as_bytes))))
}

/// The id under which a record was handed out.
pub fn id_of(pool: &PoolId, id: RecordId, record: &Record) -> String {
    ReservationId { pool: ids::pool_tag(pool), nonce: record.nonce, record: id, groups: record.groups.clone() }.to_text()
}

/// Its state at an instant; a lease ends by time, whether or not anybody has written that down yet.
pub fn state_of(record: &Record, clock_us: u64) -> ReservationState {
    match record.state {
        RecordState::Open if record.deadline_us > clock_us => ReservationState::Open,
        RecordState::Open | RecordState::Expired => ReservationState::Expired,
        RecordState::Committed | RecordState::Recorded => ReservationState::Committed,
        RecordState::Released | RecordState::Void => ReservationState::Released,
    }
}

/// Amounts of a record by unit: the most that any counter of the unit was charged. They agree, except
/// that what a lease end gave back stands in some only, and that a limit which settles at what was
/// admitted may have kept more.
pub fn charged(catalogue: &Catalogue, record: &Record) -> Vec<(Unit, u64)> {
    let mut by_counter = std::collections::BTreeMap::<_, u64>::new();
    for hold in &record.holds {
        // An extension's holds stand beside the first ones.
        let amount = if hold.given_back { 0 } else { hold.amount };
        *by_counter.entry((hold.unit, hold.group, hold.number)).or_default() += amount;
    }
    let mut by_unit = std::collections::BTreeMap::<_, u64>::new();
    for ((number, ..), amount) in by_counter {
        if let Some(unit) = catalogue.unit(number) {
            by_unit.entry(unit.clone()).and_modify(|most| *most = amount.max(*most)).or_insert(amount);
        }
    }
    by_unit.into_iter().collect()
}

/// The grant that an earlier reserve was given. Without an idempotency key, that was this very one,
/// sent again because its answer was lost.
pub fn earlier(catalogue: &Catalogue, reservation: String, record: &Record, clock_us: u64, keyed: bool) -> Grant {
    Grant {
        reservation,
        expires_at_us: record.deadline_us,
        charged: charged(catalogue, record),
        state: state_of(record, clock_us),
        replayed: keyed,
    }
}

fn view(catalogue: &Catalogue, pool: &PoolId, id: RecordId, record: &Record, clock_us: u64) -> ReservationView {
    let kept: Kept = serde_json::from_slice(&record.blob).unwrap_or_else(|_| Kept {
        scope: Scope::default(),
        metadata: Metadata::new(),
        principal: String::new(),
        priority: String::new(),
        model: None,
    });
    ReservationView {
        reservation: id_of(pool, id, record),
        pool: pool.clone(),
        state: state_of(record, clock_us),
        scope: kept.scope,
        metadata: kept.metadata,
        created_at_us: record.since_us,
        expires_at_us: record.deadline_us,
        charged: charged(catalogue, record),
    }
}

/// The scope and the priority that a reservation was made for.
pub fn asked(record: &Record) -> (Scope, Priority) {
    serde_json::from_slice::<Kept>(&record.blob).map(|kept| (kept.scope, Priority::from_word(&kept.priority))).unwrap_or_default()
}

/// The model that a reservation was made for: the estimate's, else the scope's.
pub fn model_of(record: &Record) -> Option<String> {
    let kept: Kept = serde_json::from_slice(&record.blob).ok()?;
    kept.model.or_else(|| kept.scope.get("model").map(str::to_owned))
}

impl Coordinator {
    /// One reservation.
    pub async fn reservation(&self, id: &str) -> Result<ReservationView, CoordinatorError> {
        let (queue, id) = self.find(id)?;
        let records = self.0.store.records(queue.id(), &[id.record]).await.map_err(super::store_error)?;
        let known =
            |record: &Record| record.nonce == id.nonce && !matches!(record.state, RecordState::Void | RecordState::Recorded);
        let record = records.into_iter().next().flatten().filter(known).ok_or(CoordinatorError::UnknownReservation)?;
        Ok(view(&queue.catalogue.load(), queue.id(), id.record, &record, queue.clock.about_us()))
    }

    /// Open reservations whose scope contains `scope` and whose metadata contains `metadata`, oldest
    /// first, with the place to go on from. Looks at no more than the 10,000 whose leases end first.
    pub async fn reservations(
        &self,
        pool: &PoolId,
        scope: &Scope,
        metadata: &Metadata,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ReservationView>, Option<String>), CoordinatorError> {
        let queue = self.queue(pool)?;
        let ids = self.0.store.open(pool, LISTED).await.map_err(super::store_error)?;
        let records = self.0.store.records(pool, &ids).await.map_err(super::store_error)?;
        let (catalogue, clock) = (queue.catalogue.load(), queue.clock.about_us());
        let mut rows: Vec<((u64, RecordId), ReservationView)> = ids
            .into_iter()
            .zip(records)
            .filter_map(|(id, record)| {
                let record = record.filter(|record| record.state == RecordState::Open)?;
                Some(((record.since_us, id), view(&catalogue, pool, id, &record, clock)))
            })
            .filter(|(_, view)| view.scope.contains(scope) && metadata.iter().all(|(k, v)| view.metadata.get(k) == Some(v)))
            .collect();
        rows.sort_by_key(|(place, _)| *place);
        let place = |place: &(u64, RecordId)| format!("{}.{}", place.0, place.1.as_str());
        if let Some(after) = after {
            let (since, id) = after.split_once('.').unwrap_or((after, ""));
            let since: u64 = since.parse().unwrap_or(0);
            rows.retain(|((at, record), _)| (*at, record.as_str()) > (since, id));
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(at, _)| place(at));
        Ok((rows.into_iter().map(|(_, view)| view).collect(), next))
    }
}
