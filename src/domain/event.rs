//! Status changes and places in a pool's log of them.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use super::{CounterStatus, GroupId, Limit, Number, Partition, PoolStatus};

/// Identifies one event: 20 hexadecimal characters, all zero before the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId(pub [u8; 20]);

impl EventId {
    /// Stands before a pool's first event.
    pub const NONE: Self = Self([b'0'; 20]);

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads an id; `None` when the text is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let id: [u8; 20] = text.as_bytes().try_into().ok()?;
        id.iter().all(u8::is_ascii_hexdigit).then_some(Self(id))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a pool's event log. The random event id tells two histories apart that a lost tail
/// gave the same epoch and seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log; 0 = the pool has none yet.
    pub epoch: u64,
    /// How many events it holds or held.
    pub seq: u64,
    /// The last of them.
    pub event: EventId,
}

impl Position {
    /// Of a pool that nobody has written to.
    pub const UNBORN: Self = Self { epoch: 0, seq: 0, event: EventId::NONE };

    /// The opaque text for clients.
    pub fn to_cursor(self) -> String {
        format!("v1.{:x}.{}.{}", self.epoch, self.seq, self.event.as_str())
    }

    /// Reads a cursor back; `None` when it is no such text.
    pub fn from_cursor(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("v1.")?.split('.');
        let epoch = u64::from_str_radix(parts.next()?, 16).ok()?;
        let seq = parts.next()?.parse().ok()?;
        let event = EventId::from_text(parts.next()?)?;
        (parts.next().is_none() && epoch < 1 << 53 && seq < 1 << 53).then_some(Self { epoch, seq, event })
    }
}

/// What brought a change about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Units were held (by a reservation or its extension), or a small request was refused.
    Reserve,
    /// Units were settled.
    Commit,
    /// Units came back.
    Release,
    /// A lease ended.
    LeaseEnd,
    /// A use that was not reserved was counted.
    Record,
    /// Counters were cleared by an operator.
    Reset,
    /// Nothing but time: a window slid, a period ended.
    Time,
    /// The store lost data; the status is what is left of it.
    DataLost,
    /// A cause that a newer version writes.
    Other,
}

impl Cause {
    const ALL: [(&str, Self); 8] = [
        ("reserve", Self::Reserve),
        ("commit", Self::Commit),
        ("release", Self::Release),
        ("lease_end", Self::LeaseEnd),
        ("record", Self::Record),
        ("reset", Self::Reset),
        ("time", Self::Time),
        ("data_lost", Self::DataLost),
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, cause)| *cause == self).map_or("other", |(word, _)| word)
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Self {
        Self::ALL.iter().find(|(known, _)| *known == word).map_or(Self::Other, |(_, cause)| *cause)
    }
}

/// One counter's part in a change.
#[derive(Clone, Debug)]
pub struct CounterChange {
    /// Number of the limit.
    pub number: Number,
    /// The limit, where this node's configuration has it.
    pub limit: Option<Arc<Limit>>,
    /// The counter's group.
    pub group: GroupId,
    /// Which instance of the limit.
    pub partition: Partition,
    /// Status before.
    pub from: CounterStatus,
    /// Status after.
    pub to: CounterStatus,
    /// Used + held at the change, units.
    pub total: u64,
    /// Held at the change, units.
    pub held: u64,
    /// Ceiling at the change, units.
    pub capacity: u64,
}

/// What changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// The pool's own status.
    Pool {
        /// Status before.
        from: PoolStatus,
        /// Status after.
        to: PoolStatus,
    },
    /// A counter's status.
    Counter(CounterChange),
}

/// One status change, as the log has it.
#[derive(Clone, Debug)]
pub struct QuotaEvent {
    /// The place in the log after it.
    pub position: Position,
    /// The event before.
    pub prev: EventId,
    /// When, µs since 1970 by the store's clock.
    pub at_us: u64,
    /// Why.
    pub cause: Cause,
    /// What.
    pub change: Change,
}

/// An entry that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a status event: {0}")]
pub struct MalformedEvent(String);

/// The stored form. Twin: `lua/lib/event.lua`.
#[derive(Deserialize)]
struct Stored {
    epoch: u64,
    seq: u64,
    id: String,
    prev: String,
    at: u64,
    cause: String,
    number: u64,
    group: String,
    scope: Partition,
    from: u8,
    to: u8,
    total: u64,
    held: u64,
    capacity: u64,
}

impl TryFrom<Stored> for QuotaEvent {
    type Error = MalformedEvent;

    fn try_from(stored: Stored) -> Result<Self, MalformedEvent> {
        let Stored { epoch, seq, id, prev, at, cause, number, group, scope, from, to, total, held, capacity } = stored;
        let id_of = |text: &str| EventId::from_text(text).ok_or_else(|| MalformedEvent(format!("event id `{text}`")));
        let change = if number == 0 {
            Change::Pool { from: PoolStatus::from_byte(from), to: PoolStatus::from_byte(to) }
        } else {
            Change::Counter(CounterChange {
                number: Number::from_u64(number),
                limit: None,
                group: GroupId::from_bytes(group.as_bytes()).ok_or_else(|| MalformedEvent(format!("group `{group}`")))?,
                partition: scope,
                from: CounterStatus::from_byte(from),
                to: CounterStatus::from_byte(to),
                total,
                held,
                capacity,
            })
        };
        let position = Position { epoch, seq, event: id_of(&id)? };
        Ok(Self { position, prev: id_of(&prev)?, at_us: at, cause: Cause::from_word(&cause), change })
    }
}

impl QuotaEvent {
    /// Reads one entry of the log.
    pub fn from_entry(json: &[u8]) -> Result<Self, MalformedEvent> {
        let stored: Stored = serde_json::from_slice(json).map_err(|error| MalformedEvent(error.to_string()))?;
        stored.try_into()
    }

    /// Reads a message of the channel: all events of one call.
    pub fn from_message(json: &[u8]) -> Result<Vec<Self>, MalformedEvent> {
        let stored: Vec<Stored> = serde_json::from_slice(json).map_err(|error| MalformedEvent(error.to_string()))?;
        stored.into_iter().map(TryInto::try_into).collect()
    }

    /// Does it follow that place with nothing between? A pool that had no log may begin one.
    pub fn follows(&self, place: Position) -> bool {
        let begins = place.epoch == 0 && place.seq == 0;
        self.position.seq == place.seq + 1 && self.prev == place.event && (begins || self.position.epoch == place.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"{"epoch":11,"seq":3,"id":"0123456789abcdef0003","prev":"0123456789abcdef0002","at":1800000000000000,"cause":"lease_end","number":77,"group":"RBNvo1WzZ4oRRq0W9-hkng","scope":{"workspace":"w1"},"from":2,"to":0,"total":4,"held":1,"capacity":9}"#;

    #[test]
    fn an_entry_is_read() {
        let event = QuotaEvent::from_entry(ENTRY.as_bytes()).unwrap();
        assert_eq!(event.position.seq, 3);
        assert_eq!(event.cause, Cause::LeaseEnd);
        let Change::Counter(counter) = &event.change else { panic!("{event:?}") };
        assert_eq!((counter.from, counter.to), (CounterStatus::Exhausted, CounterStatus::Normal));
        assert_eq!(counter.partition.get("workspace"), Some("w1"));
        assert!(event.follows(Position { epoch: 11, seq: 2, event: event.prev }));
        assert!(!event.follows(Position { epoch: 12, seq: 2, event: event.prev }));
        assert!(!event.follows(Position { epoch: 11, seq: 2, event: EventId::NONE }));
    }

    #[test]
    fn number_zero_is_the_pool_and_nonsense_is_refused() {
        let pool = ENTRY.replace(r#""number":77"#, r#""number":0"#).replace("RBNvo1WzZ4oRRq0W9-hkng", "");
        let event = QuotaEvent::from_entry(pool.as_bytes()).unwrap();
        assert!(matches!(event.change, Change::Pool { from: PoolStatus::Degraded, to: PoolStatus::Normal }));
        assert!(QuotaEvent::from_entry(ENTRY.replace("RBNvo1WzZ4oRRq0W9-hkng", "x").as_bytes()).is_err());
        assert!(QuotaEvent::from_entry(ENTRY.replace("abcdef0003", "abcdef000g").as_bytes()).is_err());
        assert_eq!(QuotaEvent::from_message(format!("[{ENTRY},{ENTRY}]").as_bytes()).unwrap().len(), 2);
        assert!(QuotaEvent::from_message(b"[{}]").is_err());
    }

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        let position = Position { epoch: 0xabc, seq: 42, event: EventId(*b"0123456789abcdef0001") };
        assert_eq!(Position::from_cursor(&position.to_cursor()), Some(position));
        for bad in ["", "v1", "v1.a.b.c", "v2.abc.42.0123456789abcdef0001", "v1.abc.42.0123456789abcdef0001.x", "v1.abc.42.xyz"] {
            assert_eq!(Position::from_cursor(bad), None, "{bad}");
        }
    }
}
