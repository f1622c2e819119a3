//! Never leaking: what a node that died held comes back once, through whichever node is left, and
//! without any traffic.

use std::time::Duration;

use quota_coordinator::{coordinator::types::Reserve, store::Store};

use crate::support::{
    node::{Node, asks, dollars, pool_of, until},
    redis::{TestClock, changes, connection, events, fresh_pool, keys_of, shared, store, timed_store},
};

const LONG: Duration = Duration::from_secs(10);

const LIMITS: &str = r#"
[[pools.limits]]
id = "tpm"
unit = "tokens"
capacity = 100
window = "5m"

[[pools.limits]]
id = "spend"
unit = "cost_usd"
capacity = 10
period = "month"

[[pools.limits]]
id = "in-flight"
unit = "requests"
kind = "concurrency"
capacity = 5
"#;

#[tokio::test]
async fn what_a_dead_node_held_comes_back_once() {
    let id = fresh_pool("crash");
    let pool = pool_of(&id, LIMITS);
    let mut clock = TestClock::start(shared().await, &id).await;
    let costs = [("tokens", 20), ("cost_usd", dollars("2"))];
    // As with kill -9: nothing of the node goes on, and nothing is said to anybody.
    let dying = std::thread::spawn({
        let (pool, url) = (pool.clone(), shared().await);
        move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let open = runtime.block_on(async {
                let node = Node::start(timed_store(url), &pool).await;
                let mut open = Vec::new();
                for _ in 0..4 {
                    open.push(node.granted(asks(&pool.id, &[], &costs)).await);
                }
                std::mem::forget(node);
                open
            });
            runtime.shutdown_background();
            open
        }
    });
    let open = dying.join().unwrap();
    let survivor = Node::start(timed_store(shared().await), &pool).await;
    assert_eq!(survivor.figures("tpm").await, (0, 80));
    assert_eq!(survivor.figures("in-flight").await, (0, 4));

    clock.set(open[3].expires_at_us).await;
    until("places come back", LONG, async || survivor.figures("in-flight").await == (0, 0)).await;
    assert_eq!(survivor.figures("spend").await, (0, 0));
    // Tokens were probably spent: they are used, and leave with their window.
    assert_eq!(survivor.figures("tpm").await, (80, 0));

    // Once: what was opened since is not given back in their stead, however often anybody sweeps.
    let since = survivor.granted(Reserve { lease: Duration::from_secs(3600), ..asks(&id, &[], &costs) }).await;
    let other = Node::start(timed_store(shared().await), &pool).await;
    clock.pass(Duration::from_secs(120)).await;
    let store = timed_store(shared().await);
    until("nothing is due", LONG, async || store.due(&id, 10).await.unwrap().leases.is_empty()).await;
    assert_eq!(other.figures("in-flight").await, (0, 1));
    assert_eq!(other.figures("spend").await, (0, dollars("2")));
    assert_eq!(other.figures("tpm").await, (80, 20));
    other.commits(&since.reservation, &[]).await.unwrap();
    clock.set(open[3].expires_at_us - 60_000_000 + 300_000_000).await;
    assert_eq!(other.figures("tpm").await, (20, 0));
}

#[tokio::test]
async fn three_sweepers_write_each_change_of_status_once() {
    let id = fresh_pool("sweepers");
    let pool = pool_of(
        &id,
        "[[pools.limits]]\nid = \"own\"\nunit = \"requests\"\ncapacity = 2\nwindow = \"30s\"\nper = [\"workspace\"]\nwarning_at = 1.0\n\
         [[pools.limits]]\nid = \"open\"\nunit = \"requests\"\nkind = \"concurrency\"\ncapacity = 2\nper = [\"workspace\"]\nwarning_at = 1.0\n\
         [[pools.limits]]\nid = \"all\"\nunit = \"requests\"\ncapacity = 40\nperiod = \"hour\"\nwarning_at = 1.0\non_lease_end = \"charge\"\n",
    );
    let mut clock = TestClock::start(shared().await, &id).await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(timed_store(shared().await), &pool).await);
    }
    let workspaces: Vec<String> = (0..20).map(|n| format!("w{n}")).collect();
    for workspace in &workspaces {
        for node in &nodes[..2] {
            node.granted(asks(&id, &[("workspace", workspace)], &[])).await;
        }
    }
    let mut connection = connection(shared().await).await;
    assert_eq!(changes(&events(&mut connection, &id).await).len(), 42);
    // The windows turn, the leases end, the period is over; nobody asks for anything.
    let store = timed_store(shared().await);
    for time in [30, 60, 3600].map(Duration::from_secs) {
        clock.pass(time).await;
        until("all is looked at", LONG, async || {
            let due = store.due(&id, 1000).await.unwrap();
            due.leases.is_empty() && due.groups.is_empty()
        })
        .await;
    }
    let changes = changes(&events(&mut connection, &id).await);
    assert_eq!(changes.len(), 42);
    for (name, own) in changes {
        // The pool's budget was exhausted: `quota_exceeded` is its fourth status.
        let worst = if name == "/0" { 4 } else { 2 };
        assert_eq!(own, [(0, worst), (worst, 0)], "{name}");
    }
    let standing: u64 = redis::cmd("HLEN").arg(format!("qc1:{{{id}}}:standing")).query_async(&mut connection).await.unwrap();
    assert_eq!(standing, 0);
}

#[tokio::test]
async fn an_open_record_outlives_whatever_holds_units_for_it() {
    let id = fresh_pool("outage");
    let pool = pool_of(&id, LIMITS);
    let store = store(shared().await);
    let node = Node::without_sweeper(store.clone(), &pool).await;
    let request = asks(&id, &[], &[("tokens", 20), ("cost_usd", dollars("2"))]);
    let open = node.granted(request.clone()).await.reservation;
    let settled = node.granted(request).await.reservation;
    node.commits(&settled, &[]).await.unwrap();
    node.extends(&open, Duration::from_secs(60), &[]).await.unwrap();
    let mut connection = connection(shared().await).await;
    let (mut of_groups, mut of_records) = (Vec::<i64>::new(), Vec::<i64>::new());
    for key in keys_of(&mut connection, &id).await {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        match key {
            key if key.contains("}:g:") => of_groups.push(left),
            key if key.contains("}:r:") => of_records.push(left),
            _ => {}
        }
    }
    of_records.sort_unstable();
    assert_eq!((of_groups.len(), of_records.len()), (1, 2));
    assert!(of_records[1] > of_groups[0], "{of_records:?} {of_groups:?}");
    // The settled one stays for its retention after its lease (10 min and 1 min).
    assert!((650_000..=660_000).contains(&of_records[0]), "{of_records:?}");
}

#[tokio::test]
async fn entries_without_a_record_do_not_stand_in_the_way_of_others() {
    let id = fresh_pool("orphans");
    let pool = pool_of(&id, LIMITS);
    let mut clock = TestClock::start(shared().await, &id).await;
    let mut connection = connection(shared().await).await;
    let store = timed_store(shared().await);
    let open = {
        let node = Node::without_sweeper(store.clone(), &pool).await;
        node.granted(asks(&id, &[], &[("tokens", 20), ("cost_usd", 0)])).await
    };
    // Two portions of entries whose records were lost, all of them earlier.
    for n in 0..128u8 {
        let name = quota_coordinator::domain::GroupId::from_raw([n; 16]);
        let mut add = redis::cmd("ZADD");
        add.arg(format!("qc1:{{{id}}}:open")).arg(clock.now).arg(name.as_str());
        let _: u64 = add.query_async(&mut connection).await.unwrap();
    }
    clock.set(open.expires_at_us).await;
    let node = Node::start(store.clone(), &pool).await;
    until("the lease is ended", LONG, async || node.figures("in-flight").await == (0, 0)).await;
    let names = store.due(&id, 1000).await.unwrap().leases;
    assert!(names.is_empty(), "{}", names.len());
    let all = store.open(&id, 1000).await.unwrap();
    assert!(all.is_empty(), "{all:?}");
    let record = node.reservation(&open.reservation).await.unwrap();
    assert_eq!(record.state, quota_coordinator::coordinator::types::ReservationState::Expired);
}
