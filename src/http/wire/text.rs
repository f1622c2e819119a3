//! Small values that answers write without copying them first.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::Type,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};

use super::schema::documented;
use crate::{
    coordinator::types::Metadata,
    domain::{Limit, Partition, Scope, Unit, scope::MAX_ENTRIES},
};

/// An instant: µs since 1970, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub u64);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = Timestamp::from_microsecond(i64::try_from(self.0).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        serializer.collect_str(&at)
    }
}

documented!(Instant, "Instant", |_r| MetaSchema {
    description: Some("An instant in UTC, RFC 3339."),
    ..MetaSchema::new_with_format("string", "date-time")
});

/// Name of a limit.
#[derive(Clone, Debug)]
pub struct LimitName(pub Arc<Limit>);

impl Serialize for LimitName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id.as_str())
    }
}

documented!(LimitName, "LimitName", |_r| MetaSchema {
    description: Some("Name of a limit, unique in its pool."),
    ..MetaSchema::new("string")
});

/// Name of a unit.
#[derive(Clone, Debug)]
pub struct UnitName(pub Unit);

impl Serialize for UnitName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

documented!(UnitName, "UnitName", |_r| MetaSchema {
    description: Some("What is counted: `requests`, `tokens`, `input_tokens`, `output_tokens`, `cost_usd` or another name."),
    ..MetaSchema::new("string")
});

/// Text by key, read from an answer's scope, partition or metadata.
#[derive(Clone, Debug)]
pub enum Labels {
    /// The values of a limit's `per` keys.
    Partition(Arc<Partition>),
    /// A scope.
    Scope(Scope),
    /// A caller's metadata.
    Metadata(Metadata),
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Partition(partition) => partition.serialize(serializer),
            Self::Scope(scope) => scope.serialize(serializer),
            Self::Metadata(metadata) => metadata.serialize(serializer),
        }
    }
}

fn text_map() -> MetaSchema {
    MetaSchema { additional_properties: Some(Box::new(String::schema_ref())), ..MetaSchema::new("object") }
}

documented!(Labels, "Labels", |_r| MetaSchema { description: Some("Text by key."), ..text_map() });

/// Text by key as a request gives it, in the order given; checked later, against the rules of its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(pub Vec<(String, String)>);

documented!(Entries, "Entries", |_r| MetaSchema {
    description: Some(
        "Text by key: at most 16 entries, keys of 1 to 64 characters of `A-Z a-z 0-9 . _ -`, values of at most 256 bytes."
    ),
    max_properties: Some(MAX_ENTRIES),
    additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema {
        max_length: Some(256),
        ..MetaSchema::new("string")
    })))),
    ..MetaSchema::new("object")
});

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::with_capacity(4);
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MAX_ENTRIES {
                        return Err(A::Error::custom(format_args!("at most {MAX_ENTRIES} entries are allowed")));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339_in_utc() {
        assert_eq!(serde_json::to_string(&Instant(1_764_000_000_250_000)).unwrap(), "\"2025-11-24T16:00:00.25Z\"");
        assert_eq!(serde_json::to_string(&Instant(0)).unwrap(), "\"1970-01-01T00:00:00Z\"");
    }

    #[test]
    fn entries_are_bounded_while_they_are_read() {
        let json = |n: usize| {
            serde_json::to_string(&(0..n).map(|i| (format!("k{i}"), "v")).collect::<std::collections::BTreeMap<_, _>>()).unwrap()
        };
        assert!(serde_json::from_str::<Entries>(&json(16)).is_ok());
        assert!(serde_json::from_str::<Entries>(&json(17)).is_err());
        assert!(serde_json::from_str::<Entries>(r#"{"a":1}"#).is_err());
    }
}
