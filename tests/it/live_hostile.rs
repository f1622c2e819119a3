//! Clients that mean harm, or are broken: each is answered or closed with a code, and nobody else notices.

use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::support::{
    redis::{fresh_pool, shared},
    web::{Heard, Socket, keyed, open, take},
};

fn frame(payload: impl Into<Vec<u8>>, kind: Data, last: bool) -> Message {
    Message::Frame(Frame::message(payload.into(), OpCode::Data(kind), last))
}

#[tokio::test]
async fn nonsense_is_closed_with_a_code_and_others_work_on() {
    let pool = fresh_pool("hostile");
    let node = open(shared().await, &pool).await;
    let mut good = Socket::to(&node, "workspace_id=w1").await;
    good.hear_a("quota_initial").await;
    let big = "x".repeat(1 << 20);
    for (what, messages, code) in [
        ("an array", vec![Message::text("[1, 2]")], 4000),
        ("a number", vec![Message::text("7")], 4000),
        ("nothing", vec![Message::text("")], 4000),
        ("deep nesting", vec![Message::text("[".repeat(10_000))], 4000),
        ("a type that is none", vec![Message::text(r#"{"type":{}}"#)], 4000),
        ("bytes", vec![Message::binary(vec![0, 255])], 4000),
        ("1 MiB", vec![Message::text(big.clone())], 1009),
        ("invalid UTF-8", vec![frame([0xff, 0xfe, 0xfd], Data::Text, true)], 1007),
        (
            "too much in fragments",
            std::iter::once(frame("y", Data::Text, false))
                .chain((0..30).map(|_| frame("z".repeat(1000), Data::Continue, false)))
                .collect(),
            1009,
        ),
    ] {
        let mut socket = Socket::to(&node, "").await;
        socket.hear_a("quota_initial").await;
        for message in messages {
            socket.say_raw(message).await;
        }
        assert_eq!(socket.hear_close().await.0, code, "{what}");
    }

    // What is whole in the end counts, however it was cut up.
    let mut pieces = Socket::to(&node, "").await;
    pieces.hear_a("quota_initial").await;
    pieces.say_raw(frame(r#"{"type":"#, Data::Text, false)).await;
    pieces.say_raw(frame(r#""ping","n":5}"#, Data::Continue, true)).await;
    assert_eq!(pieces.hear_a("pong").await["n"], 5);

    let mut subscriber = Socket::to(&node, "").await;
    subscriber.hear_a("quota_initial").await;
    for at in 0..200 {
        let text = json!({"type": "subscribe", "subscription": format!("s{at}")}).to_string();
        subscriber.say_raw(Message::text(text)).await;
    }
    assert_eq!(subscriber.hear_close().await.0, 4101);

    let mut pinger = Socket::to(&node, "").await;
    pinger.hear_a("quota_initial").await;
    for _ in 0..2_000 {
        pinger.say_raw(Message::Ping(vec![1; 100].into())).await;
    }
    pinger.say(json!({"type": "ping", "n": 1})).await;
    assert_eq!(pinger.hear_a("pong").await["n"], 1, "pings of the protocol are answered, and harm nobody");

    take(&node, "slots", "w1").await;
    assert_eq!(good.hear_a("quota_event").await["seq"], 1);
}

#[tokio::test]
async fn a_thousand_who_do_not_say_who_they_are_leave_room_for_those_who_do() {
    let pool = fresh_pool("strangers");
    let node = keyed(shared().await, &pool).await;
    let (mut kept, mut refused) = (Vec::new(), 0);
    for _ in 0..1_000 {
        match Socket::connect(&node, "", &[]).await {
            // The most of one address; they wait for their time to run out.
            Ok(socket) if kept.len() < 20 => kept.push(socket),
            Ok(mut socket) => match socket.hear().await {
                Heard::Close(4100, _) => refused += 1,
                // A place of one whose time ran out.
                Heard::Close(4008, _) => {}
                other => panic!("{other:?}"),
            },
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 503);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 500, "{refused} of 1000 refused");
    for mut socket in kept {
        assert_eq!(socket.hear_close().await.0, 4008);
    }
    let bearer = format!("Bearer {}", crate::support::web::KEY);
    Socket::connect(&node, "", &[("authorization", &bearer)]).await.unwrap().hear_a("quota_initial").await;
}
