//! Denials, checks and batches over HTTP.

use serde_json::{Value, json};

use crate::support::http::{Cluster, OPEN};

const RESERVATIONS: &str = "/api/quota/reservations";

#[tokio::test]
async fn a_denial_is_an_answer_and_429_only_where_it_was_asked_for() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let ask = json!({"scope": {"workspace": "w1"}, "cost": {"tokens": 600}});
    cluster.reserved(0, ask.clone()).await;
    let before = cluster.get(1, "/api/quota/usage").await.ok()["limits"].clone();
    let denied = cluster.post(1, RESERVATIONS, ask.clone()).await;
    assert_eq!((denied.status, denied.header("retry-after")), (200, ""));
    let body = &denied.body;
    assert_eq!((&body["decision"], &body["reason"]), (&json!("denied"), &json!("limit_reached")));
    assert_eq!((&body["violated"], &body["shadow_violated"]), (&json!(["tokens-per-minute"]), &json!([])));
    let wait = body["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    assert_eq!(body["headers"]["Retry-After"], json!(wait.div_ceil(1000).to_string()));

    let mirrored = cluster.post(1, &format!("{RESERVATIONS}?denied_status=429"), ask).await;
    assert_eq!(mirrored.status, 429);
    let (wait, fields) = (mirrored.body["retry_after_ms"].as_u64().unwrap(), &mirrored.body["headers"]);
    assert_eq!(mirrored.header("retry-after"), wait.div_ceil(1000).to_string());
    for field in ["RateLimit", "RateLimit-Policy", "Retry-After"] {
        assert_eq!(mirrored.header(field), fields[field], "{field}");
    }
    assert!(mirrored.header("ratelimit-policy").contains(r#""tokens-per-minute";q=1000;w=60;qu="tokens""#));
    assert_eq!(mirrored.header("cache-control"), "no-store");
    let figures = |limits: &Value| -> Vec<Value> {
        limits.as_array().unwrap().iter().map(|l| json!([l["limit"], l["used"], l["held"]])).collect()
    };
    assert_eq!(figures(&cluster.get(0, "/api/quota/usage").await.ok()["limits"]), figures(&before), "a denial takes nothing");

    let never = cluster.post(0, &format!("{RESERVATIONS}?denied_status=429"), json!({"cost": {"tokens": 1001}})).await;
    assert_eq!((never.status, never.header("retry-after")), (429, ""), "waiting does not help");
    assert_eq!((&never.body["reason"], &never.body["retry_after_ms"]), (&json!("cost_exceeds_capacity"), &Value::Null));
    let strange = cluster.post(0, &format!("{RESERVATIONS}?denied_status=418"), json!({})).await;
    assert_eq!(strange.problem(), (422, "validation", "denied_status"));
}

#[tokio::test]
async fn a_check_says_what_a_reserve_would_and_takes_nothing() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    cluster.reserved(0, json!({"scope": {"workspace": "w1"}, "cost": {"tokens": 600}})).await;
    for (tokens, can) in [(400, true), (401, false)] {
        let by_query = format!("/api/quota/check?pool=p&workspace_id=w1&cost.tokens={tokens}");
        let by_query = cluster.get(1, &by_query).await.ok();
        let body = json!({"pool": "p", "scope": {"workspace": "w1"}, "cost": {"tokens": tokens}, "lease_ms": 1000});
        let by_body = cluster.post(0, "/api/quota/check", body).await.ok();
        for check in [by_query, by_body] {
            assert_eq!(check["can_make_request"], can, "{check:#}");
            assert_eq!(check["violated"] == json!(["tokens-per-minute"]), !can, "{check:#}");
            let (wait, seconds) = (check["retry_after_ms"].as_u64(), check["wait_seconds"].as_u64());
            assert_eq!(wait.is_some_and(|ms| ms > 0), !can, "{check:#}");
            assert_eq!(seconds.unwrap_or(0), wait.unwrap_or(0).div_ceil(1000), "{check:#}");
        }
    }
    assert_eq!(cluster.figures(1, "tokens-per-minute").await, (json!(0), json!(600)));
    let typo = cluster.get(0, "/api/quota/check?cost.tokns=1").await;
    assert_eq!(typo.problem(), (422, "unknown_unit", "cost.tokns"));
}

#[tokio::test]
async fn a_batch_answers_each_operation_in_order() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let id = cluster.reserved(0, json!({"cost": {"tokens": 10}})).await;
    let other = cluster.reserved(0, json!({"cost": {"tokens": 10}})).await;
    let batch = json!({"operations": [
        {"op": "reserve", "scope": {"workspace": "w1"}, "cost": {"tokens": 100}},
        {"op": "reserve", "cost": {"tokens": 2000}},
        {"op": "commit", "reservation": id, "usage": {"input_tokens": 3, "output_tokens": 4}},
        {"op": "release", "reservation": other},
        {"op": "extend", "reservation": "AAAA"},
        {"op": "record", "cost": {"tokens": 7}},
        {"op": "commit", "reservation": id, "usage": {"total_tokens": {}}},
        {"op": "reserve", "cost": {"tokns": 1}},
    ]});
    let answer = cluster.post(1, "/api/quota/batch", batch).await.ok();
    let results = answer["results"].as_array().unwrap();
    let kinds: Vec<&str> = results.iter().map(|result| result["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["granted", "denied", "done", "done", "error", "done", "error", "error"], "{answer:#}");
    assert_eq!(results[2]["charged"]["tokens"], 7);
    assert_eq!(results[3]["state"], "released");
    assert_eq!((&results[4]["code"], &results[4]["status"]), (&json!("reservation_not_found"), &json!(404)));
    assert_eq!(results[6]["errors"][0]["pointer"], "/operations/6/usage/total_tokens");
    assert_eq!(
        (&results[7]["code"], &results[7]["errors"][0]["pointer"]),
        (&json!("unknown_unit"), &json!("/operations/7/cost/tokns"))
    );
    let usage = cluster.get(0, "/api/quota/usage?workspace_id=").await;
    assert_eq!(usage.status, 422, "an empty workspace is no workspace");
    let tokens: u64 = cluster.get(0, "/api/quota/usage").await.ok()["limits"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|counter| counter["limit"] == "tokens-per-minute")
        .map(|counter| counter["used"].as_u64().unwrap() + counter["held"].as_u64().unwrap())
        .sum();
    assert_eq!(tokens, 100 + 7 + 7);
}
