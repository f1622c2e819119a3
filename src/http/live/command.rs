//! What clients say.

use serde::Deserialize;
use serde_json::Value;

use crate::http::problem::{FieldError, Problem};

/// What a client wants to follow.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// The pool; may be left out where the key sees one only.
    pub pool: Option<String>,
    /// Only this workspace.
    pub workspace_id: Option<String>,
    /// More entries of a scope.
    pub scope: std::collections::BTreeMap<String, String>,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// One message. Types that are not known are passed over.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Are you there?
    Ping {
        /// Comes back.
        n: Option<Value>,
    },
    /// I am.
    Pong,
    /// Figures now.
    RequestStatus,
    /// Follow one more.
    Subscribe {
        /// Comes back.
        id: Option<Value>,
        /// A name for it on this connection.
        subscription: String,
        /// What.
        #[serde(flatten)]
        wanted: Wanted,
    },
    /// Follow it no more.
    Unsubscribe {
        /// Comes back.
        id: Option<Value>,
        /// Its name.
        subscription: String,
    },
    /// This is who I am.
    Authenticate {
        /// Comes back.
        id: Option<Value>,
        /// An API key.
        token: String,
    },
    /// Of another version.
    #[serde(other)]
    Unknown,
}

/// Why a message was not understood.
#[derive(Debug)]
pub enum Misunderstood {
    /// It is no object with a type.
    Nonsense,
    /// Its fields are not what its type has.
    Fields(Option<Value>, Problem),
}

impl Command {
    /// Reads a message. The bare word `ping` counts as one, as old clients send it.
    pub fn read(text: &str) -> Result<Self, Misunderstood> {
        if text == "ping" {
            return Ok(Self::Ping { n: None });
        }
        let value: Value = serde_json::from_str(text).map_err(|_| Misunderstood::Nonsense)?;
        if !value.get("type").is_some_and(Value::is_string) {
            return Err(Misunderstood::Nonsense);
        }
        let id = value.get("id").cloned();
        serde_json::from_value(value)
            .map_err(|error| Misunderstood::Fields(id, Problem::validation(vec![FieldError::at("", error.to_string())])))
    }
}

/// A name that a client gives: short and without characters that JSON would escape.
pub fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_unknown_types_passed_over() {
        assert!(matches!(Command::read("ping"), Ok(Command::Ping { .. })));
        assert!(matches!(Command::read(r#"{"type":"ping","timestamp":1}"#), Ok(Command::Ping { n: None })));
        assert!(matches!(Command::read(r#"{"type":"request_status"}"#), Ok(Command::RequestStatus)));
        assert!(matches!(Command::read(r#"{"type":"from_the_future","x":1}"#), Ok(Command::Unknown)));
        let text = r#"{"type":"subscribe","id":2,"subscription":"s2","pool":"openai","cursor":"v1.x"}"#;
        let Ok(Command::Subscribe { wanted, .. }) = Command::read(text) else { panic!() };
        assert_eq!(wanted.pool.as_deref(), Some("openai"));
        for nonsense in ["", "[]", "{}", "7", r#"{"type":7}"#] {
            assert!(matches!(Command::read(nonsense), Err(Misunderstood::Nonsense)), "{nonsense}");
        }
        assert!(matches!(Command::read(r#"{"type":"subscribe","id":1}"#), Err(Misunderstood::Fields(Some(_), _))));
    }
}
