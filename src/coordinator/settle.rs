//! Commit, release, extend: what happens to a reservation after it was granted.

use std::sync::Arc;

use super::{
    Coordinator, RENEWALS,
    allowed::AllowedId,
    answers,
    catalogue::Catalogue,
    ids::{self, ReservationId},
    queue::{Answered, PoolQueue},
    renewed, reservations, store_error,
    types::{Authority, Commit, CoordinatorError, Extend, Extended, Release, Settled},
    unsettled,
};
use crate::store::{
    call::{Op, RecordId, Settlement},
    reply::{Answer, Record, RecordState},
};

/// A reservation to settle.
pub(super) struct Target {
    pub record: RecordId,
    pub nonce: Option<u32>,
    pub groups: Vec<crate::domain::GroupId>,
}

impl Coordinator {
    /// The pool and the parts of a reservation's id.
    pub(super) fn find(&self, id: &str) -> Result<(&Arc<PoolQueue>, ReservationId), CoordinatorError> {
        let id = ReservationId::from_text(id).ok_or(CoordinatorError::UnknownReservation)?;
        let queue = self.0.by_tag.get(&id.pool).ok_or(CoordinatorError::UnknownReservation)?;
        Ok((queue, id))
    }

    /// The pool that a reservation belongs to, by its id alone.
    pub fn pool_of(&self, reservation: &str) -> Result<&crate::domain::PoolId, CoordinatorError> {
        if let Some(allowed) = AllowedId::from_text(reservation) {
            return self.pool_of_allowed(&allowed);
        }
        Ok(self.find(reservation)?.0.id())
    }

    /// Settle at the true cost.
    pub async fn commit(&self, request: Commit) -> Result<Settled, CoordinatorError> {
        if let Some(allowed) = AllowedId::from_text(&request.reservation) {
            return Box::pin(self.commit_allowed(allowed, request)).await;
        }
        let (queue, id) = self.find(&request.reservation)?;
        queue.catalogue.load().pool.check_units(&request.cost)?;
        let fingerprint = commit_fingerprint(&request);
        let known = self.true_cost(queue, &id, &request).await?;
        let costs = known.cost.iter().map(|(unit, amount)| (unit.number(), amount)).collect();
        let how = Settlement::Commit { costs, estimated: known.estimated };
        let target = Target { record: id.record, nonce: Some(id.nonce), groups: id.groups };
        let (catalogue, answered) = settle(queue, target, how, fingerprint).await?;
        finish(&catalogue, queue, id.record, answered)
    }

    /// Give everything back.
    pub async fn release(&self, request: Release) -> Result<Settled, CoordinatorError> {
        let (queue, target, void_when_unknown) = match request {
            Release::Reservation(id) => {
                if let Some(allowed) = AllowedId::from_text(&id) {
                    return Box::pin(self.release_allowed(&allowed, id)).await;
                }
                let (queue, id) = self.find(&id)?;
                (queue, Target { record: id.record, nonce: Some(id.nonce), groups: id.groups }, false)
            }
            Release::IdempotencyKey { pool, key, principal } => {
                let record = ids::keyed_record(&principal, &key);
                (self.queue(&pool)?, Target { record, nonce: None, groups: Vec::new() }, true)
            }
        };
        let record = target.record;
        let (catalogue, answered) = settle(queue, target, Settlement::Release { void_when_unknown }, 0).await?;
        finish(&catalogue, queue, record, answered)
    }

    /// Prolong a lease, and optionally take more.
    pub async fn extend(&self, request: Extend) -> Result<Extended, CoordinatorError> {
        if let Some(allowed) = AllowedId::from_text(&request.reservation) {
            return self.extend_allowed(&allowed, request);
        }
        let (queue, id) = self.find(&request.reservation)?;
        let attempt = match &request.idempotency_key {
            Some(key) => ids::fingerprint(["extend".as_bytes(), key.as_bytes()]),
            None => rand::random(),
        }
        .max(1);
        let mut groups = id.groups.clone();
        let asked = if request.add_cost.is_empty() {
            None
        } else {
            let records = self.0.store.records(queue.id(), &[id.record]).await.map_err(store_error)?;
            let record = records.into_iter().next().flatten().ok_or(CoordinatorError::UnknownReservation)?;
            groups.clone_from(&record.groups);
            Some(reservations::asked(&record))
        };
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let prepared = asked
                .as_ref()
                .map(|(scope, priority)| catalogue.prepare_more(scope, &request.add_cost, *priority))
                .transpose()?;
            let op = Op::Extend {
                record: id.record,
                nonce: id.nonce,
                groups: groups.clone(),
                lease_us: super::micros(request.lease),
                attempt,
                add: prepared.as_ref().map(|p| (p.shape.clone(), p.costs.clone())),
            };
            let Some(answered) = renewed(queue.submit(&catalogue, op).await, queue.id())? else { continue };
            match (&answered.answer, &prepared) {
                (Answer::NeedGroups(record), _) => groups.clone_from(&record.groups),
                (Answer::Denied(_), Some(prepared)) => {
                    return Ok(Extended::Denied(Box::new(answers::refused(&catalogue, prepared, &answered)?)));
                }
                (Answer::Granted { figure, .. }, _) => {
                    return Ok(Extended::Prolonged {
                        reservation: request.reservation,
                        expires_at_us: *figure,
                        cursor: answered.header.position.to_cursor(),
                    });
                }
                _ => return Err(refusal(&answered.answer)),
            }
        }
        Err(unsettled())
    }
}

/// Of what was said, not of what it is priced at: prices may differ between nodes while they are changed.
pub(super) fn commit_fingerprint(request: &Commit) -> u64 {
    let used = request.used.as_ref().map(|used| format!("{} {}", used.tokens.to_text(), used.model.as_deref().unwrap_or("")));
    let (cost, estimated) = (request.cost.to_text(), [u8::from(request.estimated)]);
    let parts = [b"commit".as_slice(), cost.as_bytes(), &estimated];
    ids::fingerprint(parts.into_iter().chain(used.as_ref().map(String::as_bytes)))
}

/// Settles; asks again with the record's groups where the id did not carry them.
pub(super) async fn settle(
    queue: &PoolQueue,
    mut target: Target,
    how: Settlement,
    fingerprint: u64,
) -> Result<(Arc<Catalogue>, Answered), CoordinatorError> {
    for _ in 0..RENEWALS {
        let catalogue = queue.catalogue.load_full();
        let op = Op::Settle {
            record: target.record,
            nonce: target.nonce,
            groups: target.groups.clone(),
            how: how.clone(),
            fingerprint,
        };
        let Some(answered) = renewed(queue.submit(&catalogue, op).await, queue.id())? else { continue };
        match answered.answer {
            Answer::NeedGroups(record) => target.groups = record.groups,
            _ => return Ok((catalogue, answered)),
        }
    }
    Err(unsettled())
}

pub(super) fn finish(
    catalogue: &Catalogue,
    queue: &PoolQueue,
    id: RecordId,
    answered: Answered,
) -> Result<Settled, CoordinatorError> {
    let (record, replayed) = match answered.answer {
        Answer::Settled(record) => (record, false),
        Answer::Replay(record) => (record, true),
        Answer::Voided => (voided(answered.header.clock_us), false),
        other => return Err(refusal(&other)),
    };
    let skipped = record.holds.iter().filter(|hold| hold.skipped).map(|hold| {
        catalogue.limit(hold.number).map_or_else(|| format!("limit no. {}", hold.number.get()), |limit| limit.id.to_string())
    });
    Ok(Settled {
        reservation: reservations::id_of(queue.id(), id, &record),
        state: reservations::state_of(&record, answered.header.clock_us),
        charged: reservations::charged(catalogue, &record),
        skipped: skipped.collect(),
        late: record.late,
        estimated: record.estimated,
        settled_at_us: record.settled_at_us,
        replayed,
        cursor: answered.header.position.to_cursor(),
        authority: Authority::Redis,
    })
}

/// What a release of something that was never reserved says.
fn voided(clock_us: u64) -> Record {
    Record {
        state: RecordState::Void,
        late: false,
        estimated: false,
        since_us: clock_us,
        deadline_us: clock_us,
        bucket_us: 0,
        settled_at_us: clock_us,
        settlement: 0,
        attempt: 0,
        fingerprint: 0,
        nonce: 0,
        groups: Vec::new(),
        holds: Vec::new(),
        blob: bytes::Bytes::new(),
    }
}

fn refusal(answer: &Answer) -> CoordinatorError {
    match answer {
        Answer::Unknown => CoordinatorError::UnknownReservation,
        Answer::Conflict(record) if record.state == RecordState::Released => CoordinatorError::AlreadyReleased,
        Answer::Conflict(_) => CoordinatorError::AlreadySettled,
        Answer::LeaseEnded => CoordinatorError::LeaseEnded,
        Answer::TooLong => CoordinatorError::LeaseTooLong,
        other => answers::unexpected(other),
    }
}
