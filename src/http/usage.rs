//! Read what is used, record what was not reserved.

use poem::Request;
use poem_openapi::{OpenApi, param::Query};

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Caller, Consume, Read},
    body::Body,
    checks::Checks,
    idempotency,
    problem::{FieldError, Problem},
    query::{Args, page_size},
    wire::{RecordBody, Recorded, UsagePage},
};

/// Operations on use.
pub struct UsageApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Usage")]
impl UsageApi {
    /// Read usage
    ///
    /// Every counter of a pool, a page at a time; `scope.K=V` narrows to counters of that scope.
    #[oai(path = "/usage", method = "get", operation_id = "read_usage")]
    #[expect(clippy::too_many_arguments, reason = "each argument is a documented query parameter")]
    async fn read(
        &self,
        auth: Auth<Read>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        /// Only this workspace; short for `scope.workspace`.
        workspace_id: Query<Option<String>>,
        /// `current` (the default) is what this version has; past periods are not available.
        period: Query<Option<String>>,
        /// Entries of a page: 1 to 200, 100 where it is not named.
        limit: Query<Option<u32>>,
        /// `next` of the page before.
        after: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<UsagePage>, Problem> {
        let caller = auth.0;
        let args = Args::of(request, &["pool", "workspace_id", "period", "limit", "after", "scope."])?;
        let (_, _, size, scope) = (workspace_id, after, page_size(limit.0)?, args.scope()?);
        check_period(period.0.as_deref())?;
        let pool = caller.pool(pool.0.as_deref(), |detail| FieldError::parameter("pool", detail))?;
        let usage = caller.coordinator().usage(&pool, scope, args.after()?, size).await?;
        Ok(Answer::ok(UsagePage::new(&pool, usage)))
    }

    /// Record use
    ///
    /// Counts a use that was not reserved: always recorded, never denied, also past the capacity.
    #[oai(
        path = "/usage",
        method = "post",
        operation_id = "record_usage",
        request_header(name = "Idempotency-Key", ty = "Option<String>", description = "The same key and body count once.")
    )]
    async fn record(&self, auth: Auth<Consume>, body: Body<RecordBody>, request: &Request) -> Result<Answer<Recorded>, Problem> {
        let caller = auth.0;
        let key = idempotency::of(request.headers())?;
        let recorded = record(&caller, body.0, key, Checks::default()).await?;
        let replayed = recorded.replayed;
        let answer = Answer::ok(recorded);
        Ok(if replayed { answer.with_header(idempotency::REPLAYED, "true") } else { answer })
    }
}

/// Asks the coordinator to count a use.
pub async fn record(caller: &Caller, body: RecordBody, key: Option<String>, checks: Checks) -> Result<Recorded, Problem> {
    let record = body.into_record(caller, key, checks)?;
    let recorded = caller.coordinator().record(record).await?;
    Ok(recorded.into())
}

fn check_period(period: Option<&str>) -> Result<(), Problem> {
    match period {
        None | Some("current") => Ok(()),
        Some(period @ ("hour" | "day" | "month")) => Err(Problem::new(
            poem::http::StatusCode::UNPROCESSABLE_ENTITY,
            "period_unavailable",
            "Period is not available",
            format!("period `{period}` is not available; available is: current"),
        )
        .with_errors(vec![FieldError::parameter("period", "available is: current")])),
        Some(_) => Err(Problem::validation(vec![FieldError::parameter("period", "must be current, hour, day or month")])),
    }
}
