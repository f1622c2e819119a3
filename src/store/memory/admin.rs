//! What operators change while nodes run, and who changed it.

use super::PoolState;
use crate::store::AuditEntry;

/// Entries that the audit keeps.
const KEPT: usize = 1000;

pub fn configure(state: &mut PoolState, ms: u64, field: &str, value: Option<&str>, note: &str) -> u64 {
    let before = match value {
        Some(value) => state.overrides.insert(field.to_owned(), value.to_owned()),
        None => match state.overrides.remove(field) {
            Some(before) => Some(before),
            None => return state.version,
        },
    };
    if state.version == 0 {
        state.version = state.epoch;
    }
    state.version += 1;
    state.operations += 1;
    if !note.is_empty() {
        let last = state.audit.last().map_or((0, 0), |entry| entry.at);
        let at = if ms > last.0 { (ms, 0) } else { (last.0, last.1 + 1) };
        state.audit.push(AuditEntry { at, note: note.to_owned(), before, after: value.map(str::to_owned) });
        let beyond = state.audit.len().saturating_sub(KEPT);
        state.audit.drain(..beyond);
    }
    state.version
}

pub fn audit(state: &PoolState, before: Option<(u64, u64)>, max: usize) -> Vec<AuditEntry> {
    let older = state.audit.iter().rev().filter(|entry| before.is_none_or(|place| entry.at < place));
    older.take(max).cloned().collect()
}
