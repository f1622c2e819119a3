//! Nodes hear of each other's writes: everything, once, in order.

use std::time::Duration;

use quota_coordinator::{
    domain::{
        CounterStatus, PoolStatus,
        event::{Cause, Change},
    },
    events::{Delivery, Reason},
};

use quota_coordinator::private_redis::PrivateRedis;

use crate::support::{
    eventually::soon,
    live::{LiveNode, events_up_to, next, next_change, next_event, slots, workspace_scope},
    redis::{connection, fresh_pool, shared},
};

#[tokio::test]
async fn a_write_on_one_node_is_an_event_on_the_other() {
    let pool = fresh_pool("order");
    let (a, b) = (
        LiveNode::start(shared().await, &pool, &slots(&pool)).await,
        LiveNode::start(shared().await, &pool, &slots(&pool)).await,
    );
    let mut watching = b.watch("", None).await;
    let Delivery::Snapshot { reason: Reason::NoCursor, cursor, snapshot } = next(&mut watching).await else { panic!() };
    assert_eq!((cursor.seq, snapshot.usage.status), (0, PoolStatus::Normal));

    let reservation = a.take("w1", "slots", 1).await.unwrap();
    let counter = next_event(&mut watching).await;
    assert_eq!((counter.prev, counter.live.position().seq), (0, 1));
    let Change::Counter(change) = &counter.live.event.change else { panic!("{counter:?}") };
    assert_eq!(change.limit.as_ref().unwrap().id.as_str(), "one-at-a-time");
    assert_eq!((change.from, change.to), (CounterStatus::Normal, CounterStatus::Exhausted));
    let of_pool = next_event(&mut watching).await;
    assert!(matches!(of_pool.live.event.change, Change::Pool { from: PoolStatus::Normal, to: PoolStatus::RateLimited }));
    assert_eq!((of_pool.prev, of_pool.status), (1, PoolStatus::RateLimited));

    a.give_back(reservation).await;
    let rest = events_up_to(&mut watching, 4).await;
    assert_eq!(rest.iter().map(|event| event.live.event.cause).collect::<Vec<_>>(), [Cause::Release; 2]);
    assert_eq!(watching.cursor(), a.log().await.1);
}

#[tokio::test]
async fn a_workspace_is_as_bad_as_the_worse_of_the_pool_and_its_own() {
    let pool = fresh_pool("workspace");
    let node = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let (mut mine, mut other, mut all) = (node.watch("w1", None).await, node.watch("w2", None).await, node.watch("", None).await);
    for subscription in [&mut mine, &mut other, &mut all] {
        assert!(matches!(next(subscription).await, Delivery::Snapshot { .. }));
    }
    node.take("w1", "seats", 1).await.unwrap();
    assert_eq!(next_event(&mut mine).await.status, PoolStatus::RateLimited);
    assert_eq!(next_event(&mut all).await.status, PoolStatus::Normal, "one busy workspace does not paint the pool red");
    assert_eq!(node.hub.status(&pool, &workspace_scope("w1")).unwrap(), PoolStatus::RateLimited);

    node.take("w1", "slots", 1).await.unwrap();
    let first = next_event(&mut other).await;
    assert_eq!((first.live.position().seq, first.prev), (2, 0), "what it did not see is no gap");
    assert_eq!(next_event(&mut other).await.status, PoolStatus::RateLimited);

    // A node that starts now learns the statuses from the store, not from events.
    let late = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let cursor = other.cursor();
    let mut resumed = late.watch("w1", Some(cursor)).await;
    let Delivery::Replay { status, events, snapshot, .. } = next(&mut resumed).await else { panic!() };
    assert_eq!((status, events.len(), snapshot.usage.status), (PoolStatus::RateLimited, 0, PoolStatus::RateLimited));
}

/// The whole of what a killed subscription costs is a read of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_subscriptions_lose_nothing_and_repeat_nothing() {
    let server = PrivateRedis::start().await.unwrap();
    let pool = fresh_pool("kills");
    let (a, b) = (LiveNode::start(&server, &pool, &slots(&pool)).await, LiveNode::start(&server, &pool, &slots(&pool)).await);
    let mut on_a = a.watch("", None).await;
    let mut on_b = b.watch("w7", None).await;
    for subscription in [&mut on_a, &mut on_b] {
        assert!(matches!(next(subscription).await, Delivery::Snapshot { .. }));
    }
    let changes = 2000;
    let collecting = async { tokio::join!(events_up_to(&mut on_a, changes), events_up_to(&mut on_b, changes)) };
    let writing = async {
        let mut admin = connection(&server).await;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..changes / 40 {
            tick.tick().await;
            let _: redis::RedisResult<u64> =
                redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut admin).await;
            for _ in 0..10 {
                a.flip("w7", "slots").await;
            }
        }
    };
    let ((got_a, got_b), ()) = soon("all events", async { tokio::join!(collecting, writing) }).await;
    let (log, top) = a.log().await;
    assert_eq!(top.seq, changes);
    for got in [got_a, got_b] {
        let seqs: Vec<u64> = got.iter().map(|event| event.live.position().seq).collect();
        assert_eq!(seqs, (1..=changes).collect::<Vec<_>>());
        assert!(got.windows(2).all(|pair| pair[1].prev == pair[0].live.position().seq));
        assert!(got.windows(2).all(|pair| pair[1].live.event.prev == pair[0].live.position().event));
        let kept = &got[got.len() - log.len()..];
        assert!(kept.iter().zip(&log).all(|(event, entry)| event.live.position() == entry.position));
    }
    let counted = b.hub.counts().read();
    assert!(counted.disconnects >= 5 && counted.repaired > 0, "{counted:?}");
    assert_eq!(counted.resets, 0, "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_among_writes_and_the_events_after_it_make_the_final_state() {
    let pool = fresh_pool("race");
    let (a, b) = (
        LiveNode::start(shared().await, &pool, &slots(&pool)).await,
        LiveNode::start(shared().await, &pool, &slots(&pool)).await,
    );
    let writing = async {
        for round in 0..100 {
            for workspace in ["w1", "w2"] {
                // The last round leaves one workspace full.
                let reservation = a.take(workspace, "seats", 1).await.unwrap();
                if round < 99 || workspace == "w2" {
                    a.give_back(reservation).await;
                }
            }
        }
    };
    let joining = async {
        let mut list = Vec::new();
        for at in 0..40 {
            let node = if at % 2 == 0 { &a } else { &b };
            list.push(node.watch("w1", None).await);
            tokio::task::yield_now().await;
        }
        list
    };
    let ((), subscriptions) = soon("writes and joins", async { tokio::join!(writing, joining) }).await;
    let (_, top) = a.log().await;
    for mut subscription in subscriptions {
        let Delivery::Snapshot { snapshot, cursor, .. } = next(&mut subscription).await else { panic!() };
        let own = |figure: &&quota_coordinator::coordinator::types::Figure| !figure.partition.is_pool_wide();
        let mut state = snapshot.usage.figures.iter().find(own).unwrap().status;
        let mut last = cursor.seq;
        while subscription.cursor() != top {
            let Delivery::Event(event) = next_change(&mut subscription).await else { panic!() };
            assert_eq!(event.prev, last);
            last = event.live.position().seq;
            let Change::Counter(change) = &event.live.event.change else { panic!() };
            assert_eq!(change.from, state, "each change goes on from what was known");
            state = change.to;
        }
        assert_eq!(state, CounterStatus::Exhausted);
    }
}
