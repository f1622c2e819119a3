//! Reserve, settle, prolong, look up.

use poem::Request;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Consume, Read},
    body::Body,
    checks::Checks,
    decide::{check_id, decided, known, release, reserve, settlement, unknown},
    idempotency,
    problem::{FieldError, Problem},
    query::{Args, page_size},
    wire::{
        CommitBody, DecisionBody, ExtendBody, ExtendedBody, ReleaseByKeyBody, Reservation, ReservationPage, ReserveBody, Settled,
    },
};
use crate::coordinator::types::Release;

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
        if request.uri().query().is_some() {
            // A misspelt parameter must not turn the 429 that a gateway waits for into a 200.
            Args::of(request, &["denied_status"])?;
        }
        if !matches!(denied_status.0, None | Some(200 | 429)) {
            return Err(Problem::validation(vec![FieldError::parameter("denied_status", "must be 200 or 429")]));
        }
        let key = idempotency::of(request.headers())?;
        let body = reserve(&caller, body.0, key, Checks::default()).await?;
        Ok(decided(body, denied_status.0 == Some(429)))
    }

    /// Commit
    ///
    /// Settles a reservation at its true cost: as named in `cost`, else as the provider's own `usage` says. Without a body
    /// everything that was held is charged. Idempotent.
    #[oai(path = "/reservations/:id/commit", method = "post", operation_id = "commit")]
    async fn commit(
        &self,
        auth: Auth<Consume>,
        /// The reservation's id.
        id: Path<String>,
        body: Body<CommitBody>,
    ) -> Result<Answer<Settled>, Problem> {
        let caller = auth.0;
        let id = known(&caller, id.0)?;
        let commit = body.0.into_commit(&caller, id, Checks::default())?;
        let settled = caller.coordinator().commit(commit).await?;
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
        let id = known(&caller, id.0)?;
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
        let id = known(&caller, id.0)?;
        let extend = body.0.into_extend(id, key, Checks::default())?;
        let extended = caller.coordinator().extend(extend).await?;
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
        let (_, _, size, scope) = (workspace_id, after, page_size(limit.0)?, args.scope()?);
        let pool = caller.pool(pool.0.as_deref(), |detail| FieldError::parameter("pool", detail))?;
        let coordinator = caller.coordinator();
        let (views, next) = coordinator.reservations(&pool, scope, &args.metadata()?, args.after()?, size).await?;
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
        let view = caller.coordinator().reservation(&id.0).await?;
        if !caller.principal.sees(&view.pool) {
            return Err(unknown());
        }
        Ok(Answer::ok(view.into()))
    }
}
