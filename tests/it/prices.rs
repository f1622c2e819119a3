//! Money by usage: a budget in dollars, prices from the configuration, true tokens from the provider.

use serde_json::{Value, json};

use crate::support::http::Cluster;

const RESERVATIONS: &str = "/api/quota/reservations";

/// A budget of one dollar, and prices by the million tokens.
const PRICED: &str = r#"
auth.mode = "none"
server.drain_delay = "0s"

[[pools]]
id = "p"
provider = "openai"
limits = [{ id = "budget", unit = "cost_usd", capacity = 1, period = "month", optional = true }]

[[pools]]
id = "a"
provider = "anthropic"
limits = [{ id = "budget", unit = "cost_usd", capacity = 1, period = "month", default_cost = "0.5" }]

[[prices]]
model = "gpt-4o*"
input = 2.5
cached_input = 1.25
output = 10

[[prices]]
model = "gpt-4o"
from = "2999-01-01"
input = 1000
output = 1000

[[prices]]
model = "thin"
input = "0.000333333"
output = "0.000333333"

[[prices]]
provider = "anthropic"
model = "claude-*"
input = 3
cached_input = 0.3
cache_write = 3.75
output = 15
"#;

fn commit(id: &str) -> String {
    format!("{RESERVATIONS}/{id}/commit")
}

/// Used and held of a pool's budget.
async fn budget(cluster: &Cluster, pool: &str) -> (String, String) {
    let usage = cluster.get(1, &format!("/api/quota/usage?pool={pool}")).await.ok();
    let counter = &usage["limits"][0];
    (counter["used"].as_str().unwrap().to_owned(), counter["held"].as_str().unwrap().to_owned())
}

fn amounts(used: &str, held: &str) -> (String, String) {
    (used.to_owned(), held.to_owned())
}

#[tokio::test]
async fn a_budget_is_spent_by_true_tokens_until_it_is_gone() {
    let cluster = Cluster::of(&[PRICED, PRICED]).await;
    // 20 000 × $2.50 + 10 000 × $10, per million.
    let ask =
        json!({"pool": "p", "scope": {"model": "gpt-4o"}, "estimate": {"input_tokens": 20_000, "max_output_tokens": 10_000}});
    let granted = cluster.post(0, RESERVATIONS, ask.clone()).await.ok();
    assert_eq!(granted["charged"], json!({"cost_usd": "0.15"}), "{granted:#}");
    assert_eq!(budget(&cluster, "p").await, amounts("0", "0.15"));

    let id = granted["reservation"].as_str().unwrap();
    let usage = json!({"prompt_tokens": 20_000, "completion_tokens": 2_000, "total_tokens": 22_000,
        "prompt_tokens_details": {"cached_tokens": 4_001}, "completion_tokens_details": {"reasoning_tokens": 1_500}});
    let settled = cluster.post(1, &commit(id), json!({"usage": usage.clone()})).await.ok();
    // 15 999 × 2.5 + 4 001 × 1.25 + 2 000 × 10, in millionths of a dollar.
    assert_eq!((&settled["charged"]["cost_usd"], &settled["estimated"]), (&json!("0.06499875"), &json!(false)), "{settled:#}");
    assert_eq!(budget(&cluster, "p").await, amounts("0.06499875", "0"));
    let again = cluster.post(0, &commit(id), json!({"usage": usage})).await.ok();
    assert_eq!((&again["replayed"], &again["charged"]), (&json!(true), &settled["charged"]));
    let other = cluster.post(0, &commit(id), json!({"usage": {"prompt_tokens": 20_000, "completion_tokens": 2_000}})).await;
    assert_eq!(other.status, 409, "the same tokens, billed otherwise, are another commit: {other:?}");

    // One token more than fits: 0.935 001 25 is left.
    let most = json!({"pool": "p", "estimate": {"model": "gpt-4o-mini", "input_tokens": 374_001}});
    let denied = cluster.post(1, RESERVATIONS, most).await.ok();
    assert_eq!((&denied["decision"], &denied["violated"]), (&json!("denied"), &json!(["budget"])), "{denied:#}");
    let fits = json!({"pool": "p", "estimate": {"model": "gpt-4o-mini", "input_tokens": 374_000}});
    let id = cluster.reserved(1, fits).await;
    // The call used more than was held; that is charged in full, and then the budget is gone on every node.
    let usage = json!({"prompt_tokens": 374_000, "completion_tokens": 1});
    let settled = cluster.post(0, &commit(&id), json!({"usage": usage})).await.ok();
    assert_eq!(settled["charged"]["cost_usd"], "0.93501");
    assert_eq!(budget(&cluster, "p").await, amounts("1.00000875", "0"));
    for node in [0, 1] {
        let denied = cluster.post(node, RESERVATIONS, ask.clone()).await.ok();
        assert_eq!(denied["decision"], "denied", "{denied:#}");
        assert_eq!((&denied["limits"][0]["remaining"], &denied["limits"][0]["over"]), (&json!("0"), &json!("0.00000875")));
    }
}

#[tokio::test]
async fn what_has_no_price_is_never_free() {
    let cluster = Cluster::of(&[PRICED, PRICED]).await;
    let unknown = |estimate: Value| json!({"pool": "p", "estimate": estimate});
    let refused = cluster.post(0, RESERVATIONS, unknown(json!({"model": "o9", "input_tokens": 1}))).await;
    assert_eq!(refused.problem(), (422, "unknown_price", "/cost/cost_usd"));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("model `o9`") && detail.contains("[[prices]]") && detail.contains("`openai`"), "{detail}");
    let nameless = cluster.post(0, "/api/quota/check", unknown(json!({"input_tokens": 1}))).await;
    assert_eq!(nameless.problem(), (422, "unknown_price", "/cost/cost_usd"));
    let other_provider = cluster.post(0, RESERVATIONS, unknown(json!({"model": "claude-x", "input_tokens": 1}))).await;
    assert_eq!(other_provider.problem(), (422, "unknown_price", "/cost/cost_usd"));
    let most =
        cluster.post(0, RESERVATIONS, unknown(json!({"model": "gpt-4o", "input_tokens": 9_007_199_254_740_991_u64}))).await;
    assert_eq!(most.problem(), (422, "cost_too_large", "/cost/cost_usd"));
    assert_eq!(budget(&cluster, "p").await, amounts("0", "0"));

    // An explicit cost wins, and is charged again where the true tokens have no price.
    let id = cluster.reserved(0, json!({"pool": "p", "scope": {"model": "o9"}, "cost": {"cost_usd": "0.2"}})).await;
    let settled = cluster.post(1, &commit(&id), json!({"usage": {"total_tokens": 5}})).await.ok();
    assert_eq!((&settled["charged"]["cost_usd"], &settled["estimated"]), (&json!("0.2"), &json!(true)), "{settled:#}");
    // The model that answered has one.
    let id = cluster.reserved(0, json!({"pool": "p", "scope": {"model": "o9"}, "cost": {"cost_usd": "0.2"}})).await;
    let body = json!({"usage": {"prompt_tokens": 4000, "completion_tokens": 0}, "model": "gpt-4o-2024"});
    let settled = cluster.post(1, &commit(&id), body).await.ok();
    assert_eq!((&settled["charged"]["cost_usd"], &settled["estimated"]), (&json!("0.01"), &json!(false)), "{settled:#}");
    // A limit's default stands in for a price.
    let granted = cluster.post(0, RESERVATIONS, json!({"pool": "a", "estimate": {"model": "o9", "input_tokens": 1}})).await.ok();
    assert_eq!(granted["charged"]["cost_usd"], "0.5");
}

#[tokio::test]
async fn batches_and_recorded_use_are_priced_alike() {
    let cluster = Cluster::of(&[PRICED, PRICED]).await;
    // The scope names a family, the estimate the model: the model is what is priced, at the end, too.
    let reserve =
        json!({"pool": "a", "scope": {"model": "family"}, "estimate": {"model": "claude-x", "max_output_tokens": 1000}});
    let id = cluster.reserved(0, reserve).await;
    assert_eq!(budget(&cluster, "a").await, amounts("0", "0.015"));
    let claude =
        json!({"input_tokens": 50, "cache_creation_input_tokens": 248, "cache_read_input_tokens": 10_000, "output_tokens": 503});
    let thin = json!({"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}});
    let batch = json!({"operations": [
        {"op": "commit", "reservation": id, "usage": claude},
        {"op": "record", "pool": "a", "scope": {"model": "claude-y"}, "usage": claude, "idempotency_key": "k"},
        {"op": "record", "pool": "p", "estimate": {"model": "thin"}, "usage": thin},
        {"op": "record", "pool": "p", "scope": {"model": "o9"}, "usage": thin},
        {"op": "record", "pool": "p", "scope": {"model": "thin"}, "usage": thin, "cost": {"cost_usd": "0.25"}},
    ]});
    let answer = cluster.post(1, "/api/quota/batch", batch).await.ok();
    let results = answer["results"].as_array().unwrap();
    // 50 × 3 + 248 × 3.75 + 10 000 × 0.3 + 503 × 15, in millionths of a dollar.
    for result in &results[..2] {
        assert_eq!(result["charged"]["cost_usd"], "0.011625", "{answer:#}");
    }
    assert_eq!(results[2]["charged"], json!({"cost_usd": "0.000000001", "input_tokens": 1, "output_tokens": 1, "tokens": 2}));
    assert_eq!(
        (&results[3]["code"], &results[3]["errors"][0]["pointer"]),
        (&json!("unknown_price"), &json!("/operations/3/cost/cost_usd"))
    );
    assert_eq!(results[4]["charged"]["cost_usd"], "0.25");
    assert_eq!(
        (budget(&cluster, "a").await, budget(&cluster, "p").await),
        (amounts("0.02325", "0"), amounts("0.250000001", "0"))
    );

    let said = json!({"pool": "a", "scope": {"model": "claude-y"}, "usage": claude, "idempotency_key": "k"});
    assert_eq!(cluster.post(0, "/api/quota/usage", said).await.ok()["replayed"], true);
    let other = json!({"pool": "a", "scope": {"model": "claude-y"}, "usage": {"input_tokens": 298, "output_tokens": 503}, "idempotency_key": "k"});
    assert_eq!(cluster.post(0, "/api/quota/usage", other).await.problem().1, "idempotency_mismatch");
    assert_eq!(budget(&cluster, "a").await, amounts("0.02325", "0"));
}
