//! What lies in Redis: nothing stays without an end or an owner, all of it in one slot, and a script
//! touches no key that it was not given.

use std::{collections::BTreeSet, time::Duration};

use quota_coordinator::{
    coordinator::types::{Metadata, Record, Release, Reserve, Reset},
    domain::Scope,
    private_redis::PrivateRedis,
    store::Store,
};
use redis::aio::MultiplexedConnection;

use crate::support::{
    node::{Node, asks, dollars, pool_of, until},
    redis::{connection, fresh_pool, keys_of, shared, store},
};

const LIMITS: &str = r#"
[[pools.limits]]
id = "rpm"
unit = "requests"
capacity = 50
window = "1s"

[[pools.limits]]
id = "own-tokens"
unit = "tokens"
capacity = 100
window = "2s"
per = ["workspace"]

[[pools.limits]]
id = "spend"
unit = "cost_usd"
capacity = 10
period = "month"
per = ["workspace"]

[[pools.limits]]
id = "in-flight"
unit = "requests"
kind = "concurrency"
capacity = 10
"#;

/// Some of everything: each operation, denials, status changes, an override, a reset, sweeps.
async fn mixed_run(node: &Node, store: &dyn Store, connection: &mut MultiplexedConnection) {
    let costs = [("tokens", 30), ("cost_usd", dollars("1"))];
    let second = Duration::from_secs(1);
    for workspace in ["a", "b", "c"] {
        let scope = [("workspace", workspace)];
        let short = Reserve { lease: second, ..asks(&node.pool, &scope, &costs) };
        let (one, two) = (node.granted(short.clone()).await, node.granted(short.clone()).await);
        node.commits(&one.reservation, &[("tokens", 20)]).await.unwrap();
        node.extends(&two.reservation, second, &[("tokens", 10)]).await.unwrap();
        node.granted(Reserve { idempotency_key: Some(workspace.to_owned()), ..short.clone() }).await;
        node.granted(Reserve { idempotency_key: Some(workspace.to_owned()), ..short.clone() }).await;
        node.denied(short.clone()).await;
        node.check(short.ask.clone()).await.unwrap();
        node.record(Record { ask: short.ask, idempotency_key: None, principal: "t".into() }).await.unwrap();
        let release =
            Release::IdempotencyKey { pool: node.pool.clone(), key: format!("void {workspace}"), principal: "t".into() };
        node.release(release).await.unwrap();
    }
    store.set_override(&node.pool, "rpm", Some("{\"capacity\":60}")).await.unwrap();
    node.usage_now().await;
    node.reservations(&node.pool, &Scope::default(), &Metadata::new(), None, 10).await.unwrap();
    let scope = Scope::new([("workspace", "c")]).unwrap();
    node.reset(Reset { pool: node.pool.clone(), limit: None, scope, principal: "t".into() }).await.unwrap();
    store.trim(&node.pool, 0).await.unwrap();
    until("leases end and windows turn", Duration::from_secs(10), async || {
        node.figures("in-flight").await == (0, 0)
            && !keys_of(connection, &node.pool).await.iter().any(|key| key.ends_with(":due"))
    })
    .await;
}

async fn ask<T: redis::FromRedisValue>(connection: &mut MultiplexedConnection, words: &[&str]) -> T {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(connection).await.unwrap()
}

#[tokio::test]
async fn every_key_has_an_end_or_an_owner() {
    let pool = pool_of(&fresh_pool("keys"), LIMITS);
    let store = store(shared().await);
    let node = Node::start(store.clone(), &pool).await;
    let mut connection = connection(shared().await).await;
    mixed_run(&node, store.as_ref(), &mut connection).await;
    let open = node.granted(asks(&pool.id, &[("workspace", "a")], &[("tokens", 0), ("cost_usd", dollars("1"))])).await;
    let keys: BTreeSet<String> = keys_of(&mut connection, &pool.id).await.into_iter().collect();
    let name = |short: &str| format!("qc1:{{{}}}:{short}", pool.id);
    let members = async |connection: &mut MultiplexedConnection, short: &str| -> Vec<String> {
        ask(connection, &["ZRANGE", &name(short), "0", "-1"]).await
    };
    let existing = async |connection: &mut MultiplexedConnection, kind: &str, names: &[String]| {
        for member in names {
            let exists: bool = ask(connection, &["EXISTS", &name(&format!("{kind}:{member}"))]).await;
            assert!(exists, "{kind}:{member}");
        }
    };
    for key in &keys {
        let left: i64 = ask(&mut connection, &["PTTL", key]).await;
        if left > 0 {
            continue;
        }
        let short = key.rsplit(':').next().unwrap();
        match short {
            // Losing the epoch, what numbers stand for, or what an operator said must be noticed.
            "meta" | "names" | "overrides" => {}
            // Owned by the open reservation, which takes its entry along when it ends.
            "open" => {
                let open = members(&mut connection, "open").await;
                assert_eq!(open.len(), 1);
                existing(&mut connection, "r", &open).await;
            }
            // Owned by groups that are still there; the sweeper removes the others.
            "groups" => {
                let groups = members(&mut connection, "groups").await;
                existing(&mut connection, "g", &groups).await;
            }
            other => panic!("{other} stays for ever and belongs to nobody"),
        }
    }
    // Nothing is due and nothing stands in a status, so that these are not there at all.
    assert!(!keys.contains(&name("due")) && !keys.contains(&name("standing")), "{keys:?}");
    node.releases(&open.reservation).await.unwrap();
    assert!(!keys_of(&mut connection, &pool.id).await.contains(&name("open")));
    // An index entry goes when its group's key has expired.
    let far_future = 1 << 52;
    store.trim(&pool.id, far_future).await.unwrap();
    assert!(!keys_of(&mut connection, &pool.id).await.contains(&name("groups")));

    let mut slots = BTreeSet::new();
    for key in &keys {
        slots.insert(slot(key));
    }
    assert_eq!(slots.len(), 1);
}

/// The Cluster slot of a key: CRC16 of its hash tag.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or(key, |(tag, _)| tag);
    let crc = tag.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc % 16384
}

/// The quoted words of a line of MONITOR, unescaped as far as keys need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut inside, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' if inside => escaped = true,
            '"' if inside => {
                words.push(std::mem::take(&mut word));
                inside = false;
            }
            '"' => inside = true,
            c if inside => word.push(c),
            _ => {}
        }
    }
    words
}

/// Keys that a command touches, by its words.
fn touched(words: &[String]) -> &[String] {
    match words[0].to_ascii_uppercase().as_str() {
        // A channel is no key. Everything but MGET that these scripts call has one key, and that first.
        "TIME" | "PUBLISH" | "SPUBLISH" => &[],
        "MGET" => &words[1..],
        "GET" | "SET" | "DEL" | "HGET" | "HSET" | "HDEL" | "HKEYS" | "PEXPIRE" | "PEXPIREAT" | "XADD" | "ZADD" | "ZREM"
        | "ZRANGEBYSCORE" | "XRANGE" | "HEXISTS" | "HGETALL" | "HLEN" | "ZCARD" => &words[1..2],
        other => panic!("{other}: which of its words are keys?"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_touches_only_the_keys_that_it_was_given() {
    use futures_util::StreamExt;
    let server = PrivateRedis::start().await.unwrap();
    let pool = pool_of(&fresh_pool("monitor"), LIMITS);
    let monitor = redis::Client::open(server.url()).unwrap().get_async_monitor().await.unwrap();
    let mut lines = monitor.into_on_message::<String>();
    let watching = tokio::spawn(async move {
        let mut scripts = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
        let (mut script, mut declared) = (String::new(), BTreeSet::new());
        while let Some(line) = lines.next().await {
            let words = words(&line);
            let command = words[0].to_ascii_uppercase();
            if line.contains(" lua]") {
                for key in touched(&words) {
                    assert!(declared.contains(key), "{key} was not declared: {line}");
                }
                scripts.entry(script.clone()).or_default().insert(command);
            } else if command.starts_with("EVAL") {
                script.clone_from(&words[1]);
                let count: usize = words[2].parse().unwrap();
                declared = words[3..3 + count].iter().cloned().collect();
                scripts.entry(script.clone()).or_default();
            } else if words == ["PING", "that was all"] {
                break;
            }
        }
        scripts
    });
    let store = store(&server);
    let node = Node::start(store.clone(), &pool).await;
    let mut connection = connection(&server).await;
    mixed_run(&node, store.as_ref(), &mut connection).await;
    drop(node);
    let _: String = redis::cmd("PING").arg("that was all").query_async(&mut connection).await.unwrap();
    let scripts = watching.await.unwrap();
    let all = quota_coordinator::store::scripts::Scripts::new(quota_coordinator::store::scripts::Publish::Plain, None);
    for (name, script) in [
        ("apply", &all.apply),
        ("apply_freeing", &all.apply_freeing),
        ("read", &all.read),
        ("due", &all.due),
        ("register", &all.register),
        ("configure", &all.configure),
    ] {
        assert!(scripts.contains_key(script.script.get_hash()), "{name} was not called");
    }
    let commands: BTreeSet<&String> = scripts.values().flatten().collect();
    for expected in ["XADD", "PUBLISH", "ZADD", "ZREM", "HDEL", "PEXPIREAT", "SET"] {
        assert!(commands.iter().any(|command| *command == expected), "{expected} was not seen: {commands:?}");
    }
}
