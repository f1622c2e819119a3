//! Is the process alive, and can it serve?

use poem::{http::StatusCode, web::Data};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::{Tag, answer::Answer, edge::Context, problem::Problem};

/// Operations without a key, for load balancers.
pub struct HealthApi;

/// The node is well.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Health {
    /// Always `ok`: anything else is a problem object.
    pub status: String,
}

fn ok() -> Answer<Health> {
    Answer::ok(Health { status: "ok".to_owned() })
}

#[OpenApi(tag = "Tag::Health")]
impl HealthApi {
    /// Liveness
    ///
    /// The process answers. Says nothing of the store: a restart would not bring it back.
    #[oai(path = "/livez", method = "get", operation_id = "livez")]
    #[expect(clippy::unused_async, reason = "operations are declared async")]
    async fn livez(&self) -> Result<Answer<Health>, Problem> {
        Ok(ok())
    }

    /// Readiness
    ///
    /// The store answers, the node hears of changes, and is not about to stop.
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
            Ok(Ok(())) => Ok(ok()),
            Ok(Err(error)) => Err(not_ready(error.to_string())),
            Err(_) => Err(not_ready("the store did not answer in time")),
        }
    }
}

fn not_ready(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Not ready", detail)
        .with_retry_after(std::time::Duration::from_secs(1))
}
