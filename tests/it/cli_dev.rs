//! `dev` and `serve` as processes: they answer, they stop, and they leave nothing behind.

use std::net::TcpListener;

use quota_coordinator::private_redis::PrivateRedis;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::process::{Running, gone, program};

/// A port that is free, and so is the next.
fn two_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port.checked_add(1).is_some_and(|next| TcpListener::bind(("127.0.0.1", next)).is_ok()) {
            return port;
        }
    }
}

/// `dev` with two nodes: the process, its processes, its addresses and its key.
async fn dev() -> (Running, Vec<u32>, Vec<String>, String) {
    let mut dev = Running::start(&["dev", "--port", &two_ports().to_string(), "--traffic", "50"], &[]);
    let said = dev.says("Ctrl-C ends all of it.").await;
    let after = |text: &str| -> Vec<String> {
        said.iter().filter_map(|line| line.trim().strip_prefix(text)).map(str::to_owned).collect()
    };
    let addresses: Vec<String> =
        after("http://").iter().map(|rest| format!("http://{}", rest.trim_end_matches("/docs"))).collect();
    let key = after("key (all roles): ").remove(0);
    let family = dev.family();
    assert!(family.iter().any(|pid| program(*pid).is_some_and(|name| name.contains("redis-server") || name.contains("valkey"))));
    (dev, family, addresses, key)
}

#[tokio::test]
async fn dev_runs_two_nodes_and_ends_with_all_of_it() {
    let (mut dev, family, addresses, key) = dev().await;
    assert_eq!(addresses.len(), 2);
    let client = Client::new();
    for address in &addresses {
        assert_eq!(client.get(format!("{address}/readyz")).send().await.unwrap().status(), 200);
        assert_eq!(client.get(format!("{address}/docs")).send().await.unwrap().status(), 200);
        assert_eq!(client.get(format!("{address}/api/quota/usage")).send().await.unwrap().status(), 401);
    }
    let ask = json!({"scope": {"workspace": "only-here"}, "lease_ms": 60_000});
    let reserve = client.post(format!("{}/api/quota/reservations", addresses[0])).bearer_auth(&key).json(&ask);
    let granted: Value = reserve.send().await.unwrap().json().await.unwrap();
    assert_eq!(granted["decision"], "granted", "{granted:#}");
    let list = client.get(format!("{}/api/quota/reservations?workspace_id=only-here", addresses[1])).bearer_auth(&key);
    let listed: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["reservations"][0]["reservation"], granted["reservation"]);

    dev.signal("TERM");
    assert_eq!(dev.code().await, Some(0));
    gone(&family).await;
}

#[tokio::test]
async fn a_killed_dev_leaves_no_redis_behind() {
    let (mut dev, family, ..) = dev().await;
    dev.signal("KILL");
    assert_eq!(dev.code().await, None);
    gone(&family).await;
}

#[tokio::test]
async fn serve_stops_when_it_is_told_to() {
    let redis = PrivateRedis::start().await.unwrap();
    let port = two_ports().to_string();
    let listen = format!("127.0.0.1:{port}");
    let env = [
        ("QUOTA__AUTH__MODE", "none"),
        ("QUOTA__SERVER__LISTEN", listen.as_str()),
        ("QUOTA__SERVER__DRAIN_DELAY", "0s"),
        ("QUOTA__REDIS__URL", redis.url()),
        ("QUOTA__LOG__FORMAT", "json"),
    ];
    for signal in ["TERM", "INT"] {
        let mut serve = Running::start(&["serve"], &env);
        let client = Client::new();
        let ready = async {
            while client.get(format!("http://{listen}/readyz")).send().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), ready).await.unwrap();
        serve.signal(signal);
        assert_eq!(serve.code().await, Some(0), "{signal}");
    }
}
