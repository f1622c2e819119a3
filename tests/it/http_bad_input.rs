//! Bad input to every operation of the document: refused with a problem, and nothing is written.

mod cases;

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::{
    document::{Operation, operations},
    http::{Cluster, OPEN, Reply, reply},
};

const JSON: &str = "application/json";

/// A node with a reservation, and everything that its pool has in Redis.
struct Target {
    cluster: Cluster,
    redis: MultiplexedConnection,
    id: String,
    dump: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Target {
    async fn start() -> Self {
        let cluster = Cluster::of(&[&format!("admin_key = \"the-admins-key-of-this-test\"\n{OPEN}")]).await;
        let held = json!({"scope": {"workspace": "w1"}, "cost": {"tokens": 10}, "lease_ms": 3_600_000});
        let settled = cluster.reserved(0, held.clone()).await;
        cluster.post(0, &format!("/api/quota/reservations/{settled}/commit"), json!({})).await.ok();
        let id = cluster.reserved(0, held).await;
        let mut redis = cluster.redis().await;
        let dump = dump(&mut redis).await;
        assert!(dump.len() > 5, "{dump:?}");
        Self { cluster, redis, id, dump }
    }

    async fn send(&self, operation: &Operation, path: &str, content_type: &str, body: Option<String>) -> Reply {
        let request = self.cluster.request(0, operation.method.clone(), path).header("X-API-Key", "the-admins-key-of-this-test");
        reply(match body {
            Some(body) => request.header(CONTENT_TYPE, content_type).body(body),
            None => request,
        })
        .await
    }

    /// The answer is a problem, and the pool's keys are as before.
    async fn refused(&mut self, operation: &Operation, what: &str, answer: &Reply) {
        let what = format!("{}: {}", operation.id, what.chars().take(200).collect::<String>());
        let each_is_refused = || answer.body["results"].as_array().is_some_and(|all| all.iter().all(|r| r["kind"] == "error"));
        if answer.status == 200 && each_is_refused() {
            let results = answer.body["results"].as_array().unwrap();
            assert!(
                results.iter().all(|r| r["status"].as_u64().is_some_and(|s| (400..500).contains(&s)) && r["code"].is_string()),
                "{what}"
            );
        } else {
            assert!((400..500).contains(&answer.status), "{what}: {} {:#}", answer.status, answer.body);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
            assert!(answer.body["code"].as_str().is_some_and(|code| !code.is_empty()), "{what}: {:#}", answer.body);
            assert_eq!(answer.body["status"], answer.status, "{what}");
        }
        assert!(dump(&mut self.redis).await == self.dump, "{what}: something was written");
    }
}

/// Every key of the pool with its serialised value.
async fn dump(redis: &mut MultiplexedConnection) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(redis).await.unwrap();
    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.cmd("DUMP").arg(key);
    }
    let values: Vec<Vec<u8>> = pipe.query_async(redis).await.unwrap();
    keys.into_iter().zip(values).collect()
}

#[tokio::test]
async fn bad_bodies_write_nothing() {
    let mut target = Target::start().await;
    let mut sent = 0;
    for operation in operations() {
        let Some(schema) = operation.body else { continue };
        let path = operation.path_for(&target.id);
        for case in cases::whole(&operation).into_iter().chain(cases::fields(schema)) {
            let answer = target.send(&operation, &path, JSON, Some(case.body)).await;
            target.refused(&operation, &case.what, &answer).await;
            sent += 1;
        }
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "", "application/jsonp"]
        {
            let answer = target.send(&operation, &path, content_type, Some("{}".to_owned())).await;
            assert_eq!(answer.problem().0, 415, "{}: {content_type}", operation.id);
            target.refused(&operation, content_type, &answer).await;
        }
    }
    assert!(sent > 500, "{sent} cases: the document has lost its schemas");
}

#[tokio::test]
async fn bodies_that_are_too_large_write_nothing() {
    let mut target = Target::start().await;
    for operation in operations().into_iter().filter(|operation| operation.body.is_some()) {
        for body in [format!("{{\"pool\":\"{}\"}}", "x".repeat(1_500_000)), format!("{{{}}}", " ".repeat(1_500_000))] {
            let answer = target.send(&operation, &operation.path_for(&target.id), JSON, Some(body)).await;
            assert_eq!(answer.problem(), (413, "body_too_large", ""), "{}", operation.id);
            target.refused(&operation, "1.5 MB", &answer).await;
        }
    }
}

#[tokio::test]
async fn bad_parameters_write_nothing() {
    let mut target = Target::start().await;
    for operation in operations() {
        let has_body = || operation.body.map(|_| "{}".to_owned());
        for query in cases::queries(&operation) {
            let path = format!("{}?{query}", operation.path_for(&target.id));
            let answer = target.send(&operation, &path, JSON, has_body()).await;
            target.refused(&operation, &query, &answer).await;
        }
        if operation.parameters("path").next().is_some() {
            for id in ["x".repeat(300), "a%00b".into(), "a%1Bb".into(), "..%2F..".into(), "%F0%9F%92%A9".into(), "a%20b".into()] {
                let path = operation.path.replace("{id}", &id).replace("{pool}", "p").replace("{limit}", &id);
                let body = has_body().map(|body| if operation.id == "set_limit" { r#"{"capacity":5}"#.to_owned() } else { body });
                let answer = target.send(&operation, &path, JSON, body).await;
                assert_eq!(answer.problem().0, 404, "{}: {id}", operation.id);
                target.refused(&operation, &id, &answer).await;
            }
        }
        for (name, _) in operation.parameters("header") {
            for value in [&"x".repeat(300), "", "\"", "\"a", "\"a\"b", "é", "a\tb"] {
                let request = target.cluster.request(0, operation.method.clone(), &operation.path_for(&target.id));
                let answer = reply(request.header(name, value).json(&json!({}))).await;
                assert_eq!(answer.problem(), (422, "validation", name), "{}: {name}: {value:?}", operation.id);
                target.refused(&operation, value, &answer).await;
            }
        }
    }
}

#[tokio::test]
async fn what_the_schema_cannot_say_is_checked_too() {
    let mut target = Target::start().await;
    let many = |n: usize| (0..n).map(|i| (format!("k{i}"), json!("v"))).collect::<Value>();
    let all = operations();
    let of = |id: &str| all.iter().find(|operation| operation.id == id).unwrap();
    for (operation, body) in [
        ("reserve", json!({"scope": many(17)})),
        ("reserve", json!({"metadata": many(17)})),
        ("reserve", json!({"cost": {"tokns": 1}})),
        ("reserve", json!({"cost": {"cost_usd": "NaN"}})),
        ("reserve", json!({"cost": {"cost_usd": "0.0000000001"}})),
        ("reserve", json!({"pool": "elsewhere"})),
        ("reserve", json!({"wait_ms": 1})),
        ("record_usage", json!({"cost": {"cost_usd": "-1"}})),
        ("commit", json!({"cost": {"tokns": 1}})),
        ("commit", json!({"usage": {"prompt_tokens": 9_007_199_254_740_993_u64}})),
        ("commit", json!({"usage": {"prompt_tokens": 1.5}})),
        ("commit", json!({"usage": {"unknown": 1}})),
        ("commit", json!({"usage": {"a": [[[[[[[[1]]]]]]]]}})),
        ("commit", json!({"provider": {"status": 200, "headers": {}}})),
        ("extend", json!({"add_cost": {"tokns": 1}})),
        ("reset", json!({"limit": "no-such-limit"})),
        ("batch", json!({"operations": vec![json!({"op": "record"}); 257]})),
    ] {
        let operation = of(operation);
        let answer = target.send(operation, &operation.path_for(&target.id), JSON, Some(body.to_string())).await;
        target.refused(operation, &body.to_string(), &answer).await;
    }
}
