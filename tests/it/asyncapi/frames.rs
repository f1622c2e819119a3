//! What real nodes send, against the document.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jsonschema::Validator;
use quota_coordinator::{domain::PoolId, private_redis::PrivateRedis};
use serde_json::{Value, json};

use super::document::{Direction, messages, strict_validator};
use crate::support::{
    redis::{connection, fresh_pool},
    web::{Heard, KEY, Socket, give_back, keyed, open, post, start, take},
};

/// Longer than a node waits between pings.
const PING: Duration = Duration::from_secs(60);

/// What was heard, checked on the way.
struct Ledger {
    schemas: BTreeMap<String, Validator>,
    seen: BTreeSet<String>,
}

impl Ledger {
    fn new() -> Self {
        let of_nodes = messages().into_iter().filter(|message| message.direction == Direction::ToClient);
        let schemas = of_nodes.map(|message| (message.name.clone(), strict_validator(&message))).collect();
        Self { schemas, seen: BTreeSet::new() }
    }

    fn check(&mut self, frame: &Value) {
        let name = frame["type"].as_str().unwrap_or_else(|| panic!("no type: {frame}"));
        let schema = self.schemas.get(name).unwrap_or_else(|| panic!("`{name}` is not documented: {frame}"));
        if let Some(error) = schema.iter_errors(frame).next() {
            panic!("{name}: {error} at {} of {frame}", error.instance_path());
        }
        self.seen.insert(name.to_owned());
    }

    /// Hears until one of that type has come.
    async fn until(&mut self, socket: &mut Socket, kind: &str) -> Value {
        loop {
            match socket.hear_within(PING).await.unwrap_or_else(|| panic!("no {kind} came")) {
                Heard::Text(frame) => {
                    self.check(&frame);
                    if frame["type"] == kind {
                        return frame;
                    }
                }
                other => panic!("{other:?} instead of {kind}"),
            }
        }
    }

    /// Hears until the connection is closed.
    async fn until_closed(&mut self, socket: &mut Socket) -> u16 {
        loop {
            match socket.hear_within(PING).await.unwrap() {
                Heard::Text(frame) => self.check(&frame),
                Heard::Close(code, _) => return code,
                Heard::Cut => panic!("cut off"),
            }
        }
    }
}

/// A pool with limits of every kind, in units and in money.
fn every_kind(pool: &PoolId) -> String {
    let limit = |rest: &str| format!("[[pools.limits]]\n{rest}\n");
    let limits = [
        "id = \"requests-minute\"\nunit = \"requests\"\ncapacity = 500\nwindow = \"60s\"",
        "id = \"requests-day\"\nunit = \"requests\"\nkind = \"budget\"\nperiod = \"day\"\ncapacity = 5000",
        "id = \"tokens-minute\"\nunit = \"tokens\"\ncapacity = 90000\nwindow = \"60s\"\nper = [\"workspace\"]\nmode = \"shadow\"",
        "id = \"money\"\nunit = \"cost_usd\"\nkind = \"budget\"\nperiod = \"month\"\ncapacity = \"10\"",
        "id = \"at-once\"\nunit = \"jobs\"\nkind = \"concurrency\"\ncapacity = 8",
    ];
    format!("[[pools]]\nid = \"{pool}\"\nunits = [\"jobs\"]\n") + &limits.map(limit).concat()
}

#[tokio::test]
async fn nodes_send_what_is_documented_and_everything_of_it() {
    let server = PrivateRedis::start().await.unwrap();
    let pool = fresh_pool("asyncapi");
    let (a, b) = (open(&server, &pool).await, keyed(&server, &pool).await);
    let mut ledger = Ledger::new();

    let mut patient = Socket::to(&a, "").await;
    let mut own = Socket::connect(&a, "workspace_id=w1", &[("sec-websocket-protocol", "quota-stream.v1")]).await.unwrap();
    ledger.until(&mut own, "quota_initial").await;
    own.say(json!({"type": "subscribe", "id": {"any": 1}, "subscription": "s2", "pool": pool, "workspace_id": "w2"})).await;
    ledger.until(&mut own, "quota_initial").await;
    let slot = take(&a, "slots", "w1").await;
    let seat = take(&a, "seats", "w2").await;
    let mut last = ledger.until(&mut own, "quota_event").await;
    ledger.until(&mut own, "quota_update").await;
    for reservation in [&slot, &seat] {
        give_back(&a, reservation).await;
        last = ledger.until(&mut own, "quota_event").await;
    }
    for command in [json!({"type": "request_status"}), json!({"type": "subscribe", "id": null})] {
        own.say(command).await;
    }
    ledger.until(&mut own, "error").await;
    for n in [json!(null), json!(7), json!("x"), json!([1])] {
        own.say(json!({"type": "ping", "n": n})).await;
        ledger.until(&mut own, "pong").await;
    }
    own.say(json!({"type": "unsubscribe", "subscription": "s2"})).await;
    ledger.until(&mut own, "unsubscribed").await;

    let cursor = last["cursor"].as_str().unwrap();
    let mut replay = Socket::to(&a, &format!("cursor={cursor}")).await;
    ledger.until(&mut replay, "quota_initial").await;

    let mut secret = Socket::to(&b, "").await;
    secret.say(json!({"type": "authenticate", "token": KEY})).await;
    ledger.until(&mut secret, "authenticated").await;
    ledger.until(&mut secret, "quota_initial").await;
    for (query, said, code) in [
        ("", json!({"type": "authenticate", "id": 1, "token": "wrong"}), 4001),
        ("pool=none-such", json!({"type": "authenticate", "token": KEY}), 4004),
    ] {
        let mut refused = Socket::to(&b, query).await;
        refused.say(said).await;
        assert_eq!(ledger.until_closed(&mut refused).await, code);
    }

    let rich = start(&server, &every_kind(&fresh_pool("kinds")), "mode = \"none\"").await;
    let mut figures = Socket::to(&rich, "").await;
    ledger.until(&mut figures, "quota_initial").await;
    let cost = json!({"requests": 1, "tokens": 10, "cost_usd": "9.5", "jobs": 1});
    post(&rich, "/api/quota/reservations", &json!({"scope": {"workspace": "w1"}, "cost": cost})).await;
    let event = ledger.until(&mut figures, "quota_event").await;
    assert_eq!((&event["limit"], &event["capacity"]), (&"money".into(), &"10".into()));
    let update = ledger.until(&mut figures, "quota_update").await;
    assert!(update["data"]["requests_per_minute"].is_object() && update["data"]["requests_per_day"].is_object(), "{update}");

    ledger.until(&mut patient, "ping").await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection(&server).await).await.unwrap();
    take(&a, "slots", "w1").await;
    ledger.until(&mut patient, "reset").await;
    ledger.until(&mut patient, "quota_initial").await;

    let stopping = tokio::spawn(a.stop());
    ledger.until(&mut patient, "drain").await;
    assert_eq!(ledger.until_closed(&mut patient).await, 4200);
    stopping.await.unwrap();

    let not_sent = messages().into_iter().filter(|message| message.not_sent.is_some()).map(|message| message.name);
    let unseen: Vec<&String> = ledger.schemas.keys().filter(|name| !ledger.seen.contains(*name)).collect();
    assert_eq!(unseen, not_sent.collect::<Vec<_>>().iter().collect::<Vec<_>>(), "documented, and neither seen nor excused");
}
