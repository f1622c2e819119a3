//! Figures, readers that stop, and changes that time alone brings.

use std::time::Duration;

use quota_coordinator::{
    coordinator::types::{Ask, Record},
    domain::{
        Cost, CounterStatus, Priority, Unit,
        event::{Cause, Change},
    },
    events::Delivery,
};
use tokio::time::Instant;

use crate::support::{
    eventually::soon,
    live::{LiveNode, events_up_to, next, next_event, slots, workspace_scope},
    redis::{fresh_pool, shared},
};

#[tokio::test]
async fn a_window_that_slides_is_one_event_over_all_nodes() {
    let pool = fresh_pool("slide");
    let toml = format!(
        "[[pools]]\nid = \"{pool}\"\n[[pools.limits]]\nid = \"per-second\"\nunit = \"requests\"\ncapacity = 1\nwindow = \"1s\"\n"
    );
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(LiveNode::start(shared().await, &pool, &toml).await);
    }
    let mut watching = nodes[2].watch("", None).await;
    assert!(matches!(next(&mut watching).await, Delivery::Snapshot { .. }));
    let cost: Cost = [(Unit::requests(), 1)].into_iter().collect();
    let ask = Ask { pool: pool.clone(), scope: workspace_scope(""), cost, estimate: None, priority: Priority::Normal };
    nodes[0].coordinator.record(Record { ask, idempotency_key: None, principal: "test".into() }).await.unwrap();
    events_up_to(&mut watching, 2).await;
    let full_since = Instant::now();
    let counter = next_event(&mut watching).await;
    let took = full_since.elapsed();
    assert!(took >= Duration::from_millis(800) && took <= Duration::from_millis(3000), "{took:?}");
    let Change::Counter(change) = &counter.live.event.change else { panic!() };
    assert_eq!((change.to, counter.live.event.cause), (CounterStatus::Normal, Cause::Time));
    assert!(matches!(next_event(&mut watching).await.live.event.change, Change::Pool { .. }));
    // Every node has swept again by the time that the next change is written.
    tokio::time::timeout(Duration::from_millis(1500), next_event(&mut watching)).await.unwrap_err();
    assert_eq!(nodes[1].log().await.1.seq, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_is_given_up_and_others_do_not_notice() {
    let pool = fresh_pool("slow");
    let node = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let (mut slow, mut quick) = (node.watch("", None).await, node.watch("", None).await);
    for subscription in [&mut slow, &mut quick] {
        assert!(matches!(next(subscription).await, Delivery::Snapshot { .. }));
    }
    let mut most = (0, 0);
    for round in 1..=300 {
        node.flip("", "slots").await;
        let got = events_up_to(&mut quick, round * 4).await;
        assert_eq!(got.len(), 4);
        most = most.max(slow.waiting());
    }
    assert!(most.0 <= 1024 && most.1 <= 1 << 20, "{most:?}");
    assert!(matches!(next(&mut slow).await, Delivery::Overflow));
    assert_eq!(slow.waiting(), (0, 0));
    assert_eq!(node.hub.counts().read().overflows, 1);
    assert_eq!(node.hub.subscribers(&pool), 1);
}

#[tokio::test]
async fn figures_are_sent_when_they_change_and_not_too_often() {
    let pool = fresh_pool("figures");
    let toml = format!(
        "[[pools]]\nid = \"{pool}\"\n[[pools.limits]]\nid = \"tokens\"\nunit = \"tokens\"\ncapacity = 100000\nwindow = \"1h\"\noptional = true\n"
    );
    let (a, b) = (LiveNode::start(shared().await, &pool, &toml).await, LiveNode::start(shared().await, &pool, &toml).await);
    let mut watching = b.watch("", None).await;
    assert!(matches!(next(&mut watching).await, Delivery::Snapshot { .. }));
    let began = Instant::now();
    let writing = async {
        for _ in 0..200 {
            a.take("w1", "tokens", 1).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        let (mut updates, mut last) = (0u32, 0);
        while last < 200 {
            let Delivery::Update { snapshot, cursor } = next(&mut watching).await else { panic!() };
            assert_eq!(cursor.seq, 0);
            let held = snapshot.usage.figures[0].held;
            assert!(held > last);
            (updates, last) = (updates + 1, held);
        }
        updates
    };
    let ((), updates) = soon("the last figure", async { tokio::join!(writing, reading) }).await;
    let most = began.elapsed().as_secs_f64() / 0.225 + 1.0;
    assert!(f64::from(updates) <= most, "{updates} in {:?}", began.elapsed());
    tokio::time::timeout(Duration::from_millis(1500), watching.next()).await.expect_err("nothing changes, nothing is sent");
}
