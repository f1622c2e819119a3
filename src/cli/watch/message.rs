//! What a node says, as far as it is shown. Fields and types that are not known are passed over.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::quantity::Quantity;

/// One message of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// A run of events begins.
    QuotaInitial(Box<Status>),
    /// Figures changed.
    QuotaUpdate(Box<Status>),
    /// A status changed.
    QuotaEvent(Box<Event>),
    /// Are you there?
    Ping {
        /// To be sent back.
        n: Option<Value>,
        /// What the node shows may be old.
        #[serde(default)]
        stale: bool,
    },
    /// Continuity was lost.
    Reset {
        /// Which of several subscriptions; none for that of the URL.
        subscription: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// The connection will be closed.
    Drain {
        /// Why.
        #[serde(default)]
        reason: String,
        /// When to come again.
        reconnect_in_ms: Option<Range>,
    },
    /// Something failed.
    Error {
        /// Of which command.
        id: Option<Value>,
        /// What.
        problem: Problem,
    },
    /// The key will soon not be accepted any more.
    TokenExpiring {
        /// When.
        in_ms: Option<u64>,
    },
    /// Of another version, or of no interest.
    #[serde(other)]
    Unknown,
}

/// A pause, ms.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Range {
    /// At least.
    #[serde(default)]
    pub min: u64,
    /// At most.
    #[serde(default)]
    pub max: u64,
}

/// `quota_initial` and `quota_update`.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// Which of several subscriptions.
    pub subscription: Option<String>,
    /// The pool.
    pub pool: String,
    /// Where to go on.
    pub cursor: String,
    /// `snapshot` or `replay`.
    pub mode: Option<String>,
    /// Why it is a snapshot.
    pub reason: Option<String>,
    /// The figures.
    pub data: Data,
}

/// The figures of a status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Of the pool or workspace.
    pub status: String,
    /// Statuses of the parts of a pool.
    pub partitions: Option<BTreeMap<String, u64>>,
    /// The counters.
    pub limits: Vec<Counter>,
    /// Would one small request be granted?
    pub can_make_request: bool,
    /// Seconds until it would be.
    pub wait_seconds: Option<u64>,
    /// When this was read.
    pub last_updated: Option<String>,
}

/// One counter. Figures are left out of those that the key may not see in full.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Counter {
    /// The limit.
    pub limit: String,
    /// Which counter of it.
    pub scope: BTreeMap<String, String>,
    /// What is counted.
    pub unit: String,
    /// The ceiling.
    pub capacity: Option<Quantity>,
    /// What was used.
    pub used: Option<Quantity>,
    /// What is reserved.
    pub held: Option<Quantity>,
    /// What is left.
    pub remaining: Option<Quantity>,
    /// Time until it is whole again.
    pub reset_after_ms: Option<u64>,
    /// Its status.
    pub status: String,
    /// `enforce` or `shadow`.
    pub mode: String,
}

/// `quota_event`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Which of several subscriptions.
    pub subscription: Option<String>,
    /// Seq of what was sent before it.
    pub prev: Option<u64>,
    /// Its number.
    pub seq: u64,
    /// Where to go on after it.
    pub cursor: String,
    /// When it happened.
    pub at: String,
    /// The limit; none when the pool's own status changed.
    pub limit: Option<String>,
    /// Which counter of it.
    pub scope: BTreeMap<String, String>,
    /// Status before.
    pub from: String,
    /// Status after.
    pub to: String,
    /// What brought it about.
    pub cause: String,
    /// Status of all that is followed, after it.
    pub status: String,
    /// The ceiling.
    pub capacity: Option<Quantity>,
    /// What was used.
    pub used: Option<Quantity>,
    /// What is reserved.
    pub held: Option<Quantity>,
    /// What is left.
    pub remaining: Option<Quantity>,
}

/// A failure.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// For programs.
    pub code: String,
    /// For people.
    pub title: String,
    /// For people.
    pub detail: String,
    /// Time until it is worth trying again.
    pub retry_after_ms: Option<u64>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.title.as_str(), self.detail.as_str()) {
            ("", "") => f.write_str(&self.code),
            (title, "") => f.write_str(title),
            ("", detail) => f.write_str(detail),
            (title, detail) => write!(f, "{title}: {detail}"),
        }
    }
}

impl Message {
    /// Reads a message; what cannot be read is nothing that could be shown.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_what_is_not_known_passed_over() {
        assert!(matches!(Message::read(r#"{"type":"ping","n":3,"stale":true}"#), Message::Ping { stale: true, .. }));
        assert!(matches!(Message::read(r#"{"type":"from_the_future","x":1}"#), Message::Unknown));
        assert!(matches!(Message::read("nonsense"), Message::Unknown));
        let text = r#"{"type":"quota_event","pool":"p","prev":1,"status":"normal","seq":2,"cursor":"c","at":"2027-01-15T08:00:00Z",
            "limit":null,"scope":{},"from":"warning","to":"normal","cause":"time"}"#;
        let Message::QuotaEvent(event) = Message::read(text) else { panic!() };
        assert_eq!((event.seq, event.limit, event.capacity), (2, None, None));
        let text = r#"{"type":"drain","reason":"max_age","cursor":null,"cursors":{},"reconnect_in_ms":{"min":0,"max":20000},"close_at_ms":7}"#;
        assert!(matches!(Message::read(text), Message::Drain { reconnect_in_ms: Some(Range { max: 20_000, .. }), .. }));
    }
}
