//! Reserve, settle, prolong, look up.

use poem::{
    Request,
    http::{HeaderName, StatusCode, header},
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Caller, Consume, Read},
    body::Body,
    checks::Checks,
    idempotency,
    metrics::Decided,
    problem::{FieldError, Problem, from_coordinator},
    query::{Args, page_size},
    wire::{
        Authority, CommitBody, DecisionBody, ExtendBody, ExtendedBody, ReleaseByKeyBody, Reservation, ReservationPage,
        ReserveBody, Settled,
    },
};
use crate::coordinator::types::{CoordinatorError, Release};

/// Longest id of a reservation, characters.
const MAX_ID: usize = 128;
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Operations on reservations.
pub struct ReservationsApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Reservations")]
impl ReservationsApi {
    /// Reserve
    ///
    /// Holds units against every limit that applies, all or nothing. A denial is an answer, so its status is 200,
    /// unless `denied_status=429` asks for 429 with the fields `RateLimit`, `RateLimit-Policy` and `Retry-After`.
    #[oai(
        path = "/reservations",
        method = "post",
        operation_id = "reserve",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "The same key and body give the same reservation."
        )
    )]
    async fn reserve(
        &self,
        auth: Auth<Consume>,
        /// Status of a denial: 200 (the default) or 429.
        denied_status: Query<Option<u16>>,
        body: Body<ReserveBody>,
        request: &Request,
    ) -> Result<Answer<DecisionBody>, Problem> {
        let caller = auth.0;
        if !matches!(denied_status.0, None | Some(200 | 429)) {
            return Err(Problem::validation(vec![FieldError::parameter("denied_status", "must be 200 or 429")]));
        }
        let key = idempotency::of(request.headers())?;
        let body = reserve(&caller, body.0, key, Checks::default()).await?;
        Ok(decided(body, denied_status.0 == Some(429)))
    }

    /// Commit
    ///
    /// Settles a reservation at its true cost. Without a body everything that was held is charged. Idempotent.
    #[oai(path = "/reservations/:id/commit", method = "post", operation_id = "commit")]
    async fn commit(
        &self,
        auth: Auth<Consume>,
        /// The reservation's id.
        id: Path<String>,
        body: Body<CommitBody>,
    ) -> Result<Answer<Settled>, Problem> {
        let caller = auth.0;
        let id = known(&caller, id.0).await?;
        let commit = body.0.into_commit(id);
        let settled = caller.state.coordinator().commit(commit).await.map_err(|e| from_coordinator(e, "/cost"))?;
        Ok(settlement(settled.into()))
    }

    /// Release
    ///
    /// Gives everything back: the call was never sent. Idempotent.
    #[oai(path = "/reservations/:id/release", method = "post", operation_id = "release")]
    async fn release(
        &self,
        auth: Auth<Consume>,
        /// The reservation's id.
        id: Path<String>,
    ) -> Result<Answer<Settled>, Problem> {
        let caller = auth.0;
        let id = known(&caller, id.0).await?;
        release(&caller, Release::Reservation(id)).await.map(settlement)
    }

    /// Release by idempotency key
    ///
    /// For a caller whose reserve timed out and who has no id. Also voids a reserve with that key that arrives later.
    #[oai(path = "/reservations/release", method = "post", operation_id = "release_by_key")]
    async fn release_by_key(&self, auth: Auth<Consume>, body: Body<ReleaseByKeyBody>) -> Result<Answer<Settled>, Problem> {
        let caller = auth.0;
        let by_key = body.0.into_release(&caller, Checks::default())?;
        release(&caller, by_key).await.map(settlement)
    }

    /// Extend
    ///
    /// Prolongs the lease, and may add cost, which can be denied.
    #[oai(
        path = "/reservations/:id/extend",
        method = "post",
        operation_id = "extend",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "Makes a repetition of `add_cost` harmless."
        )
    )]
    async fn extend(
        &self,
        auth: Auth<Consume>,
        /// The reservation's id.
        id: Path<String>,
        body: Body<ExtendBody>,
        request: &Request,
    ) -> Result<Answer<ExtendedBody>, Problem> {
        let caller = auth.0;
        let key = idempotency::of(request.headers())?;
        let id = known(&caller, id.0).await?;
        let extend = body.0.into_extend(id, key, Checks::default())?;
        let extended = caller.state.coordinator().extend(extend).await.map_err(|e| from_coordinator(e, "/add_cost"))?;
        Ok(Answer::ok(extended.into()))
    }

    /// List reservations
    ///
    /// Open ones, oldest first. `scope.K=V` and `metadata.K=V` narrow the list.
    #[oai(path = "/reservations", method = "get", operation_id = "list_reservations")]
    async fn list(
        &self,
        auth: Auth<Read>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        /// Only this workspace; short for `scope.workspace`.
        workspace_id: Query<Option<String>>,
        /// Entries of a page: 1 to 200, 100 where it is not named.
        limit: Query<Option<u32>>,
        /// `next` of the page before.
        after: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<ReservationPage>, Problem> {
        let caller = auth.0;
        let args = Args::of(request, &["pool", "workspace_id", "limit", "after", "scope.", "metadata."])?;
        let (_, size, scope) = (workspace_id, page_size(limit.0)?, args.scope()?);
        let pool = caller.pool(pool.0.as_deref(), |detail| FieldError::parameter("pool", detail))?;
        let coordinator = caller.state.coordinator();
        let (views, next) = coordinator
            .reservations(&pool, &scope, &args.metadata(), after.0.as_deref(), size)
            .await
            .map_err(|e| from_coordinator(e, ""))?;
        Ok(Answer::ok(ReservationPage { reservations: views.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a reservation
    #[oai(path = "/reservations/:id", method = "get", operation_id = "read_reservation")]
    async fn read(
        &self,
        auth: Auth<Read>,
        /// The reservation's id.
        id: Path<String>,
    ) -> Result<Answer<Reservation>, Problem> {
        let caller = auth.0;
        check_id(&id.0)?;
        let view = caller.state.coordinator().reservation(&id.0).await.map_err(|e| from_coordinator(e, ""))?;
        if !caller.principal.sees(&view.pool) {
            return Err(unknown());
        }
        Ok(Answer::ok(view.into()))
    }
}

/// Asks the coordinator for a hold, and counts its decision.
pub async fn reserve(caller: &Caller, body: ReserveBody, key: Option<String>, checks: Checks) -> Result<DecisionBody, Problem> {
    let reserve = body.into_reserve(caller, key, checks)?;
    let pool = reserve.ask.pool.clone();
    let decision = caller.state.coordinator().reserve(reserve).await.map_err(|e| from_coordinator(e, "/cost"))?;
    let body = DecisionBody::from(decision);
    let outcome = match &body {
        DecisionBody::Granted(_) => Decided::Granted,
        DecisionBody::Denied(_) => Decided::Denied,
    };
    caller.state.metrics().decided(pool.as_str(), outcome);
    Ok(body)
}

/// Asks the coordinator to give units back.
pub async fn release(caller: &Caller, release: Release) -> Result<Settled, Problem> {
    let settled = caller.state.coordinator().release(release).await.map_err(|e| from_coordinator(e, ""))?;
    Ok(settled.into())
}

/// The id of a reservation that the caller may touch.
///
/// An id tells nothing of its pool, so for a key that is confined to some pools it is looked up first. What the key
/// may not see does not exist for it.
pub async fn known(caller: &Caller, id: String) -> Result<String, Problem> {
    check_id(&id)?;
    if caller.principal.is_confined() {
        let view = caller.state.coordinator().reservation(&id).await.map_err(|e| from_coordinator(e, ""))?;
        if !caller.principal.sees(&view.pool) {
            return Err(unknown());
        }
    }
    Ok(id)
}

fn check_id(id: &str) -> Result<(), Problem> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && (1..=MAX_ID).contains(&id.len()) { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> Problem {
    from_coordinator(CoordinatorError::UnknownReservation, "")
}

/// The answer to a reserve. `mirror` = a denial is 429 with its header fields.
fn decided(body: DecisionBody, mirror: bool) -> Answer<DecisionBody> {
    let fields = match &body {
        DecisionBody::Granted(granted) if granted.replayed == Some(true) => {
            return Answer::ok(body).with_header(idempotency::REPLAYED, "true");
        }
        DecisionBody::Denied(denied) if mirror => denied.headers.clone(),
        _ => return Answer::ok(body),
    };
    let answer = Answer::ok(body)
        .with_status(StatusCode::TOO_MANY_REQUESTS)
        .with_header(RATE_LIMIT_POLICY, fields.policy)
        .with_header(RATE_LIMIT, fields.limit);
    match fields.retry_after {
        Some(after) => answer.with_header(header::RETRY_AFTER, after),
        None => answer,
    }
}

/// The answer to a settlement: 202 while only this node knows of it.
fn settlement(settled: Settled) -> Answer<Settled> {
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
