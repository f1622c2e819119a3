//! Many operations in one call.

use futures_util::future::join_all;
use poem_openapi::OpenApi;

use super::{
    Tag,
    answer::Answer,
    auth::{Auth, Caller, Consume},
    body::Body,
    checks::Checks,
    decide::{known, release, reserve},
    problem::Problem,
    usage::record,
    wire::{BatchBody, BatchItem, BatchResult, BatchResults, ExtendedBody, MAX_OPERATIONS, Settled},
};
use crate::coordinator::types::Release;

/// Operations in bulk.
pub struct BatchApi;

#[OpenApi(prefix_path = "/api/quota", tag = "Tag::Reservations")]
impl BatchApi {
    /// Batch
    ///
    /// Up to 256 operations, each with its own answer, in order. They are sent to the store together, and none waits
    /// for another: an operation must not depend on one beside it.
    #[oai(path = "/batch", method = "post", operation_id = "batch")]
    async fn batch(&self, auth: Auth<Consume>, body: Body<BatchBody>) -> Result<Answer<BatchResults>, Problem> {
        let caller = auth.0;
        let items = items(body.0)?;
        // Without its usual yield after so many polls, the runtime lets all operations reach the coordinator in one
        // go, and the coordinator sends them together.
        let all = join_all(items.into_iter().enumerate().map(|(at, item)| run(&caller, at, item)));
        let results = tokio::task::unconstrained(all).await;
        Ok(Answer::ok(BatchResults { results }))
    }
}

/// The operations' requests. One bad shape refuses the batch, before anything is written.
fn items(body: BatchBody) -> Result<Vec<BatchItem>, Problem> {
    let count = body.operations.len();
    let mut errors = Vec::new();
    if !(1..=MAX_OPERATIONS).contains(&count) {
        let mut checks = Checks::default();
        checks.refuse("/operations", format_args!("must be 1 to {MAX_OPERATIONS} operations"));
        errors.extend(checks.into_errors());
    }
    let mut items = Vec::with_capacity(count);
    for (at, operation) in body.operations.into_iter().take(MAX_OPERATIONS).enumerate() {
        let mut checks = Checks::inside(place(at));
        items.extend(operation.into_item(&mut checks));
        errors.extend(checks.into_errors());
    }
    if errors.is_empty() { Ok(items) } else { Err(Problem::validation(errors)) }
}

/// JSON pointer of an operation.
fn place(at: usize) -> String {
    format!("/operations/{at}")
}

async fn run(caller: &Caller, at: usize, item: BatchItem) -> BatchResult {
    answer(caller, item).await.unwrap_or_else(|problem| {
        let problem = problem.within(&place(at));
        problem.log(caller.request.as_str());
        BatchResult::from(&problem)
    })
}

async fn answer(caller: &Caller, item: BatchItem) -> Result<BatchResult, Problem> {
    let checks = Checks::default();
    let coordinator = caller.coordinator();
    Ok(match item {
        BatchItem::Reserve(body) => reserve(caller, *body, None, checks).await?.into(),
        BatchItem::Commit(id, body) => {
            let commit = body.into_commit(caller, known(caller, id)?, checks)?;
            Settled::from(coordinator.commit(commit).await?).into()
        }
        BatchItem::Release(id) => release(caller, Release::Reservation(known(caller, id)?)).await?.into(),
        BatchItem::ReleaseByKey(body) => release(caller, body.into_release(caller, checks)?).await?.into(),
        BatchItem::Extend(id, body) => {
            let extend = body.into_extend(known(caller, id)?, None, checks)?;
            ExtendedBody::from(coordinator.extend(extend).await?).into()
        }
        BatchItem::Record(body) => record(caller, body, None, checks).await?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(json: serde_json::Value) -> Vec<String> {
        let problem = items(serde_json::from_value(json).unwrap()).unwrap_err();
        problem.body(None).errors.unwrap().into_iter().filter_map(|e| e.pointer).collect()
    }

    #[test]
    fn an_operation_takes_its_own_fields_only() {
        let refused = pointers(serde_json::json!({"operations": [
            {"op": "reserve", "reservation": "r", "outcome": "ok"},
            {"op": "commit", "lease_ms": 1000},
            {"op": "release", "reservation": "r", "idempotency_key": "k"},
            {"op": "release"},
            {"op": "extend", "reservation": "r", "cost": {"tokens": 1}},
            {"op": "record", "metadata": {}, "model": "m"},
        ]}));
        assert_eq!(
            refused,
            [
                "/operations/0/reservation",
                "/operations/0/outcome",
                "/operations/1/lease_ms",
                "/operations/1/reservation",
                "/operations/2/idempotency_key",
                "/operations/3/reservation",
                "/operations/4/cost",
                "/operations/5/metadata",
                "/operations/5/model"
            ]
        );
    }

    #[test]
    fn a_batch_is_bounded() {
        assert_eq!(pointers(serde_json::json!({"operations": []})), ["/operations"]);
        let many = vec![serde_json::json!({"op": "record"}); 257];
        assert_eq!(pointers(serde_json::json!({"operations": many})), ["/operations"]);
        let most = serde_json::json!({"operations": vec![serde_json::json!({"op": "record"}); 256]});
        assert_eq!(items(serde_json::from_value(most).unwrap()).unwrap().len(), 256);
    }
}
