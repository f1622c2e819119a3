//! Keys that are confined to a part of the scope: every operation of the document, for the key's own workspace and for another.

use std::time::Duration;

use jiff::Timestamp;
use quota_coordinator::{app::Node, config::KeyHash, private_redis::PrivateRedis};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::{
    document::{Operation, operations},
    http::{Reply, reply},
    redis::{fresh_pool, shared},
    web::{Heard, Socket, start},
};

/// How an operation says whose things it is about. A new operation needs a line.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Names {
    /// A workspace in the body's scope.
    Body,
    /// A workspace in the query.
    Query,
    /// A reservation.
    Reservation,
    /// A notification, found in the listing of the workspace.
    Notification,
    /// Each of its operations says it in its own way.
    Each,
    /// A pool as a whole, which is not for the key.
    Pool,
    /// Nothing: it reaches only what the key itself has made.
    Nothing,
}

const NAMES: [(&str, Names); 22] = [
    ("acknowledge_notification", Names::Notification),
    ("batch", Names::Each),
    ("check", Names::Body),
    ("check_by_query", Names::Query),
    ("commit", Names::Reservation),
    ("extend", Names::Reservation),
    ("list_audit", Names::Pool),
    ("list_events", Names::Query),
    ("list_limits", Names::Pool),
    ("list_notifications", Names::Query),
    ("list_reservations", Names::Query),
    ("make_ticket", Names::Nothing),
    ("read_reservation", Names::Reservation),
    ("read_status", Names::Query),
    ("read_usage", Names::Query),
    ("record_usage", Names::Body),
    ("release", Names::Reservation),
    ("release_by_key", Names::Nothing),
    ("reserve", Names::Body),
    ("reset", Names::Body),
    ("set_limit", Names::Pool),
    ("unset_limit", Names::Pool),
];

/// Capacities by which a leaked figure of what all share, or of all workspaces with a model, is recognised.
const SHARED: [&str; 2] = ["777777", "888888"];

/// `seats` are for everybody, `slots` for each workspace; there is one of each.
fn limits(pool: &str) -> String {
    format!(
        r#"
[[pools]]
id = "{pool}"
limits = [
    {{ id = "all", unit = "requests", capacity = 777777, window = "1m" }},
    {{ id = "by-model", unit = "requests", capacity = 888888, window = "1m", per = ["model"] }},
    {{ id = "own", unit = "requests", capacity = 500, window = "1m", per = ["workspace"] }},
    {{ id = "all-seats", unit = "seats", kind = "concurrency", capacity = 1, optional = true }},
    {{ id = "own-slots", unit = "slots", kind = "concurrency", capacity = 1, per = ["workspace"], optional = true }},
]
"#
    )
}

fn key(name: &str, rest: &str) -> String {
    let sha256 = KeyHash::of(name).to_hex();
    format!("[[auth.keys]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nroles = [\"read\", \"consume\", \"admin\"]\n{rest}\n")
}

struct World {
    node: Node,
    pool: String,
    client: Client,
}

impl World {
    async fn of(server: &PrivateRedis, keys: &[String]) -> Self {
        let pool = fresh_pool("scope");
        let node = start(server, &limits(pool.as_str()), &format!("mode = \"keys\"\n{}", keys.concat())).await;
        Self { node, pool: pool.to_string(), client: Client::new() }
    }

    async fn confined() -> Self {
        Self::of(shared().await, &[key("free", ""), key("w1", "scope = { workspace = \"w1\" }")]).await
    }

    fn request(&self, key: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.node.address())).bearer_auth(key)
    }

    /// A reservation by the key that may do everything.
    async fn held(&self, scope: Value, cost: Value) -> String {
        let body = json!({"pool": self.pool, "scope": scope, "cost": cost});
        let granted = reply(self.request("free", Method::POST, "/api/quota/reservations").json(&body)).await.ok();
        granted["reservation"].as_str().unwrap_or_else(|| panic!("{granted:#}")).to_owned()
    }

    async fn notifications(&self, key: &str) -> Vec<Value> {
        let path = format!("/api/quota/notifications?pool={}", self.pool);
        reply(self.request(key, Method::GET, &path)).await.ok()["notifications"].as_array().unwrap().clone()
    }

    /// Asks an operation with the confined key. `id` is a reservation or notification, `workspace` what is named.
    async fn ask(&self, operation: &Operation, id: &str, workspace: Option<&str>) -> Reply {
        let mut request = self.request("w1", operation.method.clone(), &operation.path_for(id));
        if operation.parameters("query").any(|(name, _)| name == "pool") {
            request = request.query(&[("pool", self.pool.as_str())]);
        }
        match (names(operation), workspace) {
            (Names::Query, Some(workspace)) => request = request.query(&[("workspace_id", workspace)]),
            (Names::Body, _) => {
                let scope = workspace.map_or(json!({}), |workspace| json!({"workspace": workspace}));
                request = request.json(&json!({"pool": self.pool, "scope": scope}));
            }
            _ if operation.id == "release_by_key" => {
                request = request.json(&json!({"pool": self.pool, "idempotency_key": "k"}));
            }
            (Names::Pool, _) if operation.body.is_some() => request = request.json(&json!({"capacity": 1})),
            (Names::Reservation, _) if operation.body.is_some() => request = request.json(&json!({})),
            _ => {}
        }
        reply(request).await
    }
}

fn names(operation: &Operation) -> Names {
    let entry = NAMES.iter().find(|(id, _)| *id == operation.id);
    entry.unwrap_or_else(|| panic!("{}: say in NAMES how it names a workspace", operation.id)).1
}

/// Fails where an answer shows what is not for a key of `w1`.
fn shows_own_only(what: &str, answer: &str) {
    for secret in SHARED.iter().chain(&["otherspace"]) {
        assert!(!answer.contains(secret), "{what} shows {secret}: {answer}");
    }
}

fn no_leak(what: &str, answer: &Reply) {
    shows_own_only(what, &format!("{} {:?}", answer.body, answer.headers));
}

#[tokio::test]
async fn each_operation_stays_in_the_scope_of_the_key() {
    let world = World::confined().await;
    for scope in [json!({"workspace": "w1", "model": "m"}), json!({"workspace": "otherspace"})] {
        world.held(scope, json!({"slots": 1})).await;
    }
    world.held(json!({}), json!({"seats": 1})).await;
    let all = world.notifications("free").await;
    let of = |scope: Value| all.iter().find(|n| n["status_data"]["scope"] == scope).unwrap()["id"].as_str().unwrap().to_owned();
    let standing = [of(json!({"workspace": "w1"})), of(json!({"workspace": "otherspace"})), of(json!({}))];

    for operation in operations().into_iter().filter(|operation| operation.secured) {
        let id = operation.id.as_str();
        let held = [
            world.held(json!({"workspace": "w1"}), json!({})).await,
            world.held(json!({"workspace": "otherspace"}), json!({})).await,
            world.held(json!({}), json!({})).await,
        ];
        match names(&operation) {
            kind @ (Names::Body | Names::Query) => {
                for own in [Some("w1"), None] {
                    let answer = world.ask(&operation, "", own).await;
                    assert_eq!(answer.status, 200, "{id}: {own:?}: {:#}", answer.body);
                    no_leak(id, &answer);
                }
                let place = if kind == Names::Body { "/scope/workspace" } else { "scope.workspace" };
                let answer = world.ask(&operation, "", Some("otherspace")).await;
                assert_eq!(answer.problem(), (403, "scope_forbidden", place), "{id}");
            }
            Names::Reservation => {
                for other in &held[1..] {
                    let answer = world.ask(&operation, other, None).await;
                    assert_eq!(answer.problem(), (404, "reservation_not_found", ""), "{id}");
                }
                let answer = world.ask(&operation, &held[0], None).await;
                assert_eq!(answer.status, 200, "{id}: {:#}", answer.body);
                no_leak(id, &answer);
            }
            Names::Notification => {
                assert_eq!(world.ask(&operation, &standing[1], None).await.problem().0, 404, "{id}");
                assert_eq!(world.ask(&operation, &standing[2], None).await.problem(), (403, "scope_forbidden", "id"));
                let answer = world.ask(&operation, &standing[0], None).await;
                assert_eq!(answer.status, 200, "{id}: {:#}", answer.body);
                no_leak(id, &answer);
            }
            Names::Pool => {
                let answer = world.ask(&operation, &world.pool.clone(), None).await;
                assert_eq!(answer.problem(), (403, "scope_forbidden", "pool"), "{id}");
            }
            Names::Nothing => {
                assert_eq!(world.ask(&operation, "", None).await.status, 200, "{id}");
            }
            Names::Each => {
                let one = |op: &str, workspace: &str| json!({"op": op, "pool": world.pool, "scope": {"workspace": workspace}});
                let of = |op: &str, at: usize| json!({"op": op, "reservation": held[at]});
                let body = json!({"operations": [
                    one("reserve", "w1"), one("record", "w1"), of("extend", 0), of("commit", 0),
                    one("reserve", "otherspace"), one("record", "otherspace"), of("extend", 1), of("commit", 1), of("release", 1), of("release", 2),
                ]});
                // Those beside each other are not in order: a commit may come before the extend.
                let answer = reply(world.request("w1", Method::POST, "/api/quota/batch").json(&body)).await;
                let results = answer.body["results"].as_array().unwrap_or_else(|| panic!("{:#}", answer.body));
                let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap_or(200)).collect();
                assert_eq!((&statuses[..2], &statuses[3..]), (&[200, 200][..], &[200, 403, 403, 404, 404, 404, 404][..]));
                shows_own_only(id, &json!(results[..4]).to_string());
            }
        }
    }
    for (id, _) in NAMES {
        assert!(operations().iter().any(|operation| operation.id == id), "{id} is not in the document");
    }
}

#[tokio::test]
async fn what_the_key_may_not_touch_stays_as_it_is() {
    let world = World::confined().await;
    let other = world.held(json!({"workspace": "otherspace"}), json!({})).await;
    for what in ["commit", "release", "extend"] {
        let path = format!("/api/quota/reservations/{other}/{what}");
        assert_eq!(reply(world.request("w1", Method::POST, &path)).await.status, 404);
    }
    let reset = json!({"pool": world.pool});
    reply(world.request("w1", Method::POST, "/api/quota/reset").json(&reset)).await.ok();
    let read = reply(world.request("free", Method::GET, &format!("/api/quota/reservations/{other}"))).await.ok();
    assert_eq!(read["state"], "open");
    let usage = reply(world.request("free", Method::GET, &format!("/api/quota/usage?pool={}", world.pool))).await.ok();
    let held = |limit: &str| usage["limits"].as_array().unwrap().iter().find(|l| l["limit"] == limit).unwrap()["held"].clone();
    assert_eq!((held("all"), held("own")), (json!(1), json!(1)), "the reset cleared the key's own counters only: {usage:#}");
}

#[tokio::test]
async fn of_what_all_share_the_status_and_the_wait_are_told() {
    let world = World::confined().await;
    world.held(json!({"workspace": "otherspace"}), json!({"seats": 1})).await;
    let body = json!({"pool": world.pool, "cost": {"seats": 1}});
    let reserve = world.request("w1", Method::POST, "/api/quota/reservations?denied_status=429").json(&body);
    let denied = reply(reserve).await;
    no_leak("reserve", &denied);
    assert_eq!((denied.status, &denied.body["violated"]), (429, &json!(["all-seats"])), "{:#}", denied.body);
    assert!(denied.body["retry_after_ms"].is_u64() && denied.body["status"] == "rate_limited", "{:#}", denied.body);
    assert!(!denied.header("retry-after").is_empty() && !denied.header("ratelimit").contains("all-seats"));
    let limits = denied.body["limits"].as_array().unwrap();
    assert!(limits.iter().all(|limit| limit["scope"] == json!({"workspace": "w1"})), "{limits:?}");
    let list = world.notifications("w1").await;
    assert_eq!((list.len(), &list[0]["status_data"]["limits"]), (1, &json!([])));
    let status = reply(world.request("w1", Method::GET, &format!("/api/quota/status?pool={}", world.pool))).await.ok();
    assert_eq!((&status["workspace_id"], &status["data"]["status"]), (&json!("w1"), &json!("rate_limited")));
    assert!(status["data"].get("partitions").is_none(), "how the others stand is not for this key");
    let usage = reply(world.request("free", Method::GET, &format!("/api/quota/usage?pool={}", world.pool))).await.ok();
    assert!(usage.to_string().contains(SHARED[0]), "the other key sees everything");
}

#[tokio::test]
async fn live_updates_stay_in_the_scope_of_the_key() {
    let world = World::confined().await;
    let query = format!("pool={}", world.pool);
    let bearer = [("Authorization", "Bearer w1")];
    let mut socket = Socket::connect(&world.node, &query, &bearer).await.unwrap();
    let initial = socket.hear_a("quota_initial").await;
    assert_eq!(initial["workspace_id"], "w1");
    shows_own_only("quota_initial", &initial.to_string());
    world.held(json!({"workspace": "otherspace"}), json!({"slots": 1})).await;
    world.held(json!({"workspace": "otherspace"}), json!({"seats": 1})).await;
    let event = socket.hear_a("quota_event").await;
    assert_eq!(
        (&event["limit"], &event["to"]),
        (&json!("all-seats"), &json!("exhausted")),
        "nothing of otherspace's own before it"
    );
    assert!(event.get("used").is_none() && event.get("capacity").is_none(), "{event:#}");
    let of_pool = socket.hear_a("quota_event").await;
    assert_eq!((&of_pool["limit"], &of_pool["to"]), (&json!(null), &json!("rate_limited")));
    let update = socket.hear_a("quota_update").await;
    shows_own_only("quota_update", &update.to_string());
    socket
        .say(json!({"type": "subscribe", "id": 1, "subscription": "s", "pool": world.pool, "workspace_id": "otherspace"}))
        .await;
    let error = socket.hear_a("error").await;
    assert_eq!((&error["problem"]["code"], &error["fatal"]), (&json!("scope_forbidden"), &json!(false)));

    let mut refused = Socket::connect(&world.node, &format!("{query}&workspace_id=otherspace"), &bearer).await.unwrap();
    assert_eq!(refused.hear_a("error").await["problem"]["code"], "scope_forbidden");
    assert_eq!(refused.hear().await, Heard::Close(4003, "forbidden".into()));

    let list = reply(world.request("w1", Method::GET, &format!("/api/quota/events?{query}"))).await;
    no_leak("list_events", &list);
    let events = list.ok()["events"].as_array().unwrap().clone();
    assert!(events.iter().any(|event| event["limit"] == "all-seats" && event.get("used").is_none()), "{events:?}");
    for (workspace, status) in [("w1", 200), ("otherspace", 403)] {
        let path = format!("/api/quota/events/stream?{query}&workspace_id={workspace}");
        let mut response = world.request("w1", Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let mut text = String::new();
        while status == 200 && !text.contains("quota_initial") {
            text += &String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap());
        }
        if status == 200 {
            shows_own_only("the stream", &text);
        }
    }
}

#[tokio::test]
async fn a_key_ends_at_its_instant_and_takes_its_connections_with_it() {
    let expires = |seconds: i64| {
        let at = Timestamp::now().checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        format!("expires_at = \"{at}\"")
    };
    let keys = [key("gone", "expires_at = \"2020-01-31T00:00:00Z\""), key("soon", &expires(5)), key("later", &expires(3600))];
    let world = World::of(shared().await, &keys).await;
    let path = format!("/api/quota/status?pool={}", world.pool);
    let gone = reply(world.request("gone", Method::GET, &path)).await;
    assert_eq!(gone.problem(), (401, "key_expired", ""));
    assert!(gone.header("www-authenticate").starts_with("Bearer "));
    reply(world.request("later", Method::GET, &path)).await.ok();
    let query = format!("pool={}", world.pool);
    let mut socket = Socket::connect(&world.node, &query, &[("Authorization", "Bearer soon")]).await.unwrap();
    assert_eq!(socket.hear_close().await, (4203, "token_expired".into()));
    assert_eq!(reply(world.request("soon", Method::GET, &path)).await.problem(), (401, "key_expired", ""));
}
