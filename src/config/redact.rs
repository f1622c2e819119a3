//! Secrets: kept so that neither a log line, an error nor `Debug` can show them.

use std::fmt;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::path::KeyPath;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The longest value that an error repeats, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// A secret text. `Debug` and `Display` show `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is this the same text? Takes the same time whatever differs, and hides the lengths behind hashes.
    pub fn matches(&self, candidate: &str) -> bool {
        let (own, other) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(candidate.as_bytes()));
        own.ct_eq(&other).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A URL that may carry a password. `Debug` and `Display` show it without.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Box<str>);

impl SecretUrl {
    /// Wraps a URL.
    pub fn new(url: &str) -> Self {
        Self(url.into())
    }

    /// The URL with its password, for the client that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", redact_url(&self.0))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0))
    }
}

/// A URL without its password: the one before the `@`, and those in `pass=` and `password=`. A text
/// that is no URL at all may be nothing but a password, so that nothing of it is shown.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return REDACTED.to_owned() };
    let (before_query, query) = match rest.split_once('?') {
        // A `?` before the last `@` belongs to a password that was not percent-encoded.
        Some((before, query)) if !query.contains('@') => (before, Some(query)),
        _ => (rest, None),
    };
    let shown = match before_query.rsplit_once('@') {
        None => before_query.to_owned(),
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:{REDACTED}@{host}"),
            None => format!("{REDACTED}@{host}"),
        },
    };
    match query {
        None => format!("{scheme}://{shown}"),
        Some(query) => {
            let pairs: Vec<_> = query.split('&').map(redact_pair).collect();
            format!("{scheme}://{shown}?{}", pairs.join("&"))
        }
    }
}

fn redact_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={REDACTED}"),
        _ => pair.to_owned(),
    }
}

/// A configured value as an error or a listing may show it: on one line, short, without secrets.
pub(super) fn show(path: &KeyPath, value: &Json) -> String {
    match (path.last_key(), value) {
        (_, Json::Object(_)) => "a table".to_owned(),
        (_, Json::Array(_)) => "a list".to_owned(),
        (Some("url"), Json::String(url)) => Json::from(redact_url(url)).to_string(),
        (Some("admin_key" | "sha256" | "url"), _) => REDACTED.to_owned(),
        _ => shorten(&value.to_string()),
    }
}

/// Cuts a text that is too long for a message.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_passwords() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:s3cret@host:1/0", "redis://:[redacted]@host:1/0"),
            ("rediss://user:s3@cret@host", "rediss://user:[redacted]@host"),
            ("redis://user:s3c?ret@host", "redis://user:[redacted]@host"),
            ("redis://s3cret@host", "redis://[redacted]@host"),
            ("redis+unix:///run/r.sock?db=1&pass=s3cret", "redis+unix:///run/r.sock?db=1&pass=[redacted]"),
            ("s3cret", "[redacted]"),
        ] {
            assert_eq!(redact_url(url), shown);
            assert_eq!(format!("{:?} {0}", SecretUrl::new(url)), format!("{shown:?} {shown}"));
        }
    }

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let secret = Secret::new("s3cret");
        assert!(secret.matches("s3cret") && !secret.matches("s3cre"));
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[redacted] [redacted] Some([redacted])");
    }
}
