//! A whole node on a port, and a WebSocket to it.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use quota_coordinator::{
    app::Node,
    config::{Config, Environment, Format, KeyHash},
    domain::PoolId,
    private_redis::PrivateRedis,
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{eventually::soon, live::slots};

/// The key of the nodes of [`keyed`].
pub const KEY: &str = "test-key";

/// A node that asks for no key.
pub async fn open(server: &PrivateRedis, pool: &PoolId) -> Node {
    start(server, &slots(pool), "mode = \"none\"").await
}

/// A node that asks for [`KEY`].
pub async fn keyed(server: &PrivateRedis, pool: &PoolId) -> Node {
    let hash = KeyHash::of(KEY).to_hex();
    let auth = format!("mode = \"keys\"\n[[auth.keys]]\nname = \"tester\"\nsha256 = \"{hash}\"\nroles = [\"read\", \"consume\"]");
    start(server, &slots(pool), &auth).await
}

/// A node for these pools, with that table of how it asks for keys.
pub async fn start(server: &PrivateRedis, pools: &str, auth: &str) -> Node {
    start_live(server, pools, auth, "").await
}

/// A node that asks for no key, with that table of live connections.
pub async fn open_live(server: &PrivateRedis, pool: &PoolId, live: &str) -> Node {
    start_live(server, &slots(pool), "mode = \"none\"", live).await
}

async fn start_live(server: &PrivateRedis, pools: &str, auth: &str, live: &str) -> Node {
    let text = format!(
        "{pools}\n[live]\n{live}\n[redis]\nurl = \"{}\"\n[server]\nshutdown_grace = \"4s\"\n[auth]\n{auth}\n",
        server.url()
    );
    let config = Config::parse("test.toml", Format::Toml, &text, &Environment::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Node::start_on(listener, &config, Duration::from_secs(5)).await.unwrap()
}

/// One client.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a client may hear instead of a text.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Text(Value),
    Close(u16, String),
    Cut,
}

impl Socket {
    pub async fn connect(node: &Node, query: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        Self::at(node.address(), query, headers).await
    }

    /// As [`Self::connect`], through whatever listens there.
    pub async fn at(address: SocketAddr, query: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/api/quota/ws?{query}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        tokio_tungstenite::connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    pub async fn to(node: &Node, query: &str) -> Self {
        Self::connect(node, query, &[]).await.unwrap()
    }

    pub async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn say_raw(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    pub async fn hear(&mut self) -> Heard {
        soon("a message", self.hear_next()).await
    }

    /// The next message, or `None` when none comes for so long.
    pub async fn hear_within(&mut self, longest: Duration) -> Option<Heard> {
        timeout(longest, self.hear_next()).await.ok()
    }

    async fn hear_next(&mut self) -> Heard {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Heard::Text(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Heard::Close(frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Heard::Cut,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next text of that type; others before it are passed over, but never events.
    pub async fn hear_a(&mut self, kind: &str) -> Value {
        loop {
            match self.hear().await {
                Heard::Text(text) if text["type"] == kind => return text,
                Heard::Text(text) => assert_ne!(text["type"], "quota_event", "{text} came before {kind}"),
                other => panic!("{other:?} instead of {kind}"),
            }
        }
    }

    pub async fn hear_close(&mut self) -> (u16, String) {
        loop {
            match self.hear().await {
                Heard::Close(code, reason) => return (code, reason),
                Heard::Text(_) => {}
                Heard::Cut => panic!("cut off without a close"),
            }
        }
    }
}

/// Takes the pool's only slot through the API.
pub async fn take(node: &Node, unit: &str, workspace: &str) -> String {
    let body = json!({"scope": {"workspace": workspace}, "cost": {unit: 1, "requests": 0}, "lease_ms": 600_000});
    let answer = post(node, "/api/quota/reservations", &body).await;
    answer["reservation"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

pub async fn give_back(node: &Node, reservation: &str) {
    post(node, &format!("/api/quota/reservations/{reservation}/release"), &json!({})).await;
}

pub async fn post(node: &Node, path: &str, body: &Value) -> Value {
    let url = format!("http://{}{path}", node.address());
    reqwest::Client::new().post(url).bearer_auth(KEY).json(body).send().await.unwrap().json().await.unwrap()
}

pub async fn get(node: &Node, path: &str) -> (u16, Value) {
    let url = format!("http://{}{path}", node.address());
    let answer = reqwest::Client::new().get(url).bearer_auth(KEY).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}
