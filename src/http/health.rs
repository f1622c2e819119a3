//! Is the process alive, and can it serve?

use poem::{http::StatusCode, web::Data};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use crate::{
    coordinator::Coordinator,
    domain::{Limit, OnStoreFailure},
};

use super::{Tag, answer::Answer, edge::Context, problem::Problem};

/// Operations without a key, for load balancers.
pub struct HealthApi;

/// The node is well.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Health {
    /// `ok`, or `degraded`: Redis is away, and some limits let requests go without it. Anything else is a problem object.
    pub status: String,
}

fn answer(status: &str) -> Answer<Health> {
    Answer::ok(Health { status: status.to_owned() })
}

#[OpenApi(tag = "Tag::Health")]
impl HealthApi {
    /// Liveness
    ///
    /// The process answers. Says nothing of the store: a restart would not bring it back.
    #[oai(path = "/livez", method = "get", operation_id = "livez")]
    #[expect(clippy::unused_async, reason = "operations are declared async")]
    async fn livez(&self) -> Result<Answer<Health>, Problem> {
        Ok(answer("ok"))
    }

    /// Readiness
    ///
    /// The store answers, the node hears of changes, and is not about to stop. While Redis is away, a node on which any
    /// limit says `on_store_failure = "allow"` stays ready, as `degraded`: all nodes would be taken out of service at once.
    #[oai(path = "/readyz", method = "get", operation_id = "readyz")]
    async fn readyz(&self, context: Data<&Context>) -> Result<Answer<Health>, Problem> {
        let state = &context.state;
        if state.draining().is_cancelled() {
            return Err(not_ready("this node is about to stop"));
        }
        if state.live().is_some_and(|live| !live.hub().freshness().is_ready()) {
            return Err(not_ready("this node does not hear of changes although Redis works"));
        }
        match tokio::time::timeout(state.settings().ready_timeout, state.coordinator().ready()).await {
            Ok(Ok(())) => Ok(answer("ok")),
            _ if answers_alone(state.coordinator()) => Ok(answer("degraded")),
            Ok(Err(error)) => Err(not_ready(format!("{error}; circuit breakers: {}", breakers(state.coordinator())))),
            Err(_) => Err(not_ready("the store did not answer in time")),
        }
    }
}

fn answers_alone(coordinator: &Coordinator) -> bool {
    let allows = |limit: &std::sync::Arc<Limit>| limit.on_store_failure == OnStoreFailure::Allow;
    coordinator.pools().iter().any(|pool| pool.limits.iter().any(allows))
}

/// Each connection and its breaker's state.
fn breakers(coordinator: &Coordinator) -> String {
    let lanes = coordinator.store_health();
    let words: Vec<String> = lanes.iter().map(|lane| format!("{} {}", lane.lane, lane.circuit.as_str())).collect();
    words.join(", ")
}

fn not_ready(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", detail)
        .with_retry_after(std::time::Duration::from_secs(1))
}
