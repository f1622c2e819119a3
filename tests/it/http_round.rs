//! The life of a reservation over HTTP, with each step on another node.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{Cluster, OPEN, reply};

const RESERVATIONS: &str = "/api/quota/reservations";

fn path(id: &str, verb: &str) -> String {
    format!("{RESERVATIONS}/{id}/{verb}")
}

fn ask(tokens: u64) -> Value {
    json!({"scope": {"workspace": "w1"}, "cost": {"tokens": tokens, "cost_usd": "0.25"}, "metadata": {"job": tokens.to_string()}})
}

#[tokio::test]
async fn what_one_node_grants_the_other_settles_and_shows() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let granted = cluster.post(0, RESERVATIONS, ask(600)).await.ok();
    assert_eq!(granted["charged"], json!({"requests": 1, "tokens": 600, "cost_usd": "0.25"}));
    assert_eq!((&granted["authority"], &granted["status"]), (&json!("redis"), &json!("normal")));
    let counter = granted["limits"].as_array().unwrap().iter().find(|limit| limit["limit"] == "tokens-per-minute").unwrap();
    assert_eq!(
        (&counter["scope"], &counter["used"], &counter["held"], &counter["remaining"], &counter["percentage"]),
        (&json!({"workspace": "w1"}), &json!(0), &json!(600), &json!(400), &json!(60.0))
    );
    let id = granted["reservation"].as_str().unwrap();
    assert_eq!(cluster.figures(1, "in-flight").await, (json!(0), json!(1)));

    let settled = cluster.post(1, &path(id, "commit"), json!({"cost": {"tokens": 950, "cost_usd": "0.1"}})).await.ok();
    assert_eq!(settled["charged"], json!({"requests": 1, "tokens": 950, "cost_usd": "0.1"}));
    assert_eq!((&settled["state"], &settled["late"], &settled["estimated"]), (&json!("committed"), &json!(false), &json!(false)));
    assert_eq!(cluster.figures(0, "tokens-per-minute").await, (json!(950), json!(0)));
    assert_eq!(cluster.figures(0, "month").await, (json!("0.1"), json!("0")));
    assert_eq!(cluster.figures(0, "in-flight").await, (json!(0), json!(0)));

    let status = cluster.get(0, "/api/quota/status?pool=p&workspace_id=w1").await.ok();
    assert_eq!((&status["success"], &status["pool"], &status["workspace_id"]), (&json!(true), &json!("p"), &json!("w1")));
    let data = &status["data"];
    assert_eq!((&data["status"], &data["can_make_request"]), (&json!("warning"), &json!(true)));
    assert_eq!(data["requests_per_minute"], json!({"current": 1, "limit": 10, "percentage": 10.0, "unit": "requests"}));
    let pool = cluster.get(0, "/api/quota/status").await.ok();
    assert_eq!(pool["data"]["status"], "normal", "one workspace does not paint the pool");
}

#[tokio::test]
async fn a_commit_is_said_once() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let id = cluster.reserved(0, ask(100)).await;
    let body = json!({"cost": {"tokens": 40}});
    let first = cluster.post(0, &path(&id, "commit"), body.clone()).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = cluster.post(1, &path(&id, "commit"), body).await;
    assert_eq!((again.header("idempotent-replayed"), &again.body["replayed"]), ("true", &json!(true)));
    assert_eq!(again.body["settled_at"], first.body["settled_at"]);
    let other = cluster.post(1, &path(&id, "commit"), json!({"cost": {"tokens": 41}})).await;
    assert_eq!(other.problem(), (409, "already_settled", ""));
    assert_eq!(cluster.post(0, &path(&id, "release"), json!({})).await.problem().1, "already_settled");
    assert_eq!(cluster.post(0, &path(&id, "extend"), json!({})).await.status, 409);
    assert_eq!(cluster.figures(1, "tokens-per-minute").await, (json!(40), json!(0)));
    let read = cluster.get(1, &format!("{RESERVATIONS}/{id}")).await.ok();
    assert_eq!((&read["state"], &read["charged"]["tokens"]), (&json!("committed"), &json!(40)));
}

#[tokio::test]
async fn the_providers_usage_is_the_true_cost() {
    let cluster = Cluster::of(&[OPEN]).await;
    let hold = json!({"cost": {"tokens": 900, "output_tokens": 800}});
    let id = cluster.reserved(0, hold.clone()).await;
    let usage = json!({"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
        "completion_tokens_details": {"reasoning_tokens": 5}, "next_years_field": {"a": [1]}});
    let settled = cluster.post(0, &path(&id, "commit"), json!({"usage": usage, "outcome": "ok"})).await.ok();
    assert_eq!((&settled["charged"]["tokens"], &settled["charged"]["output_tokens"]), (&json!(42), &json!(12)));

    let id = cluster.reserved(0, hold.clone()).await;
    let both = json!({"usage": usage, "cost": {"tokens": 50}, "outcome": "failed"});
    let settled = cluster.post(0, &path(&id, "commit"), both).await.ok();
    assert_eq!((&settled["charged"]["tokens"], &settled["charged"]["output_tokens"]), (&json!(50), &json!(12)), "cost wins");
    assert_eq!(settled["estimated"], false);

    let id = cluster.reserved(0, hold).await;
    for (body, place) in [
        (json!({"usage": {"prompt_tokens": "30"}}), "/usage/prompt_tokens"),
        (json!({"usage": {"prompt_tokens": 1, "prompt_tokens_details": []}}), "/usage/prompt_tokens_details"),
        (json!({"usage": {"promptTokenCount": 1}}), "/usage"),
        (json!({"usage": [1]}), "/usage"),
        (json!({"outcome": "fine"}), "/outcome"),
        (json!({"provider": {"status": 200}}), "/provider"),
    ] {
        let refused = cluster.post(0, &path(&id, "commit"), body.clone()).await;
        assert_eq!(refused.problem(), (422, "validation", place), "{body}");
    }
    let unknown = cluster.post(0, &path(&id, "commit"), json!({"outcome": "unknown", "usage": {"prompt_tokens": 1}})).await.ok();
    assert_eq!(
        (&unknown["estimated"], &unknown["charged"]["tokens"]),
        (&json!(true), &json!(900)),
        "a cut stream costs its hold"
    );
}

#[tokio::test]
async fn a_reserve_with_a_key_is_one_reservation() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let send = |node, key: &'static str, body: Value| {
        reply(cluster.request(node, Method::POST, RESERVATIONS).header("Idempotency-Key", key).json(&body))
    };
    let first = send(0, "\"k-1\"", ask(10)).await;
    let again = send(1, "k-1", ask(10)).await;
    assert_eq!((again.header("idempotent-replayed"), &again.body["state"]), ("true", &json!("open")));
    assert_eq!(again.body["reservation"], first.body["reservation"]);
    assert_eq!(send(1, "k-1", ask(11)).await.problem(), (422, "idempotency_mismatch", ""));
    assert_eq!(cluster.figures(0, "tokens-per-minute").await, (json!(0), json!(10)));
    assert_eq!(send(0, "", ask(1)).await.problem(), (422, "validation", "Idempotency-Key"));

    let record = json!({"cost": {"tokens": 5}, "scope": {"workspace": "w1"}, "idempotency_key": "use-1"});
    for replayed in [false, true] {
        let recorded = cluster.post(1, "/api/quota/usage", record.clone()).await;
        assert_eq!((&recorded.body["replayed"], recorded.header("idempotent-replayed") == "true"), (&json!(replayed), replayed));
    }
    assert_eq!(cluster.figures(0, "tokens-per-minute").await, (json!(5), json!(10)));
}

#[tokio::test]
async fn what_was_never_sent_is_given_back() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let id = cluster.reserved(0, ask(10)).await;
    let released = cluster.post(1, &path(&id, "release"), json!({})).await.ok();
    assert_eq!((&released["state"], &released["charged"]["tokens"]), (&json!("released"), &json!(0)));
    let again = cluster.post(0, &path(&id, "release"), json!({})).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(cluster.post(0, &path(&id, "commit"), json!({})).await.problem().1, "already_released");

    let mut keyed = ask(10);
    keyed["idempotency_key"] = json!("timed-out");
    cluster.reserved(0, keyed.clone()).await;
    let by_key = cluster.post(1, "/api/quota/reservations/release", json!({"idempotency_key": "timed-out"})).await.ok();
    assert_eq!(by_key["state"], "released");
    assert_eq!(cluster.figures(0, "requests-per-minute").await, (json!(0), json!(0)));

    let early = json!({"idempotency_key": "not-yet-seen"});
    assert_eq!(cluster.post(1, "/api/quota/reservations/release", early).await.ok()["state"], "released");
    keyed["idempotency_key"] = json!("not-yet-seen");
    let late = cluster.post(0, RESERVATIONS, keyed).await;
    assert_ne!(late.body["state"], "open", "a voided reserve holds nothing: {:#}", late.body);
    assert_eq!(cluster.figures(0, "requests-per-minute").await, (json!(0), json!(0)));
    let never = cluster.post(0, &path("AAAA", "commit"), json!({})).await;
    assert_eq!(never.problem(), (404, "reservation_not_found", ""));
    assert!(never.body["detail"].as_str().unwrap().contains("POST /api/quota/usage"));
}

#[tokio::test]
async fn an_extend_prolongs_and_adds() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let id = cluster.reserved(0, ask(600)).await;
    let before = cluster.get(0, &format!("{RESERVATIONS}/{id}")).await.ok();
    let longer = cluster.post(1, &path(&id, "extend"), json!({"lease_ms": 3_600_000})).await.ok();
    assert!(longer["expires_at"].as_str().unwrap() > before["expires_at"].as_str().unwrap());
    let more = cluster.request(1, Method::POST, &path(&id, "extend")).header("Idempotency-Key", "more");
    let more = more.json(&json!({"add_cost": {"tokens": 100}}));
    for _ in 0..2 {
        reply(more.try_clone().unwrap()).await.ok();
    }
    assert_eq!(cluster.figures(0, "tokens-per-minute").await, (json!(0), json!(700)));
    let denied = cluster.post(0, &path(&id, "extend"), json!({"add_cost": {"tokens": 301}})).await.ok();
    assert_eq!((&denied["decision"], &denied["violated"]), (&json!("denied"), &json!(["tokens-per-minute"])));
    assert_eq!(cluster.figures(1, "tokens-per-minute").await, (json!(0), json!(700)));
}

#[tokio::test]
async fn open_reservations_are_listed_oldest_first() {
    let cluster = Cluster::of(&[OPEN, OPEN]).await;
    let mut ids = Vec::new();
    for (node, tokens) in [(1, 1), (0, 2), (1, 3)] {
        ids.push(cluster.reserved(node, ask(tokens)).await);
    }
    cluster.reserved(0, json!({"scope": {"workspace": "w2"}})).await;
    let of_w1 = cluster.get(1, &format!("{RESERVATIONS}?workspace_id=w1&limit=2")).await.ok();
    let listed = |page: &Value| -> Vec<String> {
        page["reservations"].as_array().unwrap().iter().map(|r| r["reservation"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&of_w1), ids[..2]);
    let after = of_w1["next"].as_str().unwrap();
    let rest = cluster.get(0, &format!("{RESERVATIONS}?workspace_id=w1&after={after}")).await.ok();
    assert_eq!((listed(&rest), &rest["next"]), (ids[2..].to_vec(), &Value::Null));
    let by_metadata = cluster.get(0, &format!("{RESERVATIONS}?metadata.job=2")).await.ok();
    assert_eq!(listed(&by_metadata), ids[1..2]);
    let one = &by_metadata["reservations"][0];
    assert_eq!((&one["scope"], &one["metadata"]), (&json!({"workspace": "w1"}), &json!({"job": "2"})));
    assert_eq!((&one["pool"], &one["state"]), (&json!("p"), &json!("open")));
    assert_eq!(cluster.get(1, &format!("{RESERVATIONS}/{}", ids[1])).await.ok(), *one);
}
