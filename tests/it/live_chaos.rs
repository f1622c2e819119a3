//! Every change of status reaches every subscriber, whatever is killed meanwhile: three nodes behind a real nginx.

use std::{io::Write, time::Duration};

use quota_coordinator::{domain::PoolId, private_redis::PrivateRedis};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::support::{
    eventually::{LONG, eventually, eventually_within},
    fleet::Fleet,
    follower::{Followed, Shared, Way, follow},
    ledger::Ledger,
    live::{LiveNode, slots},
    nginx::Nginx,
    redis::fresh_pool,
};

/// Changes of status, of all pools together.
const CHANGES: u64 = 10_000;
/// Nodes that are killed at the least while they come.
const KILLS: u32 = 5;
/// How far the slowest subscriber may be behind. A log keeps 1,000 events: nobody may need more.
const BEHIND: u64 = 400;
/// What decides who is dropped and killed when.
const SEED: u64 = 0x5eed;

const WORKSPACES: [&str; 10] = ["w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9"];

#[ignore = "wants the machine for itself: make chaos"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_gets_the_whole_log_whoever_is_killed() {
    let server = PrivateRedis::start().await.unwrap();
    let pools: Vec<PoolId> = (0..4).map(|_| fresh_pool("chaos")).collect();
    let tables: String = pools.iter().map(slots).collect();
    let mut writers = Vec::new();
    for pool in &pools {
        let writer = LiveNode::start(&server, pool, &tables).await;
        // A pool that nobody has written to has no log, and so no place to come back to.
        writer.flip("w0", "slots").await;
        writers.push(writer);
    }
    let ledger = Ledger::open(&server, &pools).await;
    let mut fleet = Fleet::start(&server, &tables, 3).await;
    let nginx = Nginx::before(&fleet.addresses()).await;
    let stories = subscribers(&nginx, &pools);
    let _report = Report(&stories);
    eventually("everybody's snapshot", || all(&stories, |followed| followed.begun.is_some())).await;

    let killed = std::sync::atomic::AtomicU32::new(0);
    let enough = || killed.load(std::sync::atomic::Ordering::Relaxed) >= KILLS;
    let writing = futures_util::future::join_all(
        writers.iter().enumerate().map(|(at, writer)| write(writer, &ledger, &stories, SEED + at as u64, enough)),
    );
    let killing = async {
        let mut random = StdRng::seed_from_u64(SEED);
        let served = || pools.iter().map(|pool| slowest(&stories, pool)).sum::<u64>();
        loop {
            // Not before everybody is served again: an nginx that has found every node dead asks none for ten seconds.
            let next = served() + random.random_range(600..1500);
            eventually_within(3 * LONG, "changes between two kills", || served() >= next).await;
            let victim = random.random_range(0..3);
            let second = random.random_bool(0.25).then_some((victim + 1) % 3);
            for node in [Some(victim), second].into_iter().flatten() {
                fleet.fell(node, if random.random_bool(0.7) { "KILL" } else { "TERM" }).await;
                killed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            sleep(Duration::from_millis(random.random_range(0..300))).await;
            for node in [Some(victim), second].into_iter().flatten() {
                fleet.raise(node).await;
            }
        }
    };
    tokio::select! {
        _ = writing => {}
        () = killing => {}
    }

    // The last change of each pool concerns everybody.
    // Read anew each time: a writer's own hub may hear of its last changes later than the log has them.
    let top = |pool: &PoolId| {
        let writer = writers.iter().find(|writer| writer.pool == *pool).unwrap();
        writer.hub.position(pool).unwrap().seq
    };
    // Longer than other waits: whoever was dropped last comes back with growing pauses, beside all other tests.
    eventually_within(3 * LONG, "the whole log on every side", || {
        pools.iter().all(|pool| ledger.top(pool) == top(pool))
            && all(&stories, |followed| followed.got.last().is_some_and(|last| last.seq >= top(&followed.pool)))
    })
    .await;
    let (mut connections, mut cut) = (0, 0);
    for story in &stories {
        let story = story.lock().unwrap();
        for followed in &story.followed {
            let (pool, begun) = (&followed.pool, followed.begun.unwrap().seq);
            assert!(followed.got == ledger.places(pool, followed.workspace, begun), "{pool} {}", followed.workspace);
        }
        connections += story.connections;
        cut += story.closes.values().sum::<u32>();
        assert!(story.connections > 3, "a subscriber was hardly dropped");
    }
    let changes: u64 = pools.iter().map(top).sum();
    println!("{changes} changes, {} kills, {connections} connections, of which {cut} ended by a node", killed.into_inner());
    assert!(changes >= CHANGES && cut > 0);
}

/// Tells how everybody fared when the test fails.
struct Report<'a>(&'a [Shared]);

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for story in self.0 {
                let story = story.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let _ = writeln!(std::io::stderr(), "{story:?}");
            }
        }
    }
}

/// Whole pools, one workspace, several on one connection; by WebSocket and as a stream.
fn subscribers(nginx: &Nginx, pools: &[PoolId]) -> Vec<Shared> {
    let mut seed = SEED;
    let mut start = |way, what: &[(PoolId, &'static str)]| {
        seed += 1;
        follow(nginx.address(), way, what, 10..150, seed)
    };
    let mut stories = Vec::new();
    for pool in pools {
        stories.push(start(Way::WebSocket, &[(pool.clone(), "")]));
        stories.push(start(Way::WebSocket, &[(pool.clone(), "w3")]));
        stories.push(start(Way::Stream, &[(pool.clone(), "")]));
        stories.push(start(Way::Stream, &[(pool.clone(), "w5")]));
    }
    let everything: Vec<_> = pools.iter().map(|pool| (pool.clone(), "")).collect();
    let mine: Vec<_> = pools.iter().map(|pool| (pool.clone(), "w1")).collect();
    stories.extend([start(Way::WebSocket, &everything), start(Way::WebSocket, &mine)]);
    stories
}

fn all(stories: &[Shared], holds: impl Fn(&Followed) -> bool) -> bool {
    stories.iter().all(|story| story.lock().unwrap().followed.iter().all(&holds))
}

/// The seq that everybody who follows a pool has reached.
fn slowest(stories: &[Shared], pool: &PoolId) -> u64 {
    let reached = |story: &Shared| {
        let story = story.lock().unwrap();
        let own = story.followed.iter().filter(|followed| followed.pool == *pool);
        own.filter_map(|followed| Some(followed.cursor?.seq)).min()
    };
    stories.iter().filter_map(reached).min().unwrap_or(0)
}

/// A pool's part of the changes, never so fast that the log forgets what somebody still needs.
async fn write(writer: &LiveNode, ledger: &Ledger, stories: &[Shared], seed: u64, enough: impl Fn() -> bool) {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let top = ledger.top(&writer.pool);
        if top >= CHANGES / 4 && enough() {
            return;
        }
        eventually_within(3 * LONG, "the slowest subscriber", || {
            slowest(stories, &writer.pool) + BEHIND > ledger.top(&writer.pool)
        })
        .await;
        let busy = random.random_range(1..=WORKSPACES.len());
        futures_util::future::join_all(WORKSPACES[..busy].iter().map(|workspace| writer.flip(workspace, "seats"))).await;
        writer.flip(WORKSPACES[random.random_range(0..WORKSPACES.len())], "slots").await;
    }
}
