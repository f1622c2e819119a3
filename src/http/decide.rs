//! From a checked request to a dressed answer: what single operations and batches have in common.

use poem::http::{HeaderName, StatusCode, header};

use super::{
    answer::Answer,
    auth::Caller,
    checks::Checks,
    idempotency,
    metrics::Decided,
    problem::{Problem, from_coordinator},
    wire::{Authority, DecisionBody, ReserveBody, Settled},
};
use crate::coordinator::types::{CoordinatorError, Release};

/// Longest id of a reservation, characters.
const MAX_ID: usize = 128;
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Asks the coordinator for a hold, and counts its decision.
pub async fn reserve(caller: &Caller, body: ReserveBody, key: Option<String>, checks: Checks) -> Result<DecisionBody, Problem> {
    let reserve = body.into_reserve(caller, key, checks)?;
    let pool = reserve.ask.pool.clone();
    // Boxed, because every layer around an operation, and a batch of many of them, moves its whole state about.
    let guarded = caller.coordinator();
    let decision = Box::pin(guarded.reserve(reserve)).await?;
    let body = DecisionBody::from(decision);
    let outcome = match &body {
        DecisionBody::Granted(granted) if granted.authority == Authority::None => Decided::Allowed,
        DecisionBody::Granted(_) => Decided::Granted,
        DecisionBody::Denied(_) => Decided::Denied,
    };
    caller.state.metrics().decided(pool.as_str(), outcome);
    Ok(body)
}

/// Asks the coordinator to give units back.
pub async fn release(caller: &Caller, release: Release) -> Result<Settled, Problem> {
    Ok(caller.coordinator().release(release).await?.into())
}

/// The id of a reservation that the caller may touch.
///
/// What a key that is confined to some pools may not see does not exist for it.
pub fn known(caller: &Caller, id: String) -> Result<String, Problem> {
    check_id(&id)?;
    if caller.principal.is_confined() {
        let pool = caller.state.coordinator().pool_of(&id).map_err(|e| from_coordinator(e, ""))?;
        if !caller.principal.sees(pool) {
            return Err(unknown());
        }
    }
    Ok(id)
}

/// What cannot be an id does not exist.
pub fn check_id(id: &str) -> Result<(), Problem> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && (1..=MAX_ID).contains(&id.len()) { Ok(()) } else { Err(unknown()) }
}

/// What is said of a reservation that does not exist, or not for this caller.
pub fn unknown() -> Problem {
    from_coordinator(CoordinatorError::UnknownReservation, "")
}

/// The answer to a reserve. `mirror` = a denial is 429 with its header fields.
pub fn decided(body: DecisionBody, mirror: bool) -> Answer<DecisionBody> {
    let fields = match &body {
        DecisionBody::Granted(granted) if granted.replayed == Some(true) => {
            return Answer::ok(body).with_header(idempotency::REPLAYED, "true");
        }
        DecisionBody::Denied(denied) if mirror => denied.headers.clone(),
        _ => return Answer::ok(body),
    };
    let mut answer = Answer::ok(body).with_status(StatusCode::TOO_MANY_REQUESTS);
    if !fields.policy.is_empty() {
        answer = answer.with_header(RATE_LIMIT_POLICY, fields.policy).with_header(RATE_LIMIT, fields.limit);
    }
    match fields.retry_after {
        Some(after) => answer.with_header(header::RETRY_AFTER, after),
        None => answer,
    }
}

/// The answer to a settlement: 202 while Redis does not know of it.
pub fn settlement(settled: Settled) -> Answer<Settled> {
    let (replayed, local) = (settled.replayed, settled.authority != Authority::Redis);
    let mut answer = Answer::ok(settled);
    if local {
        answer = answer.with_status(StatusCode::ACCEPTED);
    }
    if replayed { answer.with_header(idempotency::REPLAYED, "true") } else { answer }
}

#[cfg(test)]
mod tests {
    use poem::IntoResponse;

    use super::*;
    use crate::http::wire::examples;

    #[test]
    fn a_denial_is_429_only_where_it_was_asked_for() {
        let plain = decided(DecisionBody::from(examples::denial()), false).into_response();
        assert_eq!(plain.status(), 200);
        assert!(!plain.headers().contains_key("retry-after"));
        let mirrored = decided(DecisionBody::from(examples::denial()), true).into_response();
        assert_eq!(mirrored.status(), 429);
        assert_eq!(mirrored.headers()["retry-after"], "2");
        assert_eq!(mirrored.headers()["cache-control"], "no-store");
        assert_eq!(mirrored.headers()["ratelimit"], "\"workspace-tokens-per-minute\";r=0;t=2");
        assert_eq!(mirrored.headers()["ratelimit-policy"], "\"workspace-tokens-per-minute\";q=40000;w=60;qu=\"tokens\"");
    }

    #[test]
    fn what_was_said_before_says_so() {
        let again = decided(DecisionBody::from(examples::replay()), true).into_response();
        assert_eq!((again.status().as_u16(), &again.headers()["idempotent-replayed"]), (200, &"true".parse().unwrap()));
        let local = settlement(examples::settled().into()).into_response();
        assert_eq!((local.status().as_u16(), &local.headers()["idempotent-replayed"]), (202, &"true".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_an_id_does_not_exist() {
        assert!(check_id("aZ09_-").is_ok());
        for bad in ["", "a.b", "a b", "é", &"x".repeat(129)] {
            assert_eq!(check_id(bad).unwrap_err().code(), "reservation_not_found");
        }
    }
}
