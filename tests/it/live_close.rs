//! Limits of live connections, as configured, and the codes that they close with.

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{
    redis::{fresh_pool, shared},
    web::{Socket, open, open_live},
};

#[tokio::test]
async fn one_connection_too_many_is_told_to_wait() {
    let pool = fresh_pool("room");
    let node = open_live(shared().await, &pool, "max_connections_per_key = 2").await;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut socket = Socket::to(&node, "").await;
        socket.hear_a("quota_initial").await;
        sockets.push(socket);
    }
    assert_eq!(Socket::to(&node, "").await.hear_close().await, (4100, "connection_limit".into()));

    let full = open_live(shared().await, &pool, "max_connections = 1").await;
    let mut only = Socket::to(&full, "").await;
    only.hear_a("quota_initial").await;
    match Socket::connect(&full, "", &[]).await {
        Err(Error::Http(answer)) => {
            assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "5"));
        }
        _ => panic!("a node without room refuses before the upgrade"),
    }

    let slow = open_live(shared().await, &pool, "connects_per_second = 1").await;
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(Socket::connect(&slow, "", &[]).await.is_err());
    }
    assert!(refused > 0, "twenty at once are more than two and one a second");
}

#[tokio::test]
async fn a_client_that_says_nothing_and_one_that_is_old_are_asked_to_come_again() {
    let pool = fresh_pool("times");
    let node = open_live(shared().await, &pool, "ping_interval = \"200ms\"\npong_timeout = \"200ms\"").await;
    // A client that does not read answers no ping either: nothing to wait for but time.
    let mut mute = Socket::to(&node, "").await;
    mute.hear_a("quota_initial").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(mute.hear_close().await, (4201, "pong_timeout".into()));

    let node = open_live(shared().await, &pool, "max_age = \"300ms\"").await;
    let mut old = Socket::to(&node, "").await;
    old.hear_a("quota_initial").await;
    let drain = old.hear_a("drain").await;
    assert_eq!((&drain["reason"], drain["cursor"].is_string()), (&"max_age".into(), true));
    assert_eq!(old.hear_close().await, (4204, "max_age".into()));
}

#[tokio::test]
async fn pages_of_a_configured_origin_may_connect() {
    let pool = fresh_pool("origin");
    let node = open_live(shared().await, &pool, "origins = [\"https://console.example\"]").await;
    let mut page = Socket::connect(&node, "", &[("origin", "https://console.example")]).await.unwrap();
    page.hear_a("quota_initial").await;
    let mut other = Socket::connect(&node, "", &[("origin", "https://other.example")]).await.unwrap();
    assert_eq!(other.hear_close().await.0, 4003);
}

#[tokio::test]
async fn hundreds_are_drained_one_by_one_and_miss_nothing() {
    let pool = fresh_pool("many");
    let (a, b) = (open(shared().await, &pool).await, open(shared().await, &pool).await);
    let mut sockets = Vec::new();
    for _ in 0..300 {
        let mut socket = Socket::to(&a, "").await;
        socket.hear_a("quota_initial").await;
        sockets.push(socket);
    }
    let began = tokio::time::Instant::now();
    let stopping = tokio::spawn(a.stop());
    let clients = sockets.into_iter().map(|mut socket| {
        tokio::spawn(async move {
            let cursor = socket.hear_a("drain").await["cursor"].as_str().unwrap().to_owned();
            let close = socket.hear_close().await;
            (cursor, close, began.elapsed())
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut ended = Vec::new();
    for client in clients {
        let (cursor, close, after) = client.await.unwrap();
        assert_eq!(close, (4200, "drain".into()));
        ended.push((cursor, after));
    }
    stopping.await.unwrap();
    let (first, last) = (ended.iter().map(|e| e.1).min().unwrap(), ended.iter().map(|e| e.1).max().unwrap());
    assert!(last > first + std::time::Duration::from_millis(500), "closed from {first:?} to {last:?}: not spread");

    crate::support::web::take(&b, "slots", "w1").await;
    for (cursor, _) in ended.iter().step_by(30) {
        let mut moved = Socket::to(&b, &format!("cursor={cursor}")).await;
        let initial = moved.hear_a("quota_initial").await;
        if initial["mode"] == "replay" {
            assert_eq!(moved.hear_a("quota_event").await["seq"], 1);
        } else {
            assert_eq!((&initial["reason"], &initial["data"]["status"]), (&json!("epoch_changed"), &json!("rate_limited")));
        }
    }
}
