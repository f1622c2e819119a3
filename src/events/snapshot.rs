//! Figures of a scope at one place in the log, read once for all who watch it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

use crate::{coordinator::types::Usage, domain::Position};

/// See the module's documentation.
#[derive(Debug)]
pub struct Snapshot {
    /// The figures.
    pub usage: Usage,
    /// The place in the log at which they were read.
    pub position: Position,
    /// For the edge: the figures as it writes them, made once for all subscribers.
    pub wire: OnceLock<Arc<str>>,
    fingerprint: u64,
}

impl Snapshot {
    /// Keeps a reading.
    pub fn new(usage: Usage) -> Self {
        let mut hasher = DefaultHasher::new();
        usage.status.hash(&mut hasher);
        for figure in &usage.figures {
            figure.limit.id.hash(&mut hasher);
            figure.partition.hash(&mut hasher);
            (figure.capacity, figure.used, figure.held, figure.status).hash(&mut hasher);
        }
        let position = Position::from_cursor(&usage.cursor).unwrap_or(Position::UNBORN);
        Self { usage, position, wire: OnceLock::new(), fingerprint: hasher.finish() }
    }

    /// Equal for two snapshots that show the same figures; time that merely passes changes nothing.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
