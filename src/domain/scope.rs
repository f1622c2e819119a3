//! Who asks and for what: ordered key=value entries, and the counter group they select.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Most entries a scope may have.
pub const MAX_ENTRIES: usize = 16;
/// Longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 256;

/// Why a scope was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// Too many entries.
    #[error("a scope has at most {MAX_ENTRIES} entries, this one has {0}")]
    TooMany(usize),
    /// A key outside the id alphabet.
    #[error("scope key `{0}` is not valid: 1 to 64 characters of A-Z a-z 0-9 . _ -")]
    Key(String),
    /// The same key twice.
    #[error("scope key `{0}` appears twice")]
    Twice(String),
    /// A value that is empty, too long or not printable.
    #[error("the value of scope key `{0}` must be 1 to {MAX_VALUE_BYTES} bytes of printable UTF-8")]
    Value(String),
    /// A value that looks like a provider's secret key; it would end up in logs and on screens.
    #[error("the value of scope key `{0}` looks like a provider's secret key; use a name or a hash instead")]
    Secret(String),
}

impl InvalidScope {
    /// The key at fault, where one key is.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::TooMany(_) => None,
            Self::Key(key) | Self::Twice(key) | Self::Value(key) | Self::Secret(key) => Some(key),
        }
    }
}

/// Entries sorted by key, each key once. Empty is legal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(Vec<(Box<str>, Box<str>)>);

/// Prefixes of secrets that providers hand out. A scope value is shown to people, so these are refused.
const SECRET_PREFIXES: [&str; 6] = ["sk-", "sk_", "AIza", "AKIA", "xoxb-", "gsk_"];

fn looks_like_a_secret(value: &str) -> bool {
    value.len() >= 20 && SECRET_PREFIXES.iter().any(|prefix| value.starts_with(prefix))
}

impl Scope {
    /// Checks and sorts the entries.
    pub fn new<K: Into<String>, V: Into<String>>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidScope> {
        let mut list: Vec<(Box<str>, Box<str>)> =
            entries.into_iter().map(|(k, v)| (k.into().into_boxed_str(), v.into().into_boxed_str())).collect();
        if list.len() > MAX_ENTRIES {
            return Err(InvalidScope::TooMany(list.len()));
        }
        for (key, value) in &list {
            let key_is_plain = (1..=64).contains(&key.len())
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            if !key_is_plain {
                return Err(InvalidScope::Key(key.to_string()));
            }
            if value.is_empty() || value.len() > MAX_VALUE_BYTES || value.chars().any(char::is_control) {
                return Err(InvalidScope::Value(key.to_string()));
            }
            if looks_like_a_secret(value) {
                return Err(InvalidScope::Secret(key.to_string()));
            }
        }
        list.sort_unstable();
        if let Some(pair) = list.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(InvalidScope::Twice(pair[0].0.to_string()));
        }
        Ok(Self(list))
    }

    /// The value of a key, absent when the request did not name it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
    }

    /// Entries in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (&**k, &**v))
    }

    /// True when no entry exists.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when each entry of `part` stands in this scope with the same value.
    pub fn contains(&self, part: &Scope) -> bool {
        part.iter().all(|(key, value)| self.get(key) == Some(value))
    }

    /// The part of this scope that a `per` list (sorted) selects. A missing key counts under the
    /// empty value, so that leaving it out never escapes the limit.
    pub fn select(&self, per: &[Box<str>]) -> Partition {
        Partition(per.iter().map(|key| (key.clone(), self.get(key).unwrap_or_default().into())).collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Self::new(map).map_err(serde::de::Error::custom)
    }
}

/// The values of a limit's `per` keys: which instance of the limit. Unlike a [`Scope`], a value may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(Vec<(Box<str>, Box<str>)>);

impl Partition {
    /// Entries in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (&**k, &**v))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
    }

    /// True for the pool-wide partition.
    pub fn is_pool_wide(&self) -> bool {
        self.0.is_empty()
    }

    /// Canonical text: a JSON object with sorted keys. JSON's quoting makes it injective.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`Self::to_text`] back; `None` when it is not such a text.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The name of the counter group in keys: 128 bits of SHA-256 over the canonical text.
    pub fn group_id(&self) -> GroupId {
        let digest = Sha256::digest(self.to_text().as_bytes());
        let mut id = [0u8; GroupId::LEN];
        id.copy_from_slice(URL_SAFE_NO_PAD.encode(&digest[..16]).as_bytes());
        GroupId(id)
    }
}

impl Serialize for Partition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<Box<str>, Box<str>>::deserialize(deserializer)?;
        Ok(Self(map.into_iter().collect()))
    }
}

/// Name of a counter group: 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId([u8; GroupId::LEN]);

impl GroupId {
    /// Characters in a group id.
    pub const LEN: usize = 22;

    /// The id of the pool-wide group: the partition without keys.
    pub fn pool_wide() -> Self {
        static ID: std::sync::LazyLock<GroupId> = std::sync::LazyLock::new(|| Partition::default().group_id());
        *ID
    }

    /// Reads an id from packed state; `None` when it is no base64url text of the right length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id: [u8; Self::LEN] = bytes.try_into().ok()?;
        id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).then_some(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The sixteen bytes behind the text.
    pub fn to_raw(self) -> [u8; 16] {
        let mut raw = [0u8; 18];
        let written = URL_SAFE_NO_PAD.decode_slice(self.0, &mut raw).unwrap_or_default();
        debug_assert_eq!(written, 16);
        let mut out = [0u8; 16];
        out.copy_from_slice(&raw[..16]);
        out
    }

    /// The id of sixteen bytes.
    pub fn from_raw(raw: [u8; 16]) -> Self {
        let mut id = [0u8; Self::LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(raw, &mut id).unwrap_or_default();
        debug_assert_eq!(written, Self::LEN);
        Self(id)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_missing_key_counts_under_the_empty_value() {
        let per = vec!["user".into(), "workspace".into()];
        let scope = Scope::new([("workspace", "w1")]).unwrap();
        let partition = scope.select(&per);
        assert_eq!(partition.get("user"), Some(""));
        assert_eq!(partition.get("workspace"), Some("w1"));
    }

    #[test]
    fn refuses_what_cannot_be_shown() {
        assert!(matches!(Scope::new([("k", "a\nb")]), Err(InvalidScope::Value(_))));
        assert!(matches!(Scope::new([("k", "")]), Err(InvalidScope::Value(_))));
        assert!(matches!(Scope::new([("k", "v".repeat(257))]), Err(InvalidScope::Value(_))));
        assert!(matches!(Scope::new([("k y", "v")]), Err(InvalidScope::Key(_))));
        assert!(matches!(Scope::new([("api_key", "sk-abcdefghijklmnopqrstuvwx")]), Err(InvalidScope::Secret(_))));
        assert!(matches!(Scope::new((0..17).map(|i| (format!("k{i}"), "v"))), Err(InvalidScope::TooMany(17))));
        assert!(Scope::new([("k", "sk-short")]).is_ok());
    }

    #[test]
    fn underscores_and_commas_never_make_two_partitions_one() {
        let per = vec!["a".into(), "b".into()];
        let one = Scope::new([("a", "a_b"), ("b", "c")]).unwrap().select(&per);
        let two = Scope::new([("a", "a"), ("b", "b_c")]).unwrap().select(&per);
        assert_ne!(one.group_id(), two.group_id());
    }

    proptest! {
        #[test]
        fn the_text_of_a_partition_reads_back(a in "[ -~]{0,12}", b in "[ -~]{0,12}") {
            let partition = Partition(vec![("a".into(), a.into()), ("b".into(), b.into())]);
            prop_assert_eq!(Partition::from_text(&partition.to_text()), Some(partition.clone()));
            prop_assert_eq!(GroupId::from_raw(partition.group_id().to_raw()), partition.group_id());
        }
    }
}
