//! Capacities that operators change while nodes run.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{Cluster, OPEN, Reply, reply};

const KEY: &str = "the-admins-key-of-this-test";
const RESERVATIONS: &str = "/api/quota/reservations";
const RPM: &str = "/api/quota/limits/p/requests-per-minute";

async fn nodes() -> Cluster {
    let text = format!(
        "admin_key = \"{KEY}\"\n{}",
        OPEN.replace("kind = \"concurrency\", capacity = 4", "kind = \"concurrency\", capacity = 400")
    );
    Cluster::of(&[&text, &text]).await
}

async fn set(cluster: &Cluster, node: usize, path: &str, body: Value) -> Reply {
    reply(cluster.request(node, Method::PUT, path).bearer_auth(KEY).json(&body)).await
}

async fn unset(cluster: &Cluster, node: usize, path: &str) -> Reply {
    reply(cluster.request(node, Method::DELETE, path).bearer_auth(KEY)).await
}

async fn listed(cluster: &Cluster, node: usize) -> Value {
    cluster.get(node, "/api/quota/limits?pool=p").await.ok()["limits"][0].clone()
}

async fn audit(cluster: &Cluster, query: &str) -> Value {
    reply(cluster.request(1, Method::GET, &format!("/api/quota/audit?{query}")).bearer_auth(KEY)).await.ok()
}

async fn granted(cluster: &Cluster, node: usize) -> bool {
    cluster.post(node, RESERVATIONS, json!({})).await.ok()["decision"] == "granted"
}

#[tokio::test]
async fn a_capacity_set_on_one_node_acts_on_the_other_at_once_and_goes_when_it_is_removed() {
    let cluster = nodes().await;
    assert_eq!(
        (&listed(&cluster, 1).await["source"], &listed(&cluster, 1).await["capacity"]),
        (&json!("configuration"), &json!(10))
    );
    for _ in 0..3 {
        assert!(granted(&cluster, 1).await);
    }
    let changed = set(&cluster, 0, RPM, json!({"capacity": 4, "reason": "launch"})).await.ok();
    assert_eq!((&changed["capacity"], &changed["configured"], &changed["source"]), (&json!(4), &json!(10), &json!("override")));
    assert!(granted(&cluster, 1).await, "what was counted is kept, and one is left");
    assert!(!granted(&cluster, 1).await, "the other node knows");
    let seen = listed(&cluster, 1).await;
    assert_eq!((&seen["capacity"], &seen["override"]["reason"]), (&json!(4), &json!("launch")));
    assert!(seen["override"]["by"].is_string() && seen["override"]["at"].is_string(), "{seen:#}");
    let usage = cluster.get(1, "/api/quota/usage").await.ok();
    assert_eq!(usage["limits"][0]["capacity"], 4);

    let restored = unset(&cluster, 1, RPM).await.ok();
    assert_eq!((&restored["capacity"], &restored["source"]), (&json!(10), &json!("configuration")));
    assert_eq!(unset(&cluster, 1, RPM).await.ok()["source"], "configuration");
    assert!(listed(&cluster, 0).await["override"].is_null());
    assert_eq!(cluster.get(0, "/api/quota/usage").await.ok()["limits"][0]["capacity"], 10);

    let page = audit(&cluster, "limit=1").await;
    assert_eq!((&page["entries"][0]["action"], &page["entries"][0]["before"]["capacity"]), (&json!("limit.remove"), &json!(4)));
    let rest = audit(&cluster, &format!("after={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest["entries"].as_array().unwrap().len(), 1, "removing nothing is no change: {rest:#}");
    assert_eq!((&rest["entries"][0]["action"], &rest["entries"][0]["after"]["reason"]), (&json!("limit.set"), &json!("launch")));
    assert_eq!(rest["entries"][0]["by"], seen["override"]["by"]);
}

#[tokio::test]
async fn a_lowered_capacity_bounds_reserves_that_race_with_it() {
    let cluster = nodes().await;
    set(&cluster, 0, RPM, json!({"capacity": 300})).await.ok();
    let reserves = futures_util::future::join_all((0..120).map(|at| cluster.post(at % 2, RESERVATIONS, json!({}))));
    let lowers = set(&cluster, 1, RPM, json!({"capacity": 20}));
    let (answers, lowered) = tokio::join!(reserves, lowers);
    lowered.ok();
    let under_new = answers
        .into_iter()
        .map(Reply::ok)
        .filter(|answer| answer["decision"] == "granted" && answer["limits"][0]["capacity"] == 20);
    for answer in under_new {
        let counter = &answer["limits"][0];
        assert!(counter["used"].as_u64().unwrap() + counter["held"].as_u64().unwrap() <= 20, "{counter:#}");
    }
    let (_, held) = cluster.figures(0, "requests-per-minute").await;
    assert_eq!(granted(&cluster, 0).await, held.as_u64().unwrap() < 20);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let cluster = nodes().await;
    for (body, place) in [
        (json!({"capacity": -1}), "/capacity"),
        (json!({"capacity": "x"}), "/capacity"),
        (json!({"capacity": 1, "reason": ""}), "/reason"),
    ] {
        assert_eq!(set(&cluster, 0, RPM, body.clone()).await.problem(), (422, "validation", place), "{body}");
    }
    let money = set(&cluster, 0, "/api/quota/limits/p/month", json!({"capacity": "12.5"})).await.ok();
    assert_eq!((&money["capacity"], &money["configured"]), (&json!("12.5"), &json!("5.5")));
    let unknown = set(&cluster, 0, "/api/quota/limits/p/nothing", json!({"capacity": 1})).await;
    assert_eq!(unknown.problem(), (404, "unknown_limit", ""));
    assert_eq!(unset(&cluster, 0, "/api/quota/limits/p/nothing").await.problem(), (404, "unknown_limit", ""));
    assert_eq!(unset(&cluster, 0, "/api/quota/limits/q/nothing").await.problem(), (404, "unknown_pool", ""));
}
