//! Limits in force, what operators change of them, and who did.

use poem::Request;
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};

use super::{
    Tag,
    answer::Answer,
    auth::{Admin, Auth, Caller, Read},
    body::Body,
    checks::Checks,
    problem::{FieldError, Problem, from_coordinator},
    query::{Args, page_size},
    wire::{AuditPage, LimitBody, LimitInForceBody, LimitList},
};
use crate::domain::PoolId;

/// Operations on limits.
pub struct LimitsApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Admin")]
impl LimitsApi {
    /// List limits
    ///
    /// Every limit with the capacity that acts now, and where it comes from. Capacities for particular values of `per`
    /// are not shown.
    #[oai(path = "/limits", method = "get", operation_id = "list_limits")]
    async fn list(
        &self,
        auth: Auth<Read>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<LimitList>, Problem> {
        let caller = auth.0;
        Args::of(request, &["pool"])?;
        let coordinator = caller.of_whole_pools()?;
        let pool = pool_of(&caller, pool.0.as_deref())?;
        let limits = coordinator.limits(&pool).await.map_err(|e| from_coordinator(e, ""))?;
        Ok(Answer::ok(LimitList { pool: pool.to_string(), limits: limits.into_iter().map(Into::into).collect() }))
    }

    /// Set a limit's capacity
    ///
    /// Acts at the very next decision of every node, wins over the configuration until it is removed, and keeps what is
    /// counted. A lower capacity takes nothing back; it admits nothing until enough has left.
    #[oai(path = "/limits/:pool/:limit", method = "put", operation_id = "set_limit")]
    async fn set(
        &self,
        auth: Auth<Admin>,
        /// The pool.
        pool: Path<String>,
        /// The limit.
        limit: Path<String>,
        body: Body<LimitBody>,
        request: &Request,
    ) -> Result<Answer<LimitInForceBody>, Problem> {
        let caller = auth.0;
        let coordinator = caller.of_whole_pools()?;
        Args::of(request, &[])?;
        let pool = pool_of(&caller, Some(&pool.0))?;
        let known = coordinator.configured_limit(&pool, &limit.0).map_err(|e| from_coordinator(e, ""))?;
        let mut checks = Checks::default();
        let reason = checks.text("/reason", body.0.reason);
        let capacity = body.0.capacity.of(&known.unit).unwrap_or_else(|detail| {
            checks.refuse("/capacity", detail);
            0
        });
        checks.finish(())?;
        let changed = coordinator.alter_limit(&pool, &limit.0, Some(capacity), reason, caller.principal.name()).await;
        Ok(Answer::ok(changed.map_err(|e| from_coordinator(e, ""))?.into()))
    }

    /// Remove what was set
    ///
    /// The capacity of the configuration acts again, at the very next decision of every node. Does nothing where none
    /// was set.
    #[oai(path = "/limits/:pool/:limit", method = "delete", operation_id = "unset_limit")]
    async fn unset(
        &self,
        auth: Auth<Admin>,
        /// The pool.
        pool: Path<String>,
        /// The limit.
        limit: Path<String>,
        request: &Request,
    ) -> Result<Answer<LimitInForceBody>, Problem> {
        let caller = auth.0;
        let coordinator = caller.of_whole_pools()?;
        Args::of(request, &[])?;
        let pool = pool_of(&caller, Some(&pool.0))?;
        let changed = coordinator.alter_limit(&pool, &limit.0, None, None, caller.principal.name()).await;
        Ok(Answer::ok(changed.map_err(|e| from_coordinator(e, ""))?.into()))
    }

    /// List changes by operators
    ///
    /// Who changed which limit, when, from what to what; newest first. The last 1,000 of a pool are kept.
    #[oai(path = "/audit", method = "get", operation_id = "list_audit")]
    async fn audit(
        &self,
        auth: Auth<Admin>,
        /// The pool; may be left out where the key sees one pool only.
        pool: Query<Option<String>>,
        /// The `next` of a page.
        after: Query<Option<String>>,
        /// Entries of a page, 1 to 200; 100 where none is given.
        limit: Query<Option<u32>>,
        request: &Request,
    ) -> Result<Answer<AuditPage>, Problem> {
        let caller = auth.0;
        let coordinator = caller.of_whole_pools()?;
        Args::of(request, &["pool", "after", "limit"])?;
        let (pool, most) = (pool_of(&caller, pool.0.as_deref())?, page_size(limit.0)?);
        let place = after.0.as_deref().map(place).transpose()?;
        let found = coordinator.alterations(&pool, place, most).await;
        let found = found.map_err(|e| from_coordinator(e, ""))?;
        let next = found.last().filter(|_| found.len() == most).map(|last| format!("{}.{}", last.at.0, last.at.1));
        Ok(Answer::ok(AuditPage { pool: pool.to_string(), entries: found.into_iter().map(Into::into).collect(), next }))
    }
}

fn place(after: &str) -> Result<(u64, u64), Problem> {
    let numbers = after.split_once('.').and_then(|(ms, number)| Some((ms.parse().ok()?, number.parse().ok()?)));
    numbers.ok_or_else(|| Problem::validation(vec![FieldError::parameter("after", "must be the `next` of a page")]))
}

fn pool_of(caller: &Caller, pool: Option<&str>) -> Result<PoolId, Problem> {
    caller.pool(pool, |detail| FieldError::parameter("pool", detail))
}
