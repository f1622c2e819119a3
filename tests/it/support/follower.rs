//! Subscribers that lose their connection again and again and go on from their cursor, as the public contract
//! asks of a client. Each checks on the spot that what it gets continues what it has.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use quota_coordinator::domain::{PoolId, Position};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::{
    eventually::LONG,
    web::{Heard, Socket},
};

/// Something that is followed, and what came of it.
pub struct Followed {
    pub pool: PoolId,
    /// Empty for the whole pool.
    pub workspace: &'static str,
    /// Where the snapshot was that it began with.
    pub begun: Option<Position>,
    /// Where to go on.
    pub cursor: Option<Position>,
    /// Places of the events that came.
    pub got: Vec<Position>,
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} up to {:?}", self.pool, self.workspace, self.cursor.map(|cursor| cursor.seq))
    }
}

/// What one subscriber has, and how it got it.
#[derive(Debug)]
pub struct Story {
    pub followed: Vec<Followed>,
    pub connections: u32,
    /// Closes by their code; 0 is a connection that was cut.
    pub closes: BTreeMap<u16, u32>,
    /// Connections that were refused: no node could be reached.
    pub refused: u32,
}

pub type Shared = Arc<Mutex<Story>>;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    WebSocket,
    Stream,
}

/// Starts a subscriber that is dropped after a random number of messages from a range. It lives as long as the
/// test's runtime.
pub fn follow(address: SocketAddr, way: Way, what: &[(PoolId, &'static str)], drops: Range<u32>, seed: u64) -> Shared {
    assert!(way == Way::WebSocket || what.len() == 1, "a stream has one subscription");
    let of = |(pool, workspace): &(PoolId, &'static str)| Followed {
        pool: pool.clone(),
        workspace,
        begun: None,
        cursor: None,
        got: Vec::new(),
    };
    let story = Story { followed: what.iter().map(of).collect(), connections: 0, closes: BTreeMap::new(), refused: 0 };
    let shared = Arc::new(Mutex::new(story));
    let own = shared.clone();
    let mut random = StdRng::seed_from_u64(seed);
    tokio::spawn(async move {
        loop {
            let patience = random.random_range(drops.clone());
            let reached = match way {
                Way::WebSocket => over_a_socket(address, &own, patience).await,
                Way::Stream => over_a_stream(address, &own, patience).await,
            };
            if !reached {
                own.lock().unwrap().refused += 1;
                tokio::time::sleep(Duration::from_millis(random.random_range(20..100))).await;
            }
        }
    });
    shared
}

impl Story {
    fn query(&self, at: usize) -> String {
        let Followed { pool, workspace, cursor, .. } = &self.followed[at];
        let mut query = format!("pool={pool}");
        if !workspace.is_empty() {
            query.push_str(&format!("&workspace_id={workspace}"));
        }
        if let Some(cursor) = cursor {
            query.push_str(&format!("&cursor={}", cursor.to_cursor()));
        }
        query
    }

    /// Takes one message, and checks it.
    fn take(&mut self, message: &Value) {
        let at = message["subscription"].as_str().map_or(0, |name| name[1..].parse().unwrap());
        let followed = &mut self.followed[at];
        let cursor = || Position::from_cursor(message["cursor"].as_str().unwrap()).unwrap();
        match message["type"].as_str().unwrap() {
            "quota_initial" => match followed.cursor {
                None => {
                    assert_eq!((&message["mode"], &message["reason"]), (&json!("snapshot"), &json!("no_cursor")));
                    (followed.begun, followed.cursor) = (Some(cursor()), Some(cursor()));
                }
                Some(known) => {
                    assert_eq!(message["mode"], "replay", "not resumed at {known:?}: {} {message}", message["reason"]);
                    assert_eq!(cursor(), known);
                }
            },
            "quota_event" => {
                let (known, place) = (followed.cursor.unwrap(), cursor());
                assert_eq!(place.seq, message["seq"].as_u64().unwrap());
                assert!(place.seq > known.seq && place.epoch == known.epoch, "{place:?} came after {known:?}");
                let before = message["prev"].as_u64().unwrap();
                assert!(before <= known.seq, "what came before it is missing: {message} after {known:?}");
                followed.cursor = Some(place);
                followed.got.push(place);
            }
            "quota_update" => {
                let (known, place) = (followed.cursor.unwrap(), cursor());
                assert!(place.seq >= known.seq && place.epoch == known.epoch, "{place:?} came after {known:?}");
                followed.cursor = Some(place);
            }
            "drain" | "ping" => {}
            other => panic!("{other}: {message}"),
        }
    }

    fn closed(&mut self, code: u16) {
        *self.closes.entry(code).or_default() += 1;
    }
}

/// One connection, until it is dropped or ends; false when there was none.
async fn over_a_socket(address: SocketAddr, shared: &Shared, patience: u32) -> bool {
    let query = shared.lock().unwrap().query(0);
    let mut socket = match Socket::at(address, &query, &[]).await {
        Ok(socket) => socket,
        Err(Error::Http(answer)) => {
            assert!(matches!(answer.status().as_u16(), 502..=504), "{answer:?}");
            return false;
        }
        Err(_) => return false,
    };
    let others: Vec<Value> = {
        let mut story = shared.lock().unwrap();
        story.connections += 1;
        let subscribe = |at: usize| {
            let Followed { pool, workspace, cursor, .. } = &story.followed[at];
            let workspace = (!workspace.is_empty()).then_some(*workspace);
            let cursor = cursor.map(Position::to_cursor);
            json!({"type": "subscribe", "subscription": format!("s{at}"), "pool": pool.as_str(), "workspace_id": workspace, "cursor": cursor})
        };
        (1..story.followed.len()).map(subscribe).collect()
    };
    for other in others {
        socket.say_raw(other.to_string().into()).await;
    }
    for _ in 0..patience {
        match socket.hear_within(LONG).await {
            // A node that has not caught up with Redis yet says so, and closes with 4102.
            Some(Heard::Text(text)) if text["type"] == "error" => assert_eq!(text["problem"]["status"], 503, "{text}"),
            Some(Heard::Text(text)) => shared.lock().unwrap().take(&text),
            Some(Heard::Close(code, reason)) => {
                assert!(matches!(code, 4102 | 4200), "{code} {reason}");
                shared.lock().unwrap().closed(code);
                return code != 4102;
            }
            Some(Heard::Cut) => {
                shared.lock().unwrap().closed(0);
                return true;
            }
            None => return true,
        }
    }
    true
}

/// As [`over_a_socket`], by server-sent events.
async fn over_a_stream(address: SocketAddr, shared: &Shared, patience: u32) -> bool {
    let (query, last) = {
        let story = shared.lock().unwrap();
        (story.query(0), story.followed[0].cursor)
    };
    let mut request = reqwest::Client::new().get(format!("http://{address}/api/quota/events/stream?{query}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_cursor());
    }
    let Ok(mut answer) = request.send().await else { return false };
    if answer.status() != 200 {
        assert!(matches!(answer.status().as_u16(), 502..=504), "{answer:?}");
        return false;
    }
    shared.lock().unwrap().connections += 1;
    let (mut text, mut left) = (Vec::new(), patience);
    while left > 0 {
        match tokio::time::timeout(LONG, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => text.extend_from_slice(&chunk),
            Ok(Ok(None) | Err(_)) => {
                shared.lock().unwrap().closed(0);
                return true;
            }
            Err(_) => return true,
        }
        while let (Some(end), true) = (text.windows(2).position(|pair| pair == b"\n\n"), left > 0) {
            let block: Vec<u8> = text.drain(..end + 2).collect();
            let block = String::from_utf8(block).unwrap();
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            let Some(data) = field("data: ") else { continue };
            let message: Value = serde_json::from_str(data).unwrap();
            assert_eq!((field("event: "), field("id: ")), (message["type"].as_str(), message["cursor"].as_str()), "{block}");
            shared.lock().unwrap().take(&message);
            left -= 1;
        }
    }
    true
}
