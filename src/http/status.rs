//! The status of a pool, or of a workspace in it.

use poem::Request;
use poem_openapi::{OpenApi, param::Query};

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Read},
    problem::{FieldError, Problem, from_coordinator},
    query::{Args, MAX_PAGE},
    wire::StatusBody,
};
use crate::{
    coordinator::{
        Coordinator,
        types::{Ask, CoordinatorError, Partitions, Verdict},
    },
    domain::{Cost, Pool, PoolId, Priority, Scope, Unit},
};

/// Operations on status.
pub struct StatusApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Usage")]
impl StatusApi {
    /// Read status
    ///
    /// Where a pool stands, or a workspace in it, and whether one small request would be granted now.
    #[oai(path = "/status", method = "get", operation_id = "read_status")]
    async fn read(
        &self,
        auth: Auth<Read>,
        /// The pool; the first that the key sees where it is not named.
        pool: Query<Option<String>>,
        /// Only this workspace, and the pool's own counters.
        workspace_id: Query<Option<String>>,
        request: &Request,
    ) -> Result<Answer<StatusBody>, Problem> {
        let caller = auth.0;
        let (_, scope) = (workspace_id, Args::of(request, &["pool", "workspace_id"])?.scope()?);
        let guarded = caller.coordinator();
        let scope = guarded.confine(scope).map_err(Problem::in_query)?;
        let workspace = scope.get("workspace").map(str::to_owned);
        let first = if pool.0.is_none() { caller.first_pool() } else { None };
        let pool = match first {
            Some(first) => first,
            None => caller.pool(pool.0.as_deref(), |detail| FieldError::parameter("pool", detail))?,
        };
        let usage = async {
            match scope.is_empty() {
                true => guarded.usage(&pool, scope.clone(), None, MAX_PAGE).await,
                false => guarded.usage_of(&pool, scope.clone()).await,
            }
        };
        let outlook = async { outlook(caller.state.coordinator(), &pool, &scope).await.map_err(|e| from_coordinator(e, "")) };
        let (usage, (partitions, verdict)) = futures_util::try_join!(usage, outlook)?;
        Ok(Answer::ok(StatusBody::new(&pool, workspace, usage, partitions, &verdict)))
    }
}

/// What a status says besides figures, for a scope that the caller may see: statuses of a pool's partitions, and what one small request would be told.
pub async fn outlook(
    coordinator: &Coordinator,
    pool: &PoolId,
    scope: &Scope,
) -> Result<(Option<Partitions>, Verdict), CoordinatorError> {
    let smallest = smallest_ask(coordinator.pool(pool)?.as_ref(), scope.clone());
    let partitions = async {
        match scope.is_empty() {
            true => coordinator.partitions(pool).await,
            false => Ok(None),
        }
    };
    futures_util::try_join!(partitions, coordinator.check(smallest))
}

/// The smallest request that makes sense: one of everything that would have to be named.
fn smallest_ask(pool: &Pool, scope: Scope) -> Ask {
    let unnamed = |limit: &&std::sync::Arc<crate::domain::Limit>| limit.default_cost.is_none() && !limit.optional;
    let units = pool.limits.iter().filter(unnamed).map(|limit| (limit.unit.clone(), 1));
    let cost: Cost = units.chain([(Unit::requests(), 1)]).collect();
    Ask { pool: pool.id.clone(), scope, cost, estimate: None, priority: Priority::default() }
}
