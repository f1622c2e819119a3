//! The connection against nodes that do what the test says.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message as Frame,
        handshake::server::{Request, Response},
        protocol::CloseFrame,
    },
};

use crate::cli::watch::{
    link::{Link, Signal},
    message::Message,
    resume::Resume,
};

const LONG: Duration = Duration::from_secs(20);

/// A node.
struct Node(TcpListener);

/// A client's connection to it, and the query that it came with.
struct Client {
    socket: WebSocketStream<TcpStream>,
    query: String,
    key: Option<String>,
}

impl Node {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn link(&self, pools: &[&str]) -> (Link, mpsc::Receiver<Signal>) {
        let pools: Vec<String> = pools.iter().map(|pool| (*pool).to_owned()).collect();
        let address = format!("http://{}", self.0.local_addr().unwrap()).parse().unwrap();
        let (to_model, signals) = mpsc::channel(256);
        (Link::new(address, Some("k".into()), Resume::new(&pools, None), to_model), signals)
    }

    #[expect(clippy::result_large_err, reason = "the shape that the handshake asks for")]
    async fn accept(&self) -> Client {
        let (stream, _) = timeout(LONG, self.0.accept()).await.unwrap().unwrap();
        let (mut query, mut key) = (String::new(), None);
        let look = |request: &Request, mut response: Response| {
            query = request.uri().query().unwrap_or_default().to_owned();
            key = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let protocol = request.headers()["sec-websocket-protocol"].clone();
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let socket = accept_hdr_async(stream, look).await.unwrap();
        Client { socket, query, key }
    }
}

impl Client {
    async fn say(&mut self, message: Value) {
        self.socket.send(Frame::text(message.to_string())).await.unwrap();
    }

    async fn initial(&mut self, cursor: &str) {
        self.say(json!({"type": "quota_initial", "pool": "a", "cursor": cursor, "mode": "snapshot", "data": {}})).await;
    }

    async fn event(&mut self, prev: u64, seq: u64) {
        self.say(json!({"type": "quota_event", "pool": "a", "prev": prev, "seq": seq, "cursor": format!("c{seq}")})).await;
    }

    async fn hear(&mut self) -> Value {
        match timeout(LONG, self.socket.next()).await.unwrap() {
            Some(Ok(Frame::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "word".into() };
        self.socket.send(Frame::Close(Some(frame))).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// Runs both until the node's part is over. Returns how the link ended, if it did.
async fn together(link: Link, part: impl Future<Output = ()>) -> Option<String> {
    let mut link = std::pin::pin!(link.run().fuse());
    let mut part = std::pin::pin!(part.fuse());
    let (mut ended, mut over) = (None, false);
    while !over {
        tokio::select! {
            why = &mut link, if ended.is_none() => ended = Some(why),
            () = &mut part => over = true,
        }
    }
    // The part may be over by the frame that ends the link.
    if ended.is_none() {
        ended = timeout(Duration::from_millis(300), link).await.ok();
    }
    ended.flatten()
}

#[tokio::test]
async fn a_lost_connection_goes_on_where_it_was() {
    let node = Node::start().await;
    let (link, mut signals) = node.link(&["a", "b"]);
    let part = async {
        let mut client = node.accept().await;
        assert_eq!((client.query.as_str(), client.key.as_deref()), ("pool=a", Some("Bearer k")));
        client.initial("c3").await;
        assert_eq!(client.hear().await, json!({"type": "subscribe", "id": "p1", "subscription": "p1", "pool": "b"}));
        client.say(json!({"type": "ping", "n": 7, "stale": false})).await;
        assert_eq!(client.hear().await, json!({"type": "pong", "n": 7}));
        client.event(3, 4).await;
        client.close(4204).await;
        let mut client = node.accept().await;
        assert_eq!(client.query, "pool=a&cursor=c4");
        client.initial("c4").await;
        client.hear().await;
        client.event(4, 5).await;
        // What is between has been lost on the way: the client comes again, from before the gap.
        client.event(6, 7).await;
        let mut client = node.accept().await;
        assert_eq!(client.query, "pool=a&cursor=c5");
        client.say(json!({"type": "drain", "reason": "max_age", "reconnect_in_ms": {"min": 50, "max": 50}})).await;
        let client = node.accept().await;
        assert_eq!(client.query, "pool=a&cursor=c5");
        // Cut off without a word.
        drop(client);
        let client = node.accept().await;
        client.close(4003).await;
    };
    let ended = together(link, Box::pin(part)).await;
    assert_eq!(ended.as_deref(), Some("word (4003)"));
    let mut seen = Vec::new();
    while let Some(signal) = signals.recv().await {
        seen.push(match signal {
            Signal::Connecting => "connecting".to_owned(),
            Signal::Waiting { why, .. } => format!("waiting: {why}"),
            Signal::Leaving { why, .. } => format!("leaving: {why}"),
            Signal::Said(Message::QuotaEvent(event)) => format!("event {}", event.seq),
            Signal::Said(_) => continue,
        });
    }
    assert_eq!(seen[..2], ["connecting", "event 4"]);
    assert_eq!(seen[2..5], ["waiting: word (4204)", "connecting", "event 5"]);
    assert_eq!(seen[5..7], ["waiting: an event was missing", "connecting"]);
    assert_eq!(seen[7], "leaving: the node asks to reconnect (max_age)");
    assert_eq!(seen.iter().filter(|seen| *seen == "connecting").count(), 5);
}

#[tokio::test]
async fn a_node_that_is_away_is_waited_for() {
    let node = Node::start().await;
    let (link, mut signals) = node.link(&[]);
    let Node(listener) = node;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let part = async {
        loop {
            if let Some(Signal::Waiting { why, .. }) = timeout(LONG, signals.recv()).await.unwrap() {
                assert!(why.starts_with("not reachable: "), "{why}");
                break;
            }
        }
        let node = Node(TcpListener::bind(address).await.unwrap());
        assert_eq!(node.accept().await.query, "");
        // Nobody watches any more.
        drop(signals);
    };
    assert_eq!(together(link, part).await, None);
}
