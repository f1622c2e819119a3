//! Names of pools and limits, and the stable numbers that stand for names in packed state.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a pool or limit id was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid id: 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter or digit")]
pub struct InvalidId {
    /// The text as it was given.
    pub value: String,
}

fn check_id(text: &str) -> Result<(), InvalidId> {
    let mut bytes = text.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    let goes_on_well = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if starts_well && goes_on_well && text.len() <= 64 { Ok(()) } else { Err(InvalidId { value: text.to_owned() }) }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and keeps it. Errors name the text and what is allowed.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                check_id(text)?;
                Ok(Self(text.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

id_type! {
    /// Name of a pool.
    PoolId
}

id_type! {
    /// Name of a limit, unique in its pool.
    LimitId
}

impl LimitId {
    /// The companion limit that judges the same units in shorter slices (`smooth`). The `/` cannot
    /// stand in an operator's id, so the name never collides with a configured one.
    pub fn companion(&self, slice: &str) -> Self {
        Self(format!("{}/{slice}", self.0).into())
    }
}

/// A 48-bit number that stands for a name in packed state, derived from the name alone. Two nodes
/// with different configurations agree on it without talking to each other, so counters are never
/// mixed by position. Collisions are detected when a pool is registered (see `store::Store::register`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Number(u64);

impl Number {
    /// The number of a text.
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0u8; 8];
        bytes[..6].copy_from_slice(&digest[..6]);
        Self(u64::from_le_bytes(bytes))
    }

    /// Reads a number back from packed state (only the low 48 bits count).
    pub fn from_u64(value: u64) -> Self {
        Self(value & 0xffff_ffff_ffff)
    }

    /// The number itself, below 2^48.
    pub fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        assert!(PoolId::new("openai").is_ok());
        assert!(PoolId::new("a.b_c-9").is_ok());
        for bad in ["", "-a", ".a", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(PoolId::new(bad).is_err(), "{bad:?}");
        }
        assert!(PoolId::new(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn numbers_fit_in_48_bits_and_do_not_change() {
        assert!(Number::of("requests").get() < 1 << 48);
        assert_eq!(Number::of("requests"), Number::of("requests"));
        assert_ne!(Number::of("requests"), Number::of("tokens"));
    }
}
