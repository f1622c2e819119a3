//! Who may do what: every operation of the document, with every kind of key.

use quota_coordinator::config::KeyHash;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    document::{Operation, operations},
    http::{Cluster, Reply, reply},
};

/// What each operation needs. A new operation needs a line.
const NEEDS: [(&str, &str); 22] = [
    ("acknowledge_notification", "read"),
    ("batch", "consume"),
    ("check", "read"),
    ("check_by_query", "read"),
    ("commit", "consume"),
    ("extend", "consume"),
    ("list_audit", "admin"),
    ("list_events", "read"),
    ("list_limits", "read"),
    ("list_notifications", "read"),
    ("list_reservations", "read"),
    ("make_ticket", "read"),
    ("read_reservation", "read"),
    ("read_status", "read"),
    ("read_usage", "read"),
    ("record_usage", "consume"),
    ("release", "consume"),
    ("release_by_key", "consume"),
    ("reserve", "consume"),
    ("reset", "admin"),
    ("set_limit", "admin"),
    ("unset_limit", "admin"),
];

const POOLS: &str = r#"
[[pools]]
id = "p"
limits = [{ id = "requests-per-minute", unit = "requests", capacity = 1000, window = "1m" }]

[[pools]]
id = "q"
limits = [{ id = "requests-per-minute", unit = "requests", capacity = 1000, window = "1m" }]
"#;

/// One key for each role, named after it, and the rest of a configuration.
fn keys(mode: &str, names: &[&str]) -> String {
    let mut text = format!("server.drain_delay = \"0s\"\nauth.mode = \"{mode}\"\n{POOLS}");
    for name in names {
        let role = name.split('-').next().unwrap();
        let (roles, pools) = match role {
            "confined" => ("\"read\", \"consume\", \"report\", \"admin\"".to_owned(), "pools = [\"q\"]\n"),
            role => (format!("\"{role}\""), ""),
        };
        let sha256 = KeyHash::of(&secret(name)).to_hex();
        text += &format!("[[auth.keys]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nroles = [{roles}]\n{pools}");
    }
    text
}

fn secret(name: &str) -> String {
    format!("the-secret-of-{name}")
}

fn needs(operation: &Operation) -> &'static str {
    let entry = NEEDS.iter().find(|(id, _)| *id == operation.id);
    entry.unwrap_or_else(|| panic!("{}: say in NEEDS which role it needs", operation.id)).1
}

fn secured() -> impl Iterator<Item = Operation> {
    operations().into_iter().filter(|operation| operation.secured)
}

/// Asks an operation about pool `p` (or about a reservation in it), with a key.
async fn ask(cluster: &Cluster, operation: &Operation, id: &str, key: Option<&str>) -> Reply {
    let mut request = cluster.request(0, operation.method.clone(), &operation.path_for(id));
    if operation.parameters("query").any(|(name, _)| name == "pool") {
        request = request.query(&[("pool", "p")]);
    }
    if let Some(schema) = operation.body {
        let has = |field: &str| schema["properties"].get(field).is_some();
        let body = match operation.id.as_str() {
            "batch" => json!({"operations": [
                {"op": "reserve", "pool": "p"}, {"op": "record", "pool": "p"}, {"op": "commit", "reservation": id},
                {"op": "release", "reservation": id}, {"op": "extend", "reservation": id},
                {"op": "release", "pool": "p", "idempotency_key": "k"},
            ]}),
            "release_by_key" => json!({"pool": "p", "idempotency_key": "k"}),
            "set_limit" => json!({"capacity": 1000}),
            _ if has("pool") => json!({"pool": "p"}),
            _ => json!({}),
        };
        request = request.json(&body);
    }
    reply(match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    })
    .await
}

/// A reservation in pool `p`, made with that key.
async fn held(cluster: &Cluster, key: &str) -> String {
    let request = cluster.request(0, Method::POST, "/api/quota/reservations").bearer_auth(key).json(&json!({"pool": "p"}));
    reply(request).await.ok()["reservation"].as_str().unwrap().to_owned()
}

#[test]
fn the_table_is_complete() {
    let known: Vec<String> = secured().map(|operation| operation.id).collect();
    for (id, _) in NEEDS {
        assert!(known.iter().any(|known| known == id), "{id} is not in the document");
    }
    secured().for_each(|operation| drop(needs(&operation).to_owned()));
    let open: Vec<String> =
        operations().into_iter().filter(|operation| !operation.secured).map(|operation| operation.id).collect();
    assert_eq!(open, ["livez", "readyz"]);
}

#[tokio::test]
async fn each_operation_opens_to_its_role_and_to_admin() {
    let roles = ["read", "consume", "report", "admin"];
    let cluster = Cluster::of(&[&keys("keys", &roles)]).await;
    for operation in secured() {
        let id = held(&cluster, &secret("consume")).await;
        for key in [None, Some("the-secret-of-nobody"), Some("")] {
            let answer = ask(&cluster, &operation, &id, key).await;
            assert_eq!(answer.problem(), (401, "unauthorized", ""), "{}: {key:?}", operation.id);
            assert!(answer.header("www-authenticate").starts_with("Bearer "), "{}", operation.id);
        }
        for role in roles {
            let answer = ask(&cluster, &operation, &id, Some(&secret(role))).await;
            if role == needs(&operation) || role == "admin" {
                assert!(
                    ![401, 403].contains(&answer.status) && answer.status < 500,
                    "{}: {role}: {:#}",
                    operation.id,
                    answer.body
                );
            } else {
                assert_eq!(answer.problem(), (403, "forbidden", ""), "{}: {role}", operation.id);
            }
        }
    }
    let by_header = cluster.request(0, Method::GET, "/api/quota/usage?pool=p").header("X-API-Key", secret("read"));
    reply(by_header).await.ok();
}

#[tokio::test]
async fn a_confined_key_sees_its_pools_only() {
    let cluster = Cluster::of(&[&keys("keys", &["consume", "confined"])]).await;
    let id = held(&cluster, &secret("consume")).await;
    for operation in secured() {
        let answer = ask(&cluster, &operation, &id, Some(&secret("confined"))).await;
        let refused = match operation.id.as_str() {
            "batch" => {
                let results = answer.body["results"].as_array().unwrap();
                let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
                assert_eq!(statuses, [403, 403, 404, 404, 404, 403], "{:#}", answer.body);
                continue;
            }
            // A ticket is for a connection, whose pool is asked for later.
            "make_ticket" => {
                assert_eq!(answer.status, 200);
                continue;
            }
            "commit" | "release" | "extend" | "read_reservation" => (404, "reservation_not_found", ""),
            _ => (403, "forbidden", ""),
        };
        assert_eq!(answer.problem(), refused, "{}", operation.id);
    }
    let own = cluster.request(0, Method::POST, "/api/quota/reservations").bearer_auth(secret("confined")).json(&json!({}));
    assert_eq!(reply(own).await.ok()["decision"], "granted", "the pool may be left out");
    let of_p = cluster.request(0, Method::GET, "/api/quota/usage?pool=p").bearer_auth(secret("consume"));
    assert_eq!(reply(of_p).await.status, 403, "consume does not read");
}

#[tokio::test]
async fn admin_operations_are_off_without_an_admin_key() {
    for mode in ["keys", "none"] {
        let cluster = Cluster::of(&[&keys(mode, &["read"])]).await;
        for operation in secured().filter(|operation| needs(operation) == "admin") {
            for key in [None, Some("the-secret-of-read"), Some("x")] {
                let answer = ask(&cluster, &operation, "AAAA", key).await;
                assert_eq!(answer.problem(), (503, "admin_disabled", ""), "{}: {mode}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn without_keys_everyone_may_do_all_but_admin() {
    let cluster = Cluster::of(&[&format!("admin_key = \"the-secret-of-root\"\n{}", keys("none", &["read"]))]).await;
    let id = held(&cluster, "anything").await;
    for operation in secured() {
        for key in [None, Some("unknown"), Some("the-secret-of-read")] {
            let answer = ask(&cluster, &operation, &id, key).await;
            let what = format!("{}: {key:?}: {:#}", operation.id, answer.body);
            match (needs(&operation), key) {
                ("admin", Some("the-secret-of-read")) => assert_eq!(answer.status, 403, "{what}"),
                ("admin", _) => assert_eq!(answer.status, 401, "{what}"),
                _ => assert!(![401, 403].contains(&answer.status) && answer.status < 500, "{what}"),
            }
        }
        let answer = ask(&cluster, &operation, &id, Some("the-secret-of-root")).await;
        assert!(![401, 403, 503].contains(&answer.status), "{}", operation.id);
    }
}

#[tokio::test]
async fn keys_are_rotated_without_a_gap() {
    let (both, new) = (keys("keys", &["consume-old", "consume-new"]), keys("keys", &["consume-new"]));
    let cluster = Cluster::of(&[&both, &new]).await;
    let id = held(&cluster, &secret("consume-old")).await;
    held(&cluster, &secret("consume-new")).await;
    let commit = |key: &str| {
        let path = format!("/api/quota/reservations/{id}/commit");
        reply(cluster.request(1, Method::POST, &path).bearer_auth(secret(key)).json(&json!({})))
    };
    assert_eq!(commit("consume-old").await.status, 401, "this node has forgotten it");
    assert_eq!(commit("consume-new").await.ok()["state"], "committed");
}
