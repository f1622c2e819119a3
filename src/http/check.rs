//! Would this cost be granted now?

use poem::Request;
use poem_openapi::{OpenApi, param::Query};

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Caller, Read},
    body::Body,
    checks::Checks,
    problem::{FieldError, Problem},
    query::Args,
    wire::{Check, ReserveBody},
};
use crate::{coordinator::types::Ask, domain::Priority};

/// Questions that take nothing.
pub struct CheckApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Usage")]
impl CheckApi {
    /// Check by query
    ///
    /// Would this cost be granted now? `scope.K=V` says who asks, `cost.U=N` how much.
    #[oai(path = "/check", method = "get", operation_id = "check_by_query")]
    async fn by_query(
        &self,
        auth: Auth<Read>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        /// Who asks; short for `scope.workspace`.
        workspace_id: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<Check>, Problem> {
        let caller = auth.0;
        let args = Args::of(request, &["pool", "workspace_id", "scope.", "cost."])?;
        let (_, scope, cost) = (workspace_id, args.scope()?, args.cost()?);
        let pool = caller.pool(pool.0.as_deref(), |detail| FieldError::parameter("pool", detail))?;
        check(&caller, Ask { pool, scope, cost, estimate: None, priority: Priority::default() }).await.map_err(Problem::in_query)
    }

    /// Check
    ///
    /// Would this reserve be granted now? Takes its body, and takes nothing from the counters.
    #[oai(path = "/check", method = "post", operation_id = "check")]
    async fn by_body(&self, auth: Auth<Read>, body: Body<ReserveBody>) -> Result<Answer<Check>, Problem> {
        let caller = auth.0;
        let reserve = body.0.into_reserve(&caller, None, Checks::default())?;
        check(&caller, reserve.ask).await
    }
}

async fn check(caller: &Caller, ask: Ask) -> Result<Answer<Check>, Problem> {
    let verdict = caller.coordinator().check(ask).await?;
    Ok(Answer::ok(verdict.into()))
}
