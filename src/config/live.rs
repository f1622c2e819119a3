//! `[live]`: who may watch, how many, and how long.

use std::time::Duration;

use super::{file::LiveFile, path::KeyPath, reader::Reader};

/// Live connections: web sockets and event streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Origins (`https://host[:port]`) whose pages may connect, besides the node's own.
    pub origins: Vec<String>,
    /// Most connections of this node.
    pub max_connections: usize,
    /// Most of them that follow one pool.
    pub max_connections_per_pool: usize,
    /// Most of them with one key.
    pub max_connections_per_key: usize,
    /// Most of them that have not said who they are.
    pub max_unauthenticated: usize,
    /// Most of those from one address.
    pub max_unauthenticated_per_address: usize,
    /// Most new connections in a second; twice as many may come at once.
    pub connects_per_second: u32,
    /// Most subscriptions on one connection.
    pub max_subscriptions: usize,
    /// Longest message from a client, bytes.
    pub max_message_bytes: usize,
    /// Most commands of a client in a second; twice as many may come at once.
    pub commands_per_second: u32,
    /// Time in which a client has to say who it is.
    pub authenticate_within: Duration,
    /// Time between pings.
    pub ping_interval: Duration,
    /// A client that is silent for so long after a ping is gone.
    pub pong_timeout: Duration,
    /// A write that takes longer ends the connection.
    pub write_timeout: Duration,
    /// Age at which a web socket is asked to come again.
    pub max_age: Duration,
    /// The same for an event stream.
    pub max_stream_age: Duration,
    /// Life of a one-time ticket.
    pub ticket_lifetime: Duration,
}

const ORIGIN_RULE: &str = "must be an origin as browsers send it, https://host or https://host:port (or http), without a path";
const MOST: u64 = 1_000_000;

/// A scheme of the web, a host, perhaps a port, and nothing else.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/?#@*,".contains(c)))
}

pub(super) fn read_live(reader: &mut Reader<'_>, file: &LiveFile) -> Live {
    let at = |key: &str| KeyPath::of(["live", key]);
    let mut origins = Vec::new();
    for (path, origin) in file.origins.each(&at("origins")) {
        let text = origin.text().trim();
        if !is_origin(text) {
            reader.refuse(&path, ORIGIN_RULE);
        }
        origins.push(text.to_owned());
    }
    let mut count = |key: &str, value, most, default| reader.whole_or(&at(key), value, 1..=most, default);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let rate = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let connections = count("max_connections", file.max_connections.as_ref(), MOST, 10_000);
    let per_pool = count("max_connections_per_pool", file.max_connections_per_pool.as_ref(), MOST, connections);
    let per_key = count("max_connections_per_key", file.max_connections_per_key.as_ref(), MOST, connections);
    let unknown = count("max_unauthenticated", file.max_unauthenticated.as_ref(), MOST, connections.div_ceil(10));
    let per_address = count("max_unauthenticated_per_address", file.max_unauthenticated_per_address.as_ref(), MOST, 20);
    let connects = count("connects_per_second", file.connects_per_second.as_ref(), MOST, 500);
    let subscriptions = count("max_subscriptions", file.max_subscriptions.as_ref(), 1024, 64);
    let commands = count("commands_per_second", file.commands_per_second.as_ref(), 10_000, 20);
    let message = reader.whole_or(&at("max_message_bytes"), file.max_message_bytes.as_ref(), 1024..=1 << 20, 16 << 10);
    let seconds = Duration::from_secs;
    let mut time = |key: &str, value, longest, default| {
        let range = Duration::from_millis(100)..=seconds(longest);
        reader.duration_or(&at(key), value, range, seconds(default))
    };
    Live {
        origins,
        max_connections: size(connections),
        max_connections_per_pool: size(per_pool),
        max_connections_per_key: size(per_key),
        max_unauthenticated: size(unknown),
        max_unauthenticated_per_address: size(per_address),
        connects_per_second: rate(connects),
        max_subscriptions: size(subscriptions),
        max_message_bytes: size(message),
        commands_per_second: rate(commands),
        authenticate_within: time("authenticate_within", file.authenticate_within.as_ref(), 60, 5),
        ping_interval: time("ping_interval", file.ping_interval.as_ref(), 3600, 25),
        pong_timeout: time("pong_timeout", file.pong_timeout.as_ref(), 3600, 10),
        write_timeout: time("write_timeout", file.write_timeout.as_ref(), 300, 10),
        max_age: time("max_age", file.max_age.as_ref(), 7 * 86_400, 45 * 60),
        max_stream_age: time("max_stream_age", file.max_stream_age.as_ref(), 7 * 86_400, 10 * 60),
        ticket_lifetime: time("ticket_lifetime", file.ticket_lifetime.as_ref(), 3600, 30),
    }
}
