//! Figures of a scope at one place in the log, read once for all who watch it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use tokio::sync::{Mutex, OnceCell};

use crate::{coordinator::types::Usage, domain::Position};

/// See the module's documentation.
#[derive(Debug)]
pub struct Snapshot {
    /// The figures.
    pub usage: Usage,
    /// The place in the log at which they were read.
    pub position: Position,
    /// For the edge: the figures as it writes them, made once for all subscribers.
    pub wire: OnceCell<Arc<str>>,
    /// The same for subscribers that may not see all of them, by what they may see.
    pub veiled: Mutex<BTreeMap<String, Arc<str>>>,
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
        Self { usage, position, wire: OnceCell::new(), veiled: Mutex::default(), fingerprint: hasher.finish() }
    }

    /// Equal for two snapshots that show the same figures; time that merely passes changes nothing.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
