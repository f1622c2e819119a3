//! Nodes on ports of their own over one private Redis, spoken to over HTTP.

use std::time::Duration;

use quota_coordinator::{
    app::Node,
    config::{Config, Environment, Format, SecretUrl},
    private_redis::PrivateRedis,
};
use redis::aio::MultiplexedConnection;
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use tokio::net::TcpListener;

/// No keys, and the pool that most tests need.
pub const OPEN: &str = r#"
auth.mode = "none"
server.drain_delay = "0s"

[[pools]]
id = "p"
provider = "openai"
limits = [
    { id = "requests-per-minute", unit = "requests", capacity = 10, window = "1m" },
    { id = "tokens-per-minute", unit = "tokens", capacity = 1000, window = "1m", per = ["workspace"], optional = true },
    { id = "output-per-day", unit = "output_tokens", capacity = 5000, window = "1d", optional = true },
    { id = "month", unit = "cost_usd", capacity = "5.5", period = "month", optional = true },
    { id = "in-flight", unit = "requests", kind = "concurrency", capacity = 4 },
]
"#;

/// Nodes that share a Redis of their own.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub client: Client,
    redis: PrivateRedis,
}

/// An answer, read.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A configuration from TOML text, with deadlines that a busy machine keeps.
pub fn config(text: &str, redis: &PrivateRedis) -> Config {
    let mut config = Config::parse("test.toml", Format::Toml, text, &Environment::default()).unwrap();
    config.redis.url = SecretUrl::new(redis.url());
    config.redis.deadline = Duration::from_secs(5);
    config
}

impl Cluster {
    /// As many nodes as there are configurations.
    pub async fn of(configurations: &[&str]) -> Self {
        let redis = PrivateRedis::start().await.unwrap();
        let mut nodes = Vec::new();
        for text in configurations {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            nodes.push(Node::start_on(listener, &config(text, &redis), Duration::from_secs(10)).await.unwrap());
        }
        Self { nodes, client: Client::new(), redis }
    }

    /// A request to a node.
    pub fn request(&self, node: usize, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.nodes[node].address()))
    }

    /// GET.
    pub async fn get(&self, node: usize, path: &str) -> Reply {
        reply(self.request(node, Method::GET, path)).await
    }

    /// POST of JSON.
    pub async fn post(&self, node: usize, path: &str, body: Value) -> Reply {
        reply(self.request(node, Method::POST, path).json(&body)).await
    }

    /// A reservation that must be granted; its id.
    pub async fn reserved(&self, node: usize, body: Value) -> String {
        let granted = self.post(node, "/api/quota/reservations", body).await.ok();
        assert_eq!(granted["decision"], "granted", "{granted:#}");
        granted["reservation"].as_str().unwrap().to_owned()
    }

    /// Used and held of a counter, as another node sees them.
    pub async fn figures(&self, node: usize, limit: &str) -> (Value, Value) {
        let usage = self.get(node, "/api/quota/usage").await.ok();
        let found = usage["limits"].as_array().unwrap().iter().find(|counter| counter["limit"] == limit);
        found.map_or((Value::from(0), Value::from(0)), |counter| (counter["used"].clone(), counter["held"].clone()))
    }

    /// A connection to the nodes' Redis.
    pub async fn redis(&self) -> MultiplexedConnection {
        redis::Client::open(self.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }
}

/// Sends a request and reads the answer.
pub async fn reply(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

impl Reply {
    /// The body of an answer that must be 200.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        self.body
    }

    /// Status, code and the place of the first field at fault.
    pub fn problem(&self) -> (u16, &str, &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{:#}", self.body);
        let first = &self.body["errors"][0];
        let place = first["pointer"].as_str().or(first["parameter"].as_str());
        (self.status, self.body["code"].as_str().unwrap_or_default(), place.unwrap_or_default())
    }

    /// A header, empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
