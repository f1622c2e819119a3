//! What is lost on the way is repaired; what is lost for good is announced.

use std::time::Duration;

use quota_coordinator::{
    domain::{CounterStatus, Position},
    events::{Delivery, Reason, Subscription, Timing},
};

use quota_coordinator::private_redis::PrivateRedis;

use crate::support::{
    eventually::{eventually, soon},
    live::{LiveNode, events_up_to, next, next_change, next_event, slots},
    proxy::{Proxy, socket},
    redis::{connection, fresh_pool, shared},
};

async fn snapshot_of(subscription: &mut Subscription) -> (Reason, Position) {
    match next_change(subscription).await {
        Delivery::Snapshot { reason, cursor, .. } => (reason, cursor),
        other => panic!("{other:?}"),
    }
}

async fn reset_of(subscription: &mut Subscription) -> Reason {
    loop {
        match next_change(subscription).await {
            Delivery::Reset { reason } => return reason,
            Delivery::Event(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_that_does_not_come_is_repaired_in_place() {
    let pool = fresh_pool("drop");
    let proxy = Proxy::before(socket(shared().await)).await;
    let writer = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let reader = LiveNode::start_with(shared().await, proxy.url(), &pool, &slots(&pool), Timing::default()).await;
    let mut watching = reader.watch("", None).await;
    snapshot_of(&mut watching).await;
    writer.flip("", "slots").await;
    events_up_to(&mut watching, 4).await;

    proxy.swallow(&format!("qc1:{{{pool}}}:events"));
    let reservation = writer.take("", "slots", 1).await.unwrap();
    soon("the proxy swallows the message", proxy.swallowed(1)).await;
    proxy.pass();
    writer.give_back(reservation).await;
    let seqs: Vec<u64> = events_up_to(&mut watching, 8).await.iter().map(|event| event.live.position().seq).collect();
    assert_eq!(seqs, [5, 6, 7, 8]);
    let counted = reader.hub.counts().read();
    assert!(counted.gaps >= 1 && counted.repaired >= 2, "{counted:?}");
    assert_eq!((counted.resets, counted.disconnects), (0, 0), "{counted:?}");
}

/// Nothing follows the lost message, so only the comparison with the log can find it.
#[tokio::test]
async fn the_last_message_lost_is_found_by_comparison() {
    let pool = fresh_pool("silence");
    let proxy = Proxy::before(socket(shared().await)).await;
    let timing = Timing { tail_check: Duration::from_millis(300), ..Timing::default() };
    let reader = LiveNode::start_with(shared().await, proxy.url(), &pool, &slots(&pool), timing).await;
    let mut watching = reader.watch("", None).await;
    snapshot_of(&mut watching).await;
    proxy.swallow(&format!("qc1:{{{pool}}}:events"));
    reader.take("", "slots", 1).await.unwrap();
    assert_eq!(events_up_to(&mut watching, 2).await.len(), 2);
    assert_eq!(reader.hub.counts().read().repaired, 2);
}

#[tokio::test]
async fn a_deaf_subscription_is_noticed_and_replaced() {
    let pool = fresh_pool("deaf");
    let proxy = Proxy::before(socket(shared().await)).await;
    let reader = LiveNode::start_with(shared().await, proxy.url(), &pool, &slots(&pool), Timing::default()).await;
    let mut watching = reader.watch("", None).await;
    snapshot_of(&mut watching).await;
    // Pings are answered, messages do not come: the connection itself looks healthy.
    proxy.swallow("qc1:");
    let noticed = eventually("the lost probe", || reader.hub.counts().read().probes_lost > 0).await;
    assert!(noticed <= Duration::from_millis(10_500), "{noticed:?}");
    eventually("staleness", || reader.hub.freshness().stale).await;
    reader.take("", "slots", 1).await.unwrap();
    proxy.pass();
    eventually("hearing again", || !reader.hub.freshness().stale).await;
    assert_eq!(events_up_to(&mut watching, 2).await.len(), 2);
    assert_eq!(reader.hub.counts().read().resets, 0);
}

#[tokio::test]
async fn a_deaf_node_is_not_ready_while_one_without_redis_stays_ready() {
    let server = PrivateRedis::start().await.unwrap();
    let pool = fresh_pool("ready");
    let proxy = Proxy::before(socket(&server)).await;
    let short = Duration::from_millis(200);
    let timing = Timing { probe: short, ping: short, deaf_after: short * 2, tail_check: short, ..Timing::default() };
    let node = LiveNode::start_with(&server, proxy.url(), &pool, &slots(&pool), timing).await;
    assert!(node.hub.freshness().is_ready());
    proxy.swallow("qc1:");
    eventually("unreadiness", || !node.hub.freshness().is_ready()).await;
    proxy.pass();
    eventually("readiness", || node.hub.freshness().is_ready() && !node.hub.freshness().stale).await;
    drop(server);
    eventually("staleness", || node.hub.freshness().stale).await;
    eventually("readiness without Redis", || node.hub.freshness().is_ready()).await;
    assert!(!node.hub.freshness().connected);
}

#[tokio::test]
async fn a_flushed_server_is_announced_with_a_snapshot() {
    let server = PrivateRedis::start().await.unwrap();
    let pool = fresh_pool("flush");
    let node = LiveNode::start(&server, &pool, &slots(&pool)).await;
    node.flip("w1", "seats").await;
    let mut watching = node.watch("w1", None).await;
    let (_, before) = snapshot_of(&mut watching).await;
    let mut admin = connection(&server).await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut admin).await.unwrap();
    node.take("w1", "seats", 1).await.unwrap();
    assert_eq!(reset_of(&mut watching).await, Reason::EpochChanged);
    let Delivery::Snapshot { reason, snapshot, cursor } = next(&mut watching).await else { panic!() };
    assert_eq!(reason, Reason::EpochChanged);
    assert_ne!(cursor.epoch, before.epoch);
    assert!(snapshot.usage.figures.iter().any(|figure| figure.status == CounterStatus::Exhausted && figure.held == 1));
    let mut late = node.watch("w1", Some(before)).await;
    assert_eq!(snapshot_of(&mut late).await.0, Reason::EpochChanged);
}

#[tokio::test]
async fn a_cursor_is_resumed_from_the_ring_from_the_log_or_not_at_all() {
    let pool = fresh_pool("resume");
    let node = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    node.flip("w1", "seats").await;
    let mut watching = node.watch("", None).await;
    let (_, cursor) = snapshot_of(&mut watching).await;
    drop(watching);
    node.flip("w1", "seats").await;
    node.flip("w2", "seats").await;
    eventually("the tail", || node.hub.position(&pool).unwrap().seq == 6).await;

    // The second node has an empty ring and reads the log.
    let other = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let mut resumptions = Vec::new();
    for reader in [&node, &other] {
        let mut resumed = reader.watch("w1", Some(cursor)).await;
        let Delivery::Replay { events, cursor: to, .. } = next(&mut resumed).await else { panic!() };
        let seqs: Vec<_> = events.iter().map(|event| (event.prev, event.live.position().seq)).collect();
        assert_eq!(seqs, [(2, 3), (3, 4)]);
        assert_eq!(to.seq, 6, "what is not shown is passed over");
        resumptions.push(resumed);
    }
    assert_eq!((node.hub.counts().read().ring_resumes, other.hub.counts().read().log_resumes), (1, 1));
    node.flip("w1", "seats").await;
    for resumed in &mut resumptions {
        let next = next_event(resumed).await;
        assert_eq!((next.prev, next.live.position().seq), (4, 7), "it names the last that was shown");
    }

    let mut admin = connection(shared().await).await;
    let log = format!("qc1:{{{pool}}}:log");
    let _: u64 = redis::cmd("XTRIM").arg(&log).arg("MAXLEN").arg(2).query_async(&mut admin).await.unwrap();
    let third = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let mut trimmed = third.watch("w1", Some(cursor)).await;
    assert_eq!(snapshot_of(&mut trimmed).await.0, Reason::Trimmed);
}

/// All of a pool's keys as they are now.
async fn save(admin: &mut redis::aio::MultiplexedConnection, pool: &str) -> Vec<(String, Vec<u8>)> {
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("qc1:{{{pool}}}:*")).query_async(admin).await.unwrap();
    let mut saved = Vec::new();
    for key in keys {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(admin).await.unwrap();
        saved.push((key, dump));
    }
    saved
}

/// Puts older data back at once, as a failover to a replica that lagged does.
async fn put_back(admin: &mut redis::aio::MultiplexedConnection, pool: &str, saved: &[(String, Vec<u8>)]) {
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("qc1:{{{pool}}}:*")).query_async(admin).await.unwrap();
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("DEL").arg(keys).ignore();
    for (key, dump) in saved {
        pipe.cmd("RESTORE").arg(key).arg(0).arg(dump.as_slice()).ignore();
    }
    let _: () = pipe.query_async(admin).await.unwrap();
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_announced() {
    let pool = fresh_pool("failover");
    let node = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let mut admin = connection(shared().await).await;
    node.flip("w1", "seats").await;
    let saved = save(&mut admin, pool.as_str()).await;
    let mut watching = node.watch("", None).await;
    let (_, shared_past) = snapshot_of(&mut watching).await;
    node.flip("w1", "seats").await;
    events_up_to(&mut watching, 4).await;
    let lost = watching.cursor();
    put_back(&mut admin, pool.as_str(), &saved).await;

    let other = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let mut ahead = other.watch("", Some(lost)).await;
    assert_eq!(snapshot_of(&mut ahead).await.0, Reason::AheadOfLog);

    // Other events take the place of the lost ones.
    other.flip("w2", "seats").await;
    assert_eq!(reset_of(&mut watching).await, Reason::Diverged);
    assert_eq!(snapshot_of(&mut watching).await.0, Reason::Diverged);
    let fresh = LiveNode::start(shared().await, &pool, &slots(&pool)).await;
    let mut diverged = fresh.watch("", Some(lost)).await;
    assert_eq!(snapshot_of(&mut diverged).await.0, Reason::Diverged);
    let mut replayed = fresh.watch("", Some(shared_past)).await;
    let Delivery::Replay { events, .. } = next(&mut replayed).await else { panic!() };
    assert_eq!(events.len(), 2, "who saw only the common past goes on from it");
}
