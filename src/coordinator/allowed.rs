//! Grants while the store is away, where every limit that applies says `allow`. Nothing is counted then;
//! the reservation's id itself carries scope and costs, so that any node can count the use once it is
//! committed and the store is back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Coordinator, RENEWALS, answers,
    catalogue::{Catalogue, Prepared},
    ids,
    pricing::{TrueCost, allowed_cost},
    queue::PoolQueue,
    renewed, reservations,
    settle::{Target, commit_fingerprint, finish, settle},
    store_error,
    types::{
        Authority, Commit, CoordinatorError, Decision, Extend, Extended, Grant, Obstacles, Outcome, ReservationState, Settled,
    },
    unsettled,
};
use crate::{
    domain::{Cost, EventId, GroupId, OnStoreFailure, PoolId, PoolStatus, Position, Priority, Scope, Unit},
    store::{
        call::{Op, RecordId, Settlement},
        reply::Answer,
    },
};

/// First byte of such an id.
const VERSION: u8 = 2;
const HEAD: usize = 1 + 4 + 16;
/// Bytes that make a text of 128 characters.
const LONGEST: usize = 96;
/// Words that take one byte. Append only: ids outlive a deployment.
const WORDS: [&str; 10] =
    ["workspace", "model", "requests", "tokens", "input_tokens", "output_tokens", "cost_usd", "user", "key", "organization"];
const WORD: u8 = 0x80;

/// What such an id says.
#[derive(Clone, Debug, PartialEq)]
pub struct AllowedId {
    /// Of the pool.
    pub pool: [u8; 4],
    /// The record that a reserve would have written, and that the use is counted under.
    pub record: RecordId,
    /// Scope and costs; absent where they did not fit.
    pub ask: Option<(Scope, Cost)>,
}

impl AllowedId {
    /// The text for callers: `[A-Za-z0-9_-]`, at most 128 characters.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(LONGEST);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.pool);
        bytes.extend_from_slice(&self.record.to_raw());
        let whole = self.ask.as_ref().and_then(|(scope, cost)| pack(scope, cost)).unwrap_or_default();
        if HEAD + whole.len() <= LONGEST {
            bytes.extend_from_slice(&whole);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text; `None` when it is no such id.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() > 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        if head[0] != VERSION {
            return None;
        }
        let ask = if rest.is_empty() { None } else { Some(unpack(rest)?) };
        Some(Self { pool: head[1..5].try_into().ok()?, record: GroupId::from_raw(head[5..].try_into().ok()?), ask })
    }
}

/// `None` when something is longer than its length byte can say.
fn pack(scope: &Scope, cost: &Cost) -> Option<Vec<u8>> {
    let mut bytes = vec![u8::try_from(scope.iter().len()).ok()?];
    for (key, value) in scope.iter() {
        pack_text(&mut bytes, key)?;
        pack_text(&mut bytes, value)?;
    }
    for (unit, mut amount) in cost.iter() {
        pack_text(&mut bytes, unit.as_str())?;
        while amount >= 0x80 {
            bytes.push(0x80 | u8::try_from(amount & 0x7f).ok()?);
            amount >>= 7;
        }
        bytes.push(u8::try_from(amount).ok()?);
    }
    Some(bytes)
}

fn pack_text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    if let Some(at) = WORDS.iter().position(|word| *word == text) {
        bytes.push(WORD | u8::try_from(at).ok()?);
    } else {
        bytes.push(u8::try_from(text.len()).ok().filter(|length| *length < WORD)?);
        bytes.extend_from_slice(text.as_bytes());
    }
    Some(())
}

fn unpack(mut bytes: &[u8]) -> Option<(Scope, Cost)> {
    let entries = take(&mut bytes, 1)?[0];
    let entries: Vec<_> =
        (0..entries).map(|_| Some((unpack_text(&mut bytes)?, unpack_text(&mut bytes)?))).collect::<Option<_>>()?;
    let mut cost = Cost::default();
    while !bytes.is_empty() {
        let unit = Unit::new(&unpack_text(&mut bytes)?).ok()?;
        let mut amount = 0u64;
        for shift in (0..56).step_by(7) {
            let byte = take(&mut bytes, 1)?[0];
            amount |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        // The largest amount that a request may name.
        cost.set(unit, Some(amount).filter(|amount| *amount < 1 << 53)?);
    }
    Some((Scope::new(entries).ok()?, cost))
}

fn unpack_text(bytes: &mut &[u8]) -> Option<String> {
    let length = take(bytes, 1)?[0];
    if length >= WORD {
        return WORDS.get(usize::from(length - WORD)).map(|word| (*word).to_owned());
    }
    String::from_utf8(take(bytes, usize::from(length))?.to_vec()).ok()
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

/// Do all limits that apply let a request go while the store is away?
pub fn allows(catalogue: &Catalogue, prepared: &Prepared) -> bool {
    let says = |at: &usize| catalogue.pool.limits[*at].on_store_failure == OnStoreFailure::Allow;
    match prepared.limits.as_slice() {
        [] => catalogue.pool.on_store_failure == OnStoreFailure::Allow,
        limits => limits.iter().all(says),
    }
}

/// The grant that nobody decided.
pub fn grant(queue: &PoolQueue, prepared: &Prepared, scope: &Scope, record: RecordId, lease: std::time::Duration) -> Decision {
    let cost = prepared.charged.iter().cloned().collect();
    let id = AllowedId { pool: ids::pool_tag(queue.id()), record, ask: Some((scope.clone(), cost)) };
    let grant = Grant {
        reservation: id.to_text(),
        expires_at_us: queue.clock.about_us() + super::micros(lease),
        charged: prepared.charged.clone(),
        state: ReservationState::Open,
        replayed: false,
    };
    Decision {
        outcome: Outcome::Granted(grant),
        obstacles: Obstacles::default(),
        figures: Vec::new(),
        status: PoolStatus::Degraded,
        cursor: cursor(queue),
        authority: Authority::None,
    }
}

/// Before the first entry of the epoch that was heard last: whoever follows from there misses nothing.
fn cursor(queue: &PoolQueue) -> String {
    let epoch = queue.epoch.load(std::sync::atomic::Ordering::Relaxed);
    Position { epoch, seq: 0, event: EventId::NONE }.to_cursor()
}

impl Coordinator {
    fn allowed_in(&self, id: &AllowedId) -> Result<&PoolQueue, CoordinatorError> {
        Ok(self.0.by_tag.get(&id.pool).ok_or(CoordinatorError::UnknownReservation)?)
    }

    /// The pool that such an id belongs to.
    pub(super) fn pool_of_allowed(&self, id: &AllowedId) -> Result<&PoolId, CoordinatorError> {
        Ok(self.allowed_in(id)?.id())
    }

    /// The scopes that a settlement of such an id would touch: what the id says, and the record's where there is one. An id
    /// is not signed, so it may name a record that is somebody else's. `None` where the id is of the usual kind.
    pub async fn scopes_of_allowed(&self, reservation: &str) -> Result<Option<Vec<Scope>>, CoordinatorError> {
        let Some(id) = AllowedId::from_text(reservation) else { return Ok(None) };
        let queue = self.allowed_in(&id)?;
        let records = self.0.store.records(queue.id(), &[id.record]).await.map_err(store_error)?;
        let recorded = records.iter().flatten().map(|record| reservations::asked(record).0);
        let scopes: Vec<Scope> = id.ask.into_iter().map(|(scope, _)| scope).chain(recorded).collect();
        if scopes.is_empty() { Err(CoordinatorError::UnknownReservation) } else { Ok(Some(scopes)) }
    }

    /// Counts the use, once. The store is asked first whether the reserve was carried out after all: its
    /// answer may have been all that was lost.
    pub(super) async fn commit_allowed(&self, id: AllowedId, request: Commit) -> Result<Settled, CoordinatorError> {
        let queue = self.allowed_in(&id)?;
        queue.catalogue.load().pool.check_units(&request.cost)?;
        let fingerprint = commit_fingerprint(&request);
        let known = match &id.ask {
            Some((scope, held)) => allowed_cost(queue, scope, held, &request)?,
            None => TrueCost { cost: request.cost.clone(), estimated: request.estimated },
        };
        let costs = known.cost.iter().map(|(unit, amount)| (unit.number(), amount)).collect();
        let how = Settlement::Commit { costs, estimated: known.estimated };
        let mut uncounted = uncounted(queue, &request.reservation, ReservationState::Committed);
        uncounted.estimated = known.estimated;
        match settle(queue, target(&id), how, fingerprint).await {
            Err(CoordinatorError::StoreUnavailable { .. }) => return Ok(uncounted),
            Ok((_, answered)) if matches!(answered.answer, Answer::Unknown) => {}
            done => {
                let (catalogue, answered) = done?;
                let settled = finish(&catalogue, queue, id.record, answered)?;
                return Ok(Settled { reservation: request.reservation, ..settled });
            }
        }
        let Some((scope, mut cost)) = id.ask else { return Ok(uncounted) };
        known.cost.iter().for_each(|(unit, amount)| cost.set(unit.clone(), amount));
        for _ in 0..RENEWALS {
            let catalogue = queue.catalogue.load_full();
            let prepared = catalogue.prepare(&scope, &cost, None, Priority::Normal, false)?;
            let (shape, costs) = (prepared.shape.clone(), prepared.costs.clone());
            let op = Op::Record { shape, costs, record: id.record, fingerprint };
            let answered = match renewed(queue.submit(&catalogue, op).await, queue.id()) {
                Err(CoordinatorError::StoreUnavailable { .. }) => return Ok(uncounted),
                other => other?,
            };
            let Some(answered) = answered else { continue };
            let replayed = match answered.answer {
                Answer::Granted { .. } => false,
                Answer::Replay(_) => true,
                Answer::Mismatch => return Err(CoordinatorError::AlreadySettled),
                Answer::Voided => return Err(CoordinatorError::AlreadyReleased),
                other => return Err(answers::unexpected(&other)),
            };
            return Ok(Settled {
                charged: prepared.charged,
                skipped: Vec::new(),
                settled_at_us: answered.header.clock_us,
                replayed,
                cursor: answered.header.position.to_cursor(),
                authority: Authority::Redis,
                ..uncounted
            });
        }
        Err(unsettled())
    }

    /// There is nothing to give back, unless the reserve was carried out after all; later commits are refused.
    pub(super) async fn release_allowed(&self, id: &AllowedId, reservation: String) -> Result<Settled, CoordinatorError> {
        let queue = self.allowed_in(id)?;
        let how = Settlement::Release { void_when_unknown: true };
        match settle(queue, target(id), how, 0).await {
            Err(CoordinatorError::StoreUnavailable { .. }) => Ok(uncounted(queue, &reservation, ReservationState::Released)),
            // Only a use that was recorded is unknown to a release that voids.
            Ok((_, answered)) if matches!(answered.answer, Answer::Unknown) => Err(CoordinatorError::AlreadySettled),
            done => {
                let (catalogue, answered) = done?;
                Ok(Settled { reservation, ..finish(&catalogue, queue, id.record, answered)? })
            }
        }
    }

    /// Nothing is held, so nothing ends: prolonged. More units have to be asked for with a new reserve.
    pub(super) fn extend_allowed(&self, id: &AllowedId, request: Extend) -> Result<Extended, CoordinatorError> {
        let queue = self.allowed_in(id)?;
        if !request.add_cost.is_empty() {
            return Err(CoordinatorError::LeaseEnded);
        }
        let expires_at_us = queue.clock.about_us() + super::micros(request.lease);
        Ok(Extended::Prolonged { reservation: request.reservation, expires_at_us, cursor: cursor(queue) })
    }
}

fn target(id: &AllowedId) -> Target {
    Target { record: id.record, nonce: None, groups: Vec::new() }
}

/// What is said of a settlement that was counted nowhere.
fn uncounted(queue: &PoolQueue, reservation: &str, state: ReservationState) -> Settled {
    Settled {
        reservation: reservation.to_owned(),
        state,
        charged: Vec::new(),
        skipped: queue.configured.limits.iter().map(|limit| limit.id.to_string()).collect(),
        late: false,
        estimated: false,
        settled_at_us: queue.clock.about_us(),
        replayed: false,
        cursor: cursor(queue),
        authority: Authority::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_scope_and_costs_where_they_fit() {
        let cost: Cost =
            [("requests", 1), ("tokens", 1_234_567), ("pages", 0)].map(|(u, a)| (Unit::new(u).unwrap(), a)).into_iter().collect();
        let id = |workspace: &str| {
            let scope = Scope::new([("workspace", workspace), ("model", "gpt-4o"), ("team", "é")]).unwrap();
            AllowedId { pool: [1, 2, 3, 4], record: ids::random_record(), ask: Some((scope, cost.clone())) }
        };
        let short = id("w1");
        assert_eq!(AllowedId::from_text(&short.to_text()), Some(short.clone()));
        for length in [20, 50, 60, 100, 200, 256] {
            let long = id(&"w".repeat(length));
            let text = long.to_text();
            assert!(text.len() <= 128, "{length}");
            let read = AllowedId::from_text(&text).unwrap();
            assert!(read == long || read == AllowedId { ask: None, ..long }, "{length}");
        }
        let empty = AllowedId { ask: Some((Scope::default(), Cost::default())), ..short.clone() };
        assert_eq!(AllowedId::from_text(&empty.to_text()), Some(empty));
        // Neither is taken for the other kind, and cut ones are neither.
        assert!(ids::ReservationId::from_text(&short.to_text()).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(short.to_text()).unwrap();
        for length in 0..bytes.len() {
            let cut = AllowedId::from_text(&URL_SAFE_NO_PAD.encode(&bytes[..length]));
            assert_ne!(cut, Some(short.clone()), "{length}");
        }
    }
}
