//! The WebSocket as its clients see it.

use quota_coordinator::private_redis::PrivateRedis;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{
    redis::{connection, fresh_pool, shared},
    web::{Heard, KEY, Socket, get, give_back, keyed, open, post, take},
};

#[tokio::test]
async fn a_write_on_one_node_reaches_the_sockets_of_the_other() {
    let pool = fresh_pool("ws");
    let (a, b) = (open(shared().await, &pool).await, open(shared().await, &pool).await);
    let mut socket = Socket::to(&b, &format!("pool={pool}&workspace_id=w1")).await;
    let Heard::Text(initial) = socket.hear().await else { panic!() };
    assert_eq!(
        (&initial["type"], &initial["mode"], &initial["reason"]),
        (&"quota_initial".into(), &"snapshot".into(), &"no_cursor".into())
    );
    assert_eq!(
        (&initial["success"], &initial["pool"], &initial["workspace_id"]),
        (&true.into(), &pool.as_str().into(), &"w1".into())
    );
    assert_eq!((&initial["data"]["status"], &initial["data"]["can_make_request"]), (&"normal".into(), &true.into()));
    assert!(initial["cursor"].is_string() && initial["timestamp"].is_string());

    let reservation = take(&a, "slots", "w1").await;
    let counter = socket.hear_a("quota_event").await;
    assert_eq!(
        (&counter["limit"], &counter["from"], &counter["to"]),
        (&"one-at-a-time".into(), &"normal".into(), &"exhausted".into())
    );
    assert_eq!(
        (&counter["prev"], &counter["seq"], &counter["cause"], &counter["scope"]),
        (&0.into(), &1.into(), &"reserve".into(), &json!({}))
    );
    assert_eq!(counter["status"], "rate_limited", "one call made both events: the first tells the status after both");
    let of_pool = socket.hear_a("quota_event").await;
    assert_eq!(
        (&of_pool["limit"], &of_pool["to"], &of_pool["status"]),
        (&json!(null), &"rate_limited".into(), &"rate_limited".into())
    );
    let update = socket.hear_a("quota_update").await;
    assert_eq!((&update["data"]["status"], &update["cursor"]), (&"rate_limited".into(), &of_pool["cursor"]));

    // Who comes again goes on where it was, through any node.
    let cursor = of_pool["cursor"].as_str().unwrap();
    drop(socket);
    give_back(&a, &reservation).await;
    let mut again = Socket::to(&a, &format!("pool={pool}&workspace_id=w1&cursor={cursor}")).await;
    let initial = again.hear_a("quota_initial").await;
    assert_eq!((&initial["mode"], &initial["cursor"]), (&"replay".into(), &cursor.into()));
    let missed = again.hear_a("quota_event").await;
    assert_eq!((&missed["prev"], &missed["seq"], &missed["to"]), (&2.into(), &3.into(), &"normal".into()));

    let (status, list) = get(&b, &format!("/api/quota/events?pool={pool}&limit=3")).await;
    assert_eq!((status, list["events"].as_array().unwrap().len(), &list["has_more"]), (200, 3, &true.into()));
    let next = list["cursor"].as_str().unwrap();
    let (_, rest) = get(&b, &format!("/api/quota/events?pool={pool}&cursor={next}")).await;
    assert_eq!((&rest["events"][0]["seq"], &rest["has_more"]), (&4.into(), &false.into()));
}

/// Clients that were written before this system name no subprotocol, send no pong, and know three messages.
#[tokio::test]
async fn old_clients_work_unchanged() {
    let pool = fresh_pool("old");
    let node = open(shared().await, &pool).await;
    let mut socket = Socket::to(&node, "").await;
    assert!(matches!(socket.hear().await, Heard::Text(first) if first["type"] == "quota_initial"));
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.hear_a("pong").await, json!({"type": "pong"}));
    socket.say(json!({"type": "request_status"})).await;
    assert_eq!(socket.hear_a("quota_update").await["data"]["status"], "normal");
    socket.say(json!({"type": "of_another_time"})).await;
    socket.say(json!({"type": "ping", "n": 7})).await;
    assert_eq!(socket.hear_a("pong").await["n"], 7);
}

#[tokio::test]
async fn one_connection_follows_several() {
    let pool = fresh_pool("several");
    let node = open(shared().await, &pool).await;
    let mut socket = Socket::to(&node, "workspace_id=w1").await;
    socket.hear_a("quota_initial").await;
    socket.say(json!({"type": "subscribe", "id": 5, "subscription": "s2", "workspace_id": "w2"})).await;
    let second = socket.hear_a("quota_initial").await;
    assert_eq!((&second["id"], &second["subscription"], &second["workspace_id"]), (&5.into(), &"s2".into(), &"w2".into()));
    let reservation = take(&node, "seats", "w2").await;
    let event = socket.hear_a("quota_event").await;
    assert_eq!(
        (&event["subscription"], &event["scope"], &event["status"]),
        (&"s2".into(), &json!({"workspace": "w2"}), &"rate_limited".into())
    );
    socket.say(json!({"type": "unsubscribe", "id": 6, "subscription": "s2"})).await;
    assert_eq!(socket.hear_a("unsubscribed").await["id"], 6);
    give_back(&node, &reservation).await;
    take(&node, "seats", "w1").await;
    let own = socket.hear_a("quota_event").await;
    assert_eq!((&own["scope"], own.get("subscription")), (&json!({"workspace": "w1"}), None));
    for (message, code) in [
        (json!({"type": "subscribe", "id": 7, "subscription": "s3", "pool": "none-such"}), "unknown_pool"),
        (json!({"type": "subscribe", "id": 7, "subscription": "\"", "pool": "p"}), "validation"),
        (json!({"type": "unsubscribe", "id": 7, "subscription": "s9"}), "validation"),
        (json!({"type": "subscribe", "id": 7}), "validation"),
    ] {
        socket.say(message).await;
        let error = socket.hear_a("error").await;
        assert_eq!((&error["id"], &error["fatal"], &error["problem"]["code"]), (&7.into(), &false.into(), &code.into()));
    }
}

#[tokio::test]
async fn a_client_says_who_it_is_in_a_header_a_message_or_a_ticket() {
    let pool = fresh_pool("keys");
    let (node, other) = (keyed(shared().await, &pool).await, keyed(shared().await, &pool).await);
    let bearer = format!("Bearer {KEY}");
    let mut header = Socket::connect(&node, "", &[("authorization", &bearer)]).await.unwrap();
    header.hear_a("quota_initial").await;
    match Socket::connect(&node, "", &[("authorization", "Bearer wrong")]).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 401),
        _ => panic!("a wrong key in a header is refused before the upgrade"),
    }

    let mut message = Socket::to(&node, "").await;
    message.say(json!({"type": "authenticate", "id": 1, "token": KEY})).await;
    assert_eq!(message.hear_a("authenticated").await["id"], 1);
    message.hear_a("quota_initial").await;
    let mut wrong = Socket::to(&node, "").await;
    wrong.say(json!({"type": "authenticate", "token": "wrong"})).await;
    assert_eq!(wrong.hear_a("error").await["problem"]["code"], "unauthorized");
    assert_eq!(wrong.hear_close().await.0, 4001);
    let mut hasty = Socket::to(&node, "").await;
    hasty.say(json!({"type": "request_status"})).await;
    assert_eq!(hasty.hear_close().await.0, 4001);
    let mut silent = Socket::to(&node, "").await;
    let mut long = Socket::to(&node, "").await;
    long.say(json!({"type": "authenticate", "token": "x".repeat(5000)})).await;
    assert_eq!(long.hear_close().await.0, 1009);

    let ticket = post(&node, "/api/quota/ws-tickets", &json!({})).await["ticket"].as_str().unwrap().to_owned();
    let mut ticketed = Socket::to(&other, &format!("ticket={ticket}")).await;
    ticketed.hear_a("quota_initial").await;
    assert!(matches!(Socket::connect(&node, &format!("ticket={ticket}"), &[]).await, Err(Error::Http(_))), "good once");
    let ticket = post(&node, "/api/quota/ws-tickets", &json!({})).await["ticket"].as_str().unwrap().to_owned();
    let own = format!("http://{}", node.address());
    let elsewhere = Socket::connect(&node, &format!("ticket={ticket}"), &[("origin", &own)]).await;
    assert!(matches!(elsewhere, Err(Error::Http(_))), "bound to its origin");
    assert_eq!(silent.hear_close().await, (4008, "authenticate_timeout".into()));
}

#[tokio::test]
async fn what_may_not_be_is_closed_with_the_code_that_tells_what_to_do() {
    let pool = fresh_pool("codes");
    let node = open(shared().await, &pool).await;
    let mut foreign = Socket::connect(&node, "", &[("origin", "https://evil.example")]).await.unwrap();
    assert_eq!(foreign.hear_a("error").await["fatal"], true);
    assert_eq!(foreign.hear_close().await.0, 4003);
    let own = format!("http://{}", node.address());
    Socket::connect(&node, "", &[("origin", &own)]).await.unwrap().hear_a("quota_initial").await;
    assert_eq!(Socket::to(&node, "pool=none-such").await.hear_close().await.0, 4004);
    assert_eq!(Socket::to(&node, "poool=x").await.hear_close().await.0, 4000);
    for (message, code) in
        [(Message::binary(vec![1]), 4000), (Message::text("no json"), 4000), (Message::text("x".repeat(20 << 10)), 1009)]
    {
        let mut socket = Socket::to(&node, "").await;
        socket.hear_a("quota_initial").await;
        socket.say_raw(message).await;
        assert_eq!(socket.hear_close().await.0, code);
    }
    let mut flood = Socket::to(&node, "").await;
    flood.hear_a("quota_initial").await;
    for _ in 0..60 {
        flood.say_raw(Message::text(r#"{"type":"pong"}"#)).await;
    }
    assert_eq!(flood.hear_close().await, (4101, "command_rate".into()));
}

#[tokio::test]
async fn a_flushed_store_is_a_reset_and_a_snapshot_on_the_same_connection() {
    let server = PrivateRedis::start().await.unwrap();
    let pool = fresh_pool("wsflush");
    let node = open(&server, &pool).await;
    let reservation = take(&node, "slots", "w1").await;
    give_back(&node, &reservation).await;
    let mut socket = Socket::to(&node, "").await;
    let before = socket.hear_a("quota_initial").await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection(&server).await).await.unwrap();
    take(&node, "slots", "w1").await;
    assert_eq!(socket.hear_a("reset").await["reason"], "epoch_changed");
    let after = socket.hear_a("quota_initial").await;
    assert_eq!((&after["reason"], &after["data"]["status"]), (&"epoch_changed".into(), &"rate_limited".into()));
    let cursor = before["cursor"].as_str().unwrap();
    let (status, problem) = get(&node, &format!("/api/quota/events?cursor={cursor}")).await;
    assert_eq!((status, &problem["code"]), (410, &"cursor_expired".into()));
}

#[tokio::test]
async fn a_node_that_stops_tells_its_clients_where_to_go_on() {
    let pool = fresh_pool("wsdrain");
    let (a, b) = (open(shared().await, &pool).await, open(shared().await, &pool).await);
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::to(&a, "").await;
        socket.hear_a("quota_initial").await;
        sockets.push(socket);
    }
    let stopping = tokio::spawn(a.stop());
    for mut socket in sockets {
        let drain = socket.hear_a("drain").await;
        assert_eq!(drain["reason"], "shutdown");
        let cursor = drain["cursor"].as_str().unwrap().to_owned();
        assert_eq!(socket.hear_close().await, (4200, "drain".into()));
        let mut moved = Socket::to(&b, &format!("cursor={cursor}")).await;
        assert_ne!(moved.hear_a("quota_initial").await["cursor"], json!(null));
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn events_are_streamed_to_browsers_and_resumed_by_their_last_id() {
    let pool = fresh_pool("sse");
    let node = open(shared().await, &pool).await;
    // A pool that nobody has written to has no log, and so no place to come back to.
    let reservation = take(&node, "seats", "w1").await;
    give_back(&node, &reservation).await;
    let url = format!("http://{}/api/quota/events/stream?pool={pool}", node.address());
    let read = async |mut answer: reqwest::Response, until: &str| {
        let mut text = String::new();
        while !text.contains(until) {
            text.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
        }
        text
    };
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["x-accel-buffering"], "no", "a proxy passes each event on at once");
    let reservation = take(&node, "slots", "w1").await;
    let text = read(answer, "\"seq\":4,").await;
    assert!(text.contains("event: quota_initial") && text.contains("event: quota_event") && text.contains("retry: "), "{text}");
    // The first id is the snapshot's.
    let id = text.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    give_back(&node, &reservation).await;
    let answer = reqwest::Client::new().get(&url).header("last-event-id", id.trim()).send().await.unwrap();
    let text = read(answer, "\"seq\":6,").await;
    assert!(text.contains("\"mode\":\"replay\"") && text.contains("\"seq\":3,"), "{text}");
}
