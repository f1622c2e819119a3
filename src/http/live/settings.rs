//! Bounds and times of live connections.

use std::time::Duration;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Origins (`https://host[:port]`) whose pages may connect, besides the node's own.
    pub origins: Vec<String>,
    /// Most web sockets and event streams at once; more are answered 503.
    pub max_connections: usize,
    /// Most of one pool on this node.
    pub max_per_pool: usize,
    /// Most with one key.
    pub max_per_key: usize,
    /// Most that have not said who they are.
    pub max_unknown: usize,
    /// New connections in a second, and at once; more are answered 503.
    pub connects: (u32, u32),
    /// Most from one address that have not said who they are.
    pub max_unknown_per_address: usize,
    /// Most subscriptions on one connection.
    pub max_subscriptions: usize,
    /// Longest message from a client, bytes.
    pub message_bytes: usize,
    /// The same before it has said who it is.
    pub unknown_message_bytes: usize,
    /// Time in which a client without a key in its request has to say who it is.
    pub authenticate_within: Duration,
    /// Between pings, before jitter of a tenth.
    pub ping: Duration,
    /// A client that is silent for so long after a ping is gone.
    pub pong: Duration,
    /// A write that takes longer ends the connection.
    pub write_stall: Duration,
    /// A connection's age at which it is asked to come again, before jitter of a third: so that load
    /// spreads over nodes that were added.
    pub max_age: Duration,
    /// The same for event streams, before jitter of a tenth.
    pub max_stream_age: Duration,
    /// On shutdown: the time over which connections are closed, at random instants.
    pub drain_window: Duration,
    /// Commands that a client may send in a second, and at once.
    pub commands: (u32, u32),
    /// Life of a one-time ticket.
    pub ticket: Duration,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            max_connections: 10_000,
            max_per_pool: 10_000,
            max_per_key: 10_000,
            max_unknown: 1_000,
            connects: (500, 1_000),
            max_unknown_per_address: 20,
            max_subscriptions: 64,
            message_bytes: 16 << 10,
            unknown_message_bytes: 4 << 10,
            authenticate_within: Duration::from_secs(5),
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(10),
            write_stall: Duration::from_secs(10),
            max_age: Duration::from_secs(45 * 60),
            max_stream_age: Duration::from_secs(10 * 60),
            drain_window: Duration::from_secs(20),
            commands: (20, 40),
            ticket: Duration::from_secs(30),
        }
    }
}
