//! One id for each request: the caller's where it is fit to be logged, else a new one.

use poem::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries it, in and out.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a caller.
const MAX_LENGTH: usize = 64;

/// An id of visible ASCII characters. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id of a request. Ids that are too long or not visible ASCII are replaced, not refused: they only serve
    /// to find log lines again.
    pub fn of(headers: &HeaderMap) -> Self {
        let fit =
            |value: &&HeaderValue| (1..=MAX_LENGTH).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
        headers.get(HEADER).filter(fit).map_or_else(Self::new, |value| Self(value.clone()))
    }

    /// A new id: a UUID of version 7, so that ids sort by time.
    fn new() -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text: &str = Uuid::now_v7().as_hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header's value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_ids_are_kept_where_they_are_fit() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(of("abc-123"), "abc-123");
        assert_eq!(of(&"x".repeat(64)), "x".repeat(64));
        for bad in ["", "a b", "é", &"x".repeat(65)] {
            assert_eq!(of(bad).len(), 36, "{bad:?}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
