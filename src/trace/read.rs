//! Reads a trace.

use std::io::BufRead;

use serde::Deserialize;

/// One grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line of the trace, from 1.
    pub line: usize,
    /// When it was granted, µs since 1970.
    pub at_us: u64,
    /// Units granted.
    pub cost: u64,
    /// Units finally charged.
    pub settled: Option<u64>,
    /// When they were, µs since 1970; not before `at_us`.
    pub settled_at_us: Option<u64>,
}

impl Entry {
    /// What counts against the grant: what was charged, at most the cost.
    pub fn charged(&self) -> u64 {
        self.settled.map_or(self.cost, |settled| settled.min(self.cost))
    }

    /// What was charged beyond the grant.
    pub fn overrun(&self) -> u64 {
        self.settled.map_or(0, |settled| settled.saturating_sub(self.cost))
    }
}

/// A line that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TraceError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Deserialize)]
struct Line {
    at_us: u64,
    cost: u64,
    settled: Option<u64>,
    settled_at_us: Option<u64>,
}

/// Reads JSON lines; blank ones are skipped.
///
/// # Errors
/// The first line that cannot be read, is no object with whole numbers of zero or more, or was
/// settled before it was granted.
pub fn read(source: impl BufRead) -> Result<Vec<Entry>, TraceError> {
    let mut entries = Vec::new();
    for (index, text) in source.lines().enumerate() {
        let line = index + 1;
        let fault = |reason: String| TraceError { line, reason };
        let text = text.map_err(|error| fault(error.to_string()))?;
        if text.trim().is_empty() {
            continue;
        }
        let Line { at_us, cost, settled, settled_at_us } =
            serde_json::from_str(&text).map_err(|error| fault(describe(&error)))?;
        if settled_at_us.is_some_and(|settled_at| settled_at < at_us) {
            return Err(fault("`settled_at_us` is before `at_us`".to_owned()));
        }
        entries.push(Entry { line, at_us, cost, settled, settled_at_us });
    }
    Ok(entries)
}

/// The parser's message without its line number, which is always 1.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    format!("{message} at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_other_fields_ignored() {
        let text = "{\"at_us\": 5, \"cost\": 3, \"node\": \"a\"}\n\n{\"at_us\":1,\"cost\":2,\"settled\":9,\"settled_at_us\":4}\n";
        let entries = read(text.as_bytes()).unwrap();
        assert_eq!(entries[0], Entry { line: 1, at_us: 5, cost: 3, settled: None, settled_at_us: None });
        assert_eq!((entries[1].line, entries[1].charged(), entries[1].overrun()), (3, 2, 7));
    }

    #[test]
    fn a_bad_line_is_named() {
        let refused = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("{\"at_us\":1,\"cost\":1}\n{\"at_us\":1}"), "line 2: missing field `cost` at column 11");
        assert_eq!(refused("nonsense"), "line 1: expected ident at column 2");
        assert!(refused("{\"at_us\":1,\"cost\":1.5}").starts_with("line 1: invalid type: floating point `1.5`, expected u64"));
        assert!(refused("{\"at_us\":-1,\"cost\":1}").starts_with("line 1: invalid value: integer `-1`, expected u64"));
        assert_eq!(
            refused("{\"at_us\":2,\"cost\":1,\"settled\":1,\"settled_at_us\":1}"),
            "line 1: `settled_at_us` is before `at_us`"
        );
    }
}
