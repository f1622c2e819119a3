//! Two configurations at once, as during a rolling deploy, and overrides while running: counters are
//! known by what they count, never by where they stand.

use std::sync::Arc;

use quota_coordinator::{
    coordinator::types::{Metadata, Reserve, Reset},
    domain::Scope,
    store::{Store, redis::RedisStore},
};

use crate::support::{
    node::{Node, pool_of},
    redis::{shared, timed_store},
    timed::Timed,
};

fn limit(id: &str, unit: &str, capacity: u64, rest: &str) -> String {
    format!("[[pools.limits]]\nid = \"{id}\"\nunit = \"{unit}\"\ncapacity = {capacity}\n{rest}\n")
}

const HOURLY: &str = "window = \"1h\"";

#[tokio::test]
async fn two_configurations_never_mix_their_counters() {
    let old = [
        limit("a", "requests", 10, HOURLY),
        limit("b", "tokens", 100, HOURLY),
        limit("c", "tokens", 1000, "period = \"day\""),
        limit("d", "requests", 4, "kind = \"concurrency\""),
    ]
    .concat();
    // Reordered, `a` resized, `b` removed, `e` added, and `c` counts by the month now.
    let new = [
        limit("e", "requests", 7, HOURLY),
        limit("d", "requests", 4, "kind = \"concurrency\""),
        limit("c", "tokens", 1000, "period = \"month\""),
        limit("a", "requests", 20, HOURLY),
    ]
    .concat();
    let test = Timed::start("deploy", &old).await;
    let other = test.beside(&new).await;
    let costs = [("tokens", 10)];
    let from_old = test.granted(test.asks(&costs)).await.reservation;
    let from_new = other.granted(other.asks(&costs)).await.reservation;
    assert_eq!([test.figures("a").await, test.figures("b").await, test.figures("c").await], [(0, 2), (0, 10), (0, 10)]);
    assert_eq!([other.figures("a").await, other.figures("c").await, other.figures("e").await], [(0, 2), (0, 10), (0, 1)]);
    assert_eq!((test.figure("a").await.capacity, other.figure("a").await.capacity), (10, 20));
    assert_eq!((test.figures("d").await, other.figures("d").await), ((0, 2), (0, 2)));

    // Each settles what the other reserved, with limits that it does not know.
    other.commits(&from_old, &[("tokens", 4)]).await.unwrap();
    let settled = test.commits(&from_new, &[("tokens", 6)]).await.unwrap();
    assert!(settled.skipped.is_empty());
    assert_eq!([test.figures("a").await, test.figures("b").await, test.figures("c").await], [(2, 0), (4, 0), (4, 0)]);
    assert_eq!([other.figures("a").await, other.figures("c").await, other.figures("e").await], [(2, 0), (6, 0), (1, 0)]);
    assert_eq!((test.figures("d").await, other.figures("d").await), ((0, 0), (0, 0)));

    // Each decides by its own file.
    for _ in 0..8 {
        test.granted(Reserve { lease: std::time::Duration::from_secs(1), ..test.asks(&[("tokens", 0)]) }).await;
        let last = test.reservations(&test.pool, &Scope::default(), &Metadata::new(), None, 9).await.unwrap().0;
        test.commits(&last[0].reservation, &[]).await.unwrap();
    }
    assert!(!test.tries(test.asks(&[("tokens", 0)])).await);
    assert!(other.tries(other.asks(&[("tokens", 0)])).await);
}

#[tokio::test]
async fn a_reservation_in_many_groups_is_settled_by_a_node_that_must_ask_which() {
    let keys = ["k1", "k2", "k3", "k4", "k5", "k6"];
    let limits = keys.map(|key| limit(key, "tokens", 100, &format!("{HOURLY}\nper = [\"{key}\"]"))).concat();
    let test = Timed::start("deploy", &limits).await;
    let other = test.beside(&limit("else", "requests", 1, HOURLY)).await;
    let scope = keys.map(|key| (key, "v"));
    let request = crate::support::node::asks(&test.pool, &scope, &[("tokens", 30)]);
    let grant = test.granted(request.clone()).await;
    assert!(grant.reservation.len() <= 128);
    other.commits(&grant.reservation, &[("tokens", 20)]).await.unwrap();
    let extended = test.granted(request).await.reservation;
    test.extends(&extended, std::time::Duration::from_secs(60), &[]).await.unwrap();
    test.extends(&extended, std::time::Duration::from_secs(60), &[("tokens", 5)]).await.unwrap();
    for key in keys {
        assert_eq!(test.figures(key).await, (20, 35), "{key}");
    }
}

async fn capacity_is(store: &Arc<RedisStore>, node: &Node, limit: &str, capacity: Option<u64>) -> u64 {
    let value = capacity.map(|capacity| format!("{{\"capacity\":{capacity}}}"));
    store.set_override(&node.pool, limit, value.as_deref()).await.unwrap()
}

#[tokio::test]
async fn an_override_acts_on_every_node_with_its_next_call_and_keeps_the_counters() {
    let text = [limit("rpm", "requests", 2, HOURLY), limit("tpm", "tokens", 100, HOURLY)].concat();
    let test = Timed::start("override", &text).await;
    let other = test.beside(&text).await;
    let costs = [("tokens", 1)];
    let first = test.granted(test.asks(&costs)).await.reservation;
    let version = capacity_is(&test.store, &test, "rpm", Some(4)).await;

    // Every operation of a node that knows only the old version goes through, with the new one.
    other.granted(other.asks(&costs)).await;
    other.granted(other.asks(&costs)).await;
    test.commits(&first, &[("tokens", 5)]).await.unwrap();
    test.granted(test.asks(&costs)).await;
    for node in [&test.node, &other] {
        assert!(!node.tries(node.asks(&costs)).await);
        assert_eq!(node.figure("rpm").await.capacity, 4);
        assert_eq!((node.figures("rpm").await, node.figures("tpm").await), ((1, 3), (5, 3)));
    }

    // Lowered below what is counted: no more is granted, and nothing is forgotten.
    assert_eq!(capacity_is(&test.store, &test, "rpm", Some(1)).await, version + 1);
    // One that only looks sees it, too.
    let figure = other.figure("rpm").await;
    assert_eq!((figure.capacity, figure.used, figure.held, figure.over()), (1, 1, 3, 3));
    assert!(!other.tries(other.asks_anew(&costs)).await);

    // Nor does a node that resets with an old version leave anything out.
    capacity_is(&test.store, &test, "tpm", Some(50)).await;
    let request =
        Reset { pool: test.pool.clone(), limit: Some("tpm".into()), scope: Scope::default(), principal: "tester".into() };
    assert_eq!(test.reset(request).await.unwrap(), 1);
    assert_eq!(other.figures("tpm").await, (0, 0));
    assert_eq!(capacity_is(&test.store, &test, "tpm", None).await, version + 3);

    // A node that comes later, and then nobody's override any more.
    let late = Node::without_sweeper(timed_store(shared().await), &pool_of(&test.pool, &text)).await;
    assert_eq!(late.figure("rpm").await.capacity, 1);
    assert_eq!(capacity_is(&test.store, &test, "rpm", None).await, version + 4);
    assert_eq!((late.figure("rpm").await.capacity, test.figure("rpm").await.capacity), (2, 2));
    assert_eq!(test.figures("rpm").await, (1, 3));
}
