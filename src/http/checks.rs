//! Rules for values that have the right type: collects what is wrong, each with its place.

use std::time::Duration;

use super::{
    problem::{FieldError, Problem},
    wire::Entries,
};
use crate::{
    coordinator::types::Metadata,
    domain::{Scope, scope::InvalidScope, unit::MAX_AMOUNT},
};

/// Lease of a reservation whose request names none, ms.
const DEFAULT_LEASE_MS: u64 = 60_000;
/// Shortest lease, ms.
const MIN_LEASE_MS: u64 = 1_000;
/// Longest lease, ms.
const MAX_LEASE_MS: u64 = 3_600_000;
// Validators of the document and its descriptions write these bounds out; a change here needs one there.
const _: () = assert!(DEFAULT_LEASE_MS == 60_000 && MIN_LEASE_MS == 1_000 && MAX_LEASE_MS == 3_600_000);
/// Longest value of metadata, bytes.
const MAX_METADATA_BYTES: usize = 256;
/// Longest text of any other kind (a model's name, an idempotency key), bytes.
const MAX_TEXT_BYTES: usize = 256;

/// What is wrong with a request so far. `base` is the JSON pointer of the object that is being checked.
#[derive(Debug, Default)]
pub struct Checks {
    base: String,
    errors: Vec<FieldError>,
}

impl Checks {
    /// Checks of an object inside the body.
    pub fn inside(base: String) -> Self {
        Self { base, errors: Vec::new() }
    }

    /// Notes what is wrong with a field.
    pub fn refuse(&mut self, pointer: &str, detail: impl ToString) {
        self.errors.push(FieldError::at(format!("{}{pointer}", self.base), detail));
    }

    /// Everything that is wrong.
    pub fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// Ends the checks: a value where nothing is wrong.
    pub fn finish<T>(self, value: T) -> Result<T, Problem> {
        if self.errors.is_empty() { Ok(value) } else { Err(Problem::validation(self.errors)) }
    }

    /// A scope.
    pub fn scope(&mut self, entries: Option<Entries>) -> Scope {
        Scope::new(entries.unwrap_or_default().0).unwrap_or_else(|error| {
            self.refuse(&scope_pointer(&error), error);
            Scope::default()
        })
    }

    /// Metadata: keys like those of a scope, values may be empty and hold anything printable.
    pub fn metadata(&mut self, entries: Option<Entries>) -> Metadata {
        let mut metadata = Metadata::new();
        for (key, value) in entries.unwrap_or_default().0 {
            let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            if !plain || key.is_empty() || key.len() > 64 {
                self.refuse("/metadata", format_args!("key `{}` must be 1 to 64 characters of A-Z a-z 0-9 . _ -", cut(&key)));
            } else if value.len() > MAX_METADATA_BYTES || value.chars().any(char::is_control) {
                let rule = format_args!("must be at most {MAX_METADATA_BYTES} bytes of printable text");
                self.refuse(&format!("/metadata/{key}"), rule);
            } else if metadata.insert(key.clone(), value).is_some() {
                self.refuse(&format!("/metadata/{key}"), "appears twice");
            }
        }
        metadata
    }

    /// A lease.
    pub fn lease(&mut self, lease_ms: Option<u64>) -> Duration {
        let lease_ms = lease_ms.unwrap_or(DEFAULT_LEASE_MS);
        if !(MIN_LEASE_MS..=MAX_LEASE_MS).contains(&lease_ms) {
            self.refuse("/lease_ms", format_args!("must be {MIN_LEASE_MS} to {MAX_LEASE_MS}"));
        }
        Duration::from_millis(lease_ms)
    }

    /// A count of tokens.
    pub fn count(&mut self, pointer: &str, value: Option<u64>) -> Option<u64> {
        if value.is_some_and(|value| value > MAX_AMOUNT) {
            self.refuse(pointer, format_args!("must be a whole number from 0 to {MAX_AMOUNT}"));
        }
        value
    }

    /// A short text of one line.
    pub fn text(&mut self, pointer: &str, value: Option<String>) -> Option<String> {
        let bad = |text: &String| text.is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control);
        if value.as_ref().is_some_and(bad) {
            self.refuse(pointer, format_args!("must be 1 to {MAX_TEXT_BYTES} bytes of printable text"));
        }
        value
    }

    /// An idempotency key: from the header, or from the body, or the same in both.
    pub fn idempotency_key(&mut self, header: Option<String>, body: Option<String>) -> Option<String> {
        if let Some(key) = &body
            && let Err(rule) = super::idempotency::check(key)
        {
            self.refuse("/idempotency_key", rule);
        }
        match (header, body) {
            (Some(header), Some(body)) if header != body => {
                self.refuse("/idempotency_key", "differs from the header `Idempotency-Key`");
                Some(body)
            }
            (header, body) => header.or(body),
        }
    }
}

/// Where in a body a scope is wrong.
fn scope_pointer(error: &InvalidScope) -> String {
    match error.key() {
        Some(key) => format!("/scope/{}", key.replace('~', "~0").replace('/', "~1")),
        None => "/scope".to_owned(),
    }
}

/// As much of a text as an error shows.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(checks: Checks) -> Vec<String> {
        checks.into_errors().into_iter().filter_map(|e| e.pointer).collect()
    }

    fn entries(list: &[(&str, &str)]) -> Entries {
        Entries(list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let mut checks = Checks::inside("/operations/3".into());
        checks.scope(Some(entries(&[("workspace", "a\nb")])));
        checks.metadata(Some(entries(&[("a b", "x"), ("c", "\u{7}"), ("d", ""), ("d", "")])));
        checks.lease(Some(999));
        checks.lease(Some(3_600_001));
        checks.count("/estimate/input_tokens", Some(MAX_AMOUNT + 1));
        checks.text("/estimate/model", Some(String::new()));
        checks.idempotency_key(Some("a".into()), Some("b".into()));
        checks.idempotency_key(None, Some("é".into()));
        assert_eq!(
            pointers(checks),
            [
                "/scope/workspace",
                "/metadata",
                "/metadata/c",
                "/metadata/d",
                "/lease_ms",
                "/lease_ms",
                "/estimate/input_tokens",
                "/estimate/model",
                "/idempotency_key",
                "/idempotency_key"
            ]
            .map(|p| format!("/operations/3{p}"))
        );
    }

    #[test]
    fn what_is_fine_passes() {
        let mut checks = Checks::default();
        assert_eq!(checks.lease(None), Duration::from_secs(60));
        assert_eq!(checks.idempotency_key(Some("k".into()), Some("k".into())), Some("k".into()));
        assert_eq!(checks.metadata(Some(entries(&[("job", "42")]))).len(), 1);
        assert!(checks.finish(()).is_ok());
    }
}
