//! Redis that hangs, dies and comes back: how soon callers are told, what they are told, and what was
//! counted in the end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quota_coordinator::{
    app::Node as Served,
    config::{Config, Environment, Format},
    coordinator::types::{Authority, CoordinatorError, Outcome},
    private_redis::PrivateRedis,
    store::{
        Store,
        health::Circuit,
        redis::{RedisSettings, RedisStore},
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    node::{Node, pool_of, until},
    proxy::{Proxy, socket},
    redis::{fresh_pool, settings},
};

const DEADLINE: Duration = Duration::from_millis(250);
/// A call that was waited for, and one's own; the rest is for a busy machine.
const SOON: Duration = Duration::from_millis(2 * 250 + 1000);
const LONG: Duration = Duration::from_secs(15);

const RPM: &str = "[[pools.limits]]\nid = \"rpm\"\nunit = \"requests\"\ncapacity = 1000\nwindow = \"1h\"\n";

fn impatient(url: &str) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(&RedisSettings { deadline: DEADLINE, ..settings(url) }).unwrap())
}

fn is_away<T>(answer: &Result<T, CoordinatorError>) -> bool {
    matches!(answer, Err(CoordinatorError::StoreUnavailable { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_before_a_server_that_hangs_is_told_soon_and_counted_exactly_afterwards() {
    let server = PrivateRedis::start().await.unwrap();
    let store = impatient(server.url());
    let node = Node::without_sweeper(store.clone(), &pool_of(&fresh_pool("crowd"), RPM)).await;
    let first = node.granted(node.asks(&[])).await.reservation;
    server.pause().await.unwrap();
    let crowd = (0..2000).map(|_| async {
        let asked = Instant::now();
        (node.reserve(node.asks(&[])).await, asked.elapsed())
    });
    let answers = futures_util::future::join_all(crowd).await;
    assert!(answers.iter().all(|(answer, _)| is_away(answer)));
    let slowest = answers.iter().map(|(_, took)| *took).max().unwrap();
    assert!(slowest < SOON, "{slowest:?}");

    until("the circuit opens", LONG, async || {
        let _ = node.reserve(node.asks(&[])).await;
        store.health()[0].circuit == Circuit::Open
    })
    .await;
    // One of them may be the try.
    let asked = Instant::now();
    for _ in 0..100 {
        assert!(is_away(&node.reserve(node.asks(&[])).await));
    }
    assert!(asked.elapsed() < 2 * DEADLINE + Duration::from_secs(1), "{:?}", asked.elapsed());

    server.resume().await.unwrap();
    until("the node works again", LONG, async || node.commits(&first, &[]).await.is_ok()).await;
    let health = &store.health()[0];
    assert_eq!((health.circuit, health.transitions[0]), (Circuit::Closed, 1), "{health:?}");
    // What was sent may have been carried out, once; the rest of the crowd was never sent.
    let (used, before) = node.figures("rpm").await;
    assert!(used == 1 && before <= 200, "{used} {before}");
    for _ in 0..20 {
        let grant = node.granted(node.asks(&[])).await;
        node.commits(&grant.reservation, &[]).await.unwrap();
    }
    assert_eq!(node.figures("rpm").await, (21, before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_holds_up_no_other_pool() {
    let server = PrivateRedis::start().await.unwrap();
    let proxy = Proxy::before(socket(&server)).await;
    let store = impatient(&proxy.url());
    let stuck = Node::without_sweeper(store.clone(), &pool_of(&fresh_pool("stuck"), RPM)).await;
    let other = Node::without_sweeper(store.clone(), &pool_of(&fresh_pool("other"), RPM)).await;
    stuck.granted(stuck.asks(&[])).await;
    other.granted(other.asks(&[])).await;
    proxy.hang(stuck.pool.as_str());
    let hanging = async {
        for _ in 0..20 {
            let asked = Instant::now();
            let answer = stuck.reserve(stuck.asks(&[])).await;
            assert!(is_away(&answer) && asked.elapsed() < SOON, "{answer:?} {:?}", asked.elapsed());
        }
    };
    let working = async {
        for _ in 0..20 {
            other.granted(other.asks(&[])).await;
        }
    };
    tokio::join!(hanging, working);
    let health = store.health();
    assert_eq!((health[0].transitions[2] >= 1, health[1].transitions[2]), (true, 0), "{health:?}");
    proxy.pass();
    until("the pool works again", LONG, async || stuck.reserve(stuck.asks(&[])).await.is_ok()).await;
    assert_eq!(other.figures("rpm").await, (0, 21));
}

#[tokio::test]
async fn a_server_that_must_not_write_is_left_and_found_again() {
    let server = PrivateRedis::start().await.unwrap();
    let node = Node::without_sweeper(impatient(server.url()), &pool_of(&fresh_pool("replica"), RPM)).await;
    let mut admin = crate::support::redis::connection(&server).await;
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg("1").query_async(&mut admin).await.unwrap();
    assert!(is_away(&node.reserve(node.asks(&[])).await));
    let _: () = redis::cmd("REPLICAOF").arg("NO").arg("ONE").query_async(&mut admin).await.unwrap();
    until("the node works again", LONG, async || node.reserve(node.asks(&[])).await.is_ok()).await;
}

const MIXED: &str = "on_store_failure = \"allow\"\n\
    [[pools.limits]]\nid = \"rpm\"\nunit = \"requests\"\ncapacity = 1000\nwindow = \"1h\"\nper = [\"workspace\"]\n\
    [[pools.limits]]\nid = \"tokens\"\nunit = \"tokens\"\ncapacity = 100000\nwindow = \"1h\"\noptional = true\n\
    [[pools.limits]]\nid = \"strict\"\nunit = \"cost_usd\"\ncapacity = 5\nperiod = \"day\"\noptional = true\non_store_failure = \"deny\"\n";

#[tokio::test]
async fn what_all_limits_allow_is_granted_by_nobody_and_counted_when_it_is_committed() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = PrivateRedis::start_on_port(port).await.unwrap();
    let pool = pool_of(&fresh_pool("allow"), MIXED);
    let node = Node::without_sweeper(impatient(server.url()), &pool).await;
    let elsewhere = Node::without_sweeper(impatient(server.url()), &pool).await;
    let asks = |costs: &[(&str, u64)]| crate::support::node::asks(&node.pool, &[("workspace", "w1")], costs);
    let grant = async |costs: &[(&str, u64)]| {
        let decision = node.decide(asks(costs)).await;
        let Outcome::Granted(grant) = decision.outcome else { panic!("denied") };
        (grant.reservation, decision.authority)
    };
    assert_eq!(grant(&[]).await.1, Authority::Redis);
    server.kill().await.unwrap();
    let mut open = Vec::new();
    for _ in 0..6 {
        let (id, authority) = grant(&[("tokens", 50)]).await;
        assert_eq!(authority, Authority::None);
        open.push(id);
    }
    // One limit that denies is enough.
    let denied = node.reserve(asks(&[("cost_usd", 1)])).await;
    assert!(is_away(&denied), "{denied:?}");
    // A settlement now is heard and counted nowhere.
    let heard = node.commits(&open[0], &[("tokens", 70)]).await.unwrap();
    assert_eq!((heard.authority, heard.skipped.len(), heard.charged.len()), (Authority::None, 3, 0));
    assert_eq!(node.releases(&open[1]).await.unwrap().authority, Authority::None);
    node.extends(&open[2], Duration::from_secs(60), &[]).await.unwrap();

    drop(server);
    let _server = PrivateRedis::start_on_port(port).await.unwrap();
    until("the store is back", LONG, async || {
        elsewhere.usage(&node.pool, &quota_coordinator::domain::Scope::default(), None, 10).await.is_ok()
            && elsewhere.check(asks(&[]).ask).await.is_ok()
    })
    .await;
    // Any node counts it, once, at the true cost.
    let first = elsewhere.commits(&open[0], &[("tokens", 70)]).await.unwrap();
    assert_eq!((first.authority, first.replayed, first.reservation == open[0]), (Authority::Redis, false, true));
    assert!(elsewhere.commits(&open[0], &[("tokens", 70)]).await.unwrap().replayed);
    let other = elsewhere.commits(&open[0], &[("tokens", 71)]).await;
    assert!(matches!(other, Err(CoordinatorError::AlreadySettled)), "{other:?}");
    let released = elsewhere.releases(&open[0]).await;
    assert!(matches!(released, Err(CoordinatorError::AlreadySettled)), "{released:?}");
    elsewhere.releases(&open[1]).await.unwrap();
    let late = elsewhere.commits(&open[1], &[]).await;
    assert!(matches!(late, Err(CoordinatorError::AlreadyReleased)), "{late:?}");
    elsewhere.commits(&open[2], &[]).await.unwrap();
    assert_eq!((elsewhere.figures("rpm").await, elsewhere.figures("tokens").await), ((2, 0), (120, 0)));
}

async fn serve(server: &PrivateRedis, pools: &str) -> Served {
    let url = server.url();
    let text = format!("{pools}\n[redis]\nurl = \"{url}\"\n[auth]\nmode = \"none\"\n[server]\nshutdown_grace = \"1s\"\n");
    let config = Config::parse("test.toml", Format::Toml, &text, &Environment::default()).unwrap();
    Served::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), &config, Duration::from_secs(5)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_it_is_a_problem_or_a_grant_and_metrics_tell() {
    let server = PrivateRedis::start().await.unwrap();
    let node = serve(&server, &format!("[[pools]]\nid = \"careful\"\n{RPM}[[pools]]\nid = \"open\"\n{MIXED}")).await;
    let client = reqwest::Client::new();
    let base = format!("http://{}", node.address());
    let reserve = async |pool: &str| {
        let body = json!({"pool": pool, "scope": {"workspace": "w1"}});
        client.post(format!("{base}/api/quota/reservations")).json(&body).send().await.unwrap()
    };
    server.pause().await.unwrap();
    let asked = Instant::now();
    let refused = reserve("careful").await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["code"], "store_unavailable");
    let granted: Value = reserve("open").await.json().await.unwrap();
    assert_eq!((&granted["decision"], &granted["authority"]), (&json!("granted"), &json!("none")), "{granted}");
    let id = granted["reservation"].as_str().unwrap();
    let commit = client.post(format!("{base}/api/quota/reservations/{id}/commit")).send().await.unwrap();
    assert_eq!(commit.status(), 202);
    let ready: Value = client.get(format!("{base}/readyz")).send().await.unwrap().json().await.unwrap();
    assert_eq!(ready["status"], "degraded");
    until("the metrics tell", LONG, async || {
        reserve("careful").await;
        let metrics = client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
        metrics.lines().any(|line| line.starts_with("quota_store_breaker_state") && line.ends_with(" 2"))
            && metrics.contains("quota_store_breaker_transitions_total{")
            && metrics.lines().any(|line| line.starts_with("quota_decisions_total") && line.contains("allowed"))
    })
    .await;
    server.resume().await.unwrap();
    until("both pools work again", LONG, async || {
        let (careful, open) = (reserve("careful").await, reserve("open").await);
        let open: Value = open.json().await.unwrap();
        careful.status() == 200 && open["authority"] == "redis"
    })
    .await;
    node.stop().await;
}
