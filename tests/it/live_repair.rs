//! A node that missed much makes it good from the logs, and its clients do not notice.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use quota_coordinator::{
    domain::PoolId,
    events::{Delivery, Timing},
    private_redis::PrivateRedis,
};
use redis::aio::MultiplexedConnection;

use crate::support::{
    eventually::{eventually, soon},
    fleet::Fleet,
    follower::{Followed, Shared, Way, follow},
    ledger::Ledger,
    live::{LiveNode, events_up_to, next, slots},
    proxy::{Proxy, socket},
    redis::{connection, fresh_pool, shared},
};

/// How long a node is stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// Ids of the connections that listen to messages.
async fn listeners(admin: &mut MultiplexedConnection) -> BTreeSet<String> {
    let list: String = redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub").query_async(admin).await.unwrap();
    list.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

fn all(stories: &[Shared], holds: impl Fn(&Followed) -> bool) -> bool {
    stories.iter().all(|story| story.lock().unwrap().followed.iter().all(&holds))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_stopped_until_redis_cut_it_off_goes_on_with_all_its_clients() {
    let server = PrivateRedis::start().await.unwrap();
    let mut admin = connection(&server).await;
    let limit = "pubsub 32768 0 0";
    let () = redis::cmd("CONFIG").arg(&["SET", "client-output-buffer-limit", limit]).query_async(&mut admin).await.unwrap();
    let pools: Vec<PoolId> = (0..4).map(|_| fresh_pool("stopped")).collect();
    let tables: String = pools.iter().map(slots).collect();
    let mut writers = Vec::new();
    for pool in &pools {
        writers.push(LiveNode::start(&server, pool, &tables).await);
    }
    for writer in &writers {
        writer.flip("w1", "slots").await;
    }
    let ledger = Ledger::open(&server, &pools).await;
    let others = listeners(&mut admin).await;
    let fleet = Fleet::start(&server, &tables, 1).await;
    let own: BTreeSet<String> = listeners(&mut admin).await.difference(&others).cloned().collect();
    assert_eq!(own.len(), 1, "the node listens on one connection");
    let everything: Vec<_> = pools.iter().map(|pool| (pool.clone(), "")).collect();
    let mine: Vec<_> = pools.iter().map(|pool| (pool.clone(), "w2")).collect();
    let patient = u32::MAX - 1..u32::MAX;
    let start = |way, what: &[(PoolId, &'static str)]| follow(fleet.addresses()[0], way, what, patient.clone(), 0);
    let stories = [
        start(Way::WebSocket, &everything),
        start(Way::WebSocket, &mine),
        start(Way::Stream, &everything[..1]),
        start(Way::Stream, &mine[1..2]),
    ];
    eventually("everybody's snapshot", || all(&stories, |followed| followed.begun.is_some())).await;

    fleet.signal(0, "STOP");
    let stopped = Instant::now();
    // As much as fits into the logs, so that all of it can be made good.
    futures_util::future::join_all(writers.iter().map(async |writer| {
        for _ in 0..200 {
            writer.flip("w1", "slots").await;
        }
    }))
    .await;
    soon("Redis cuts the node off", async {
        while !listeners(&mut admin).await.is_disjoint(&own) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tokio::time::sleep(STOPPED.saturating_sub(stopped.elapsed())).await;
    fleet.signal(0, "CONT");
    for writer in &writers {
        writer.flip("w2", "seats").await;
    }

    eventually("everything on every side", || {
        pools.iter().all(|pool| ledger.top(pool) == 4 + 800 + 2)
            && all(&stories, |followed| followed.got.last().is_some_and(|last| last.seq == ledger.top(&followed.pool)))
    })
    .await;
    for story in &stories {
        let story = story.lock().unwrap();
        for followed in &story.followed {
            let (pool, begun) = (&followed.pool, followed.begun.unwrap().seq);
            assert!(followed.got == ledger.places(pool, followed.workspace, begun), "{followed:?}");
        }
        assert_eq!((story.connections, story.closes.len()), (1, 0), "{story:?}");
    }
}

/// One in a hundred, each by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_messages_with_losses_are_repaired_in_place() {
    let pool = fresh_pool("losses");
    let proxy = Proxy::losing(socket(shared().await), &format!("qc1:{{{pool}}}:events"), 100, 7).await;
    let writer = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    writer.flip("w1", "slots").await;
    let reader = LiveNode::start_with(shared().await, proxy.url(), &pool, &slots(&pool), Timing::default()).await;
    let mut watching = Vec::new();
    for workspace in ["", "w1", "w2"] {
        let mut subscription = reader.watch(workspace, None).await;
        assert!(matches!(next(&mut subscription).await, Delivery::Snapshot { cursor, .. } if cursor.seq == 4));
        watching.push(subscription);
    }
    let last = 4 + 6000;
    // A subscriber that was closed or reset would not hand out an event next.
    let collecting = futures_util::future::join_all(watching.iter_mut().map(|each| events_up_to(each, last)));
    let writing = async {
        for _ in 0..1500 {
            writer.flip("w1", "slots").await;
        }
    };
    let (got, ()) = tokio::join!(collecting, writing);
    let seqs: Vec<u64> = (5..=last).collect();
    for got in got {
        let own: Vec<u64> = got.iter().map(|event| event.live.position().seq).collect();
        assert!(own == seqs, "a gap or a repetition");
    }
    let (counted, lost) = (reader.hub.counts().read(), proxy.lost());
    assert!(lost >= 10 && counted.gaps >= lost / 2 && counted.repaired >= 2 * lost, "{lost} lost: {counted:?}");
    assert_eq!((counted.resets, counted.disconnects, counted.overflows), (0, 0, 0), "{counted:?}");
}
