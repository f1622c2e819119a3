//! A node that is stopped while it works.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::http::{Cluster, OPEN};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads until the text is there.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "closed after {:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn readiness_fails_first_and_what_is_in_flight_is_answered() {
    let slow = OPEN.replace("drain_delay = \"0s\"", "drain_delay = \"2s\"");
    let mut cluster = Cluster::of(&[&slow, OPEN]).await;
    assert_eq!(cluster.get(0, "/readyz").await.status, 200);
    let stopping = cluster.nodes[0].address();

    // A request whose body is on its way: the node has said that it waits for it.
    let body = json!({"scope": {"workspace": "w1"}, "cost": {"tokens": 7}}).to_string();
    let mut in_flight = TcpStream::connect(stopping).await.unwrap();
    let head = format!(
        "POST /api/quota/reservations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    in_flight.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut in_flight, "100 Continue\r\n\r\n").await;

    let (url, client) = (format!("http://{stopping}"), cluster.client.clone());
    let stopped = tokio::spawn(cluster.nodes.remove(0).stop());
    timeout(PATIENCE, async {
        while client.get(format!("{url}/readyz")).send().await.unwrap().status() != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let during = client.post(format!("{url}/api/quota/reservations")).json(&json!({})).send().await.unwrap();
    assert_eq!(during.status(), 200, "it answers until the balancer has noticed");

    timeout(PATIENCE, async {
        while TcpStream::connect(stopping).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!stopped.is_finished(), "a request is in flight");
    in_flight.write_all(body.as_bytes()).await.unwrap();
    let answer = timeout(PATIENCE, read_until(&mut in_flight, "\"decision\":\"granted\"")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert_eq!(cluster.figures(0, "tokens-per-minute").await, (json!(0), json!(7)), "the other node knows of it");
    assert_eq!(cluster.figures(0, "in-flight").await, (json!(0), json!(2)));
}

#[tokio::test]
async fn traffic_moves_to_the_other_node_and_nothing_is_lost() {
    let mut cluster = Cluster::of(&[OPEN, OPEN]).await;
    let urls: Vec<String> = cluster.nodes.iter().map(|node| format!("http://{}/api/quota/usage", node.address())).collect();
    let (sent, mut answered) = tokio::sync::mpsc::channel::<u64>(1);
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let traffic = tokio::spawn(async move {
        for n in 0..200u64 {
            // Counted once, whichever node does it: the key is the caller's only protection.
            let body = json!({"pool": "p", "cost": {"requests": 1}, "idempotency_key": format!("use-{n}")});
            let mut node = 0;
            while !client.post(&urls[node]).json(&body).send().await.is_ok_and(|answer| answer.status() == 200) {
                node = 1;
            }
            let _ = sent.try_send(n);
        }
    });
    answered.recv().await.unwrap();
    cluster.nodes.remove(0).stop().await;
    timeout(PATIENCE, traffic).await.unwrap().unwrap();
    assert_eq!(cluster.figures(0, "requests-per-minute").await, (json!(200), json!(0)));
}
