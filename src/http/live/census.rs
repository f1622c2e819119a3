//! How many connections there are: in all, by pool, and of those that have not said who they are.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use super::LiveSettings;
use crate::domain::PoolId;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    All,
    Pool(PoolId),
    Unknown,
    UnknownFrom(String),
}

/// Counts, and their bounds.
pub struct Census {
    counts: Mutex<HashMap<Kind, usize>>,
    all: usize,
    pool: usize,
    unknown: usize,
    unknown_from: usize,
}

/// A place in some counts; given back when dropped.
pub struct Place {
    census: Arc<Census>,
    kinds: Vec<Kind>,
}

impl Census {
    /// At most a tenth of all connections may be of clients that have not said who they are.
    pub fn new(settings: &LiveSettings) -> Self {
        Self {
            counts: Mutex::default(),
            all: settings.max_connections,
            pool: settings.max_per_pool,
            unknown: settings.max_connections.div_ceil(10),
            unknown_from: settings.max_unknown_per_address,
        }
    }

    fn bound(&self, kind: &Kind) -> usize {
        match kind {
            Kind::All => self.all,
            Kind::Pool(_) => self.pool,
            Kind::Unknown => self.unknown,
            Kind::UnknownFrom(_) => self.unknown_from,
        }
    }

    fn enter(self: &Arc<Self>, kinds: Vec<Kind>) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.iter().any(|kind| counts.get(kind).is_some_and(|count| *count >= self.bound(kind))) {
            return None;
        }
        for kind in &kinds {
            *counts.entry(kind.clone()).or_default() += 1;
        }
        Some(Place { census: self.clone(), kinds })
    }

    /// A place for one more connection.
    pub fn connection(self: &Arc<Self>) -> Option<Place> {
        self.enter(vec![Kind::All])
    }

    /// A place for one more subscription to a pool.
    pub fn pool(self: &Arc<Self>, pool: &PoolId) -> Option<Place> {
        self.enter(vec![Kind::Pool(pool.clone())])
    }

    /// A place for one more client that has not said who it is.
    pub fn unknown(self: &Arc<Self>, address: String) -> Option<Place> {
        self.enter(vec![Kind::Unknown, Kind::UnknownFrom(address)])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.census.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in &self.kinds {
            if let Some(count) = counts.get_mut(kind) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(kind);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let settings = LiveSettings { max_connections: 10, max_unknown_per_address: 1, ..LiveSettings::default() };
        let census = Arc::new(Census::new(&settings));
        let first = census.unknown("a".into()).unwrap();
        assert!(census.unknown("a".into()).is_none() && census.unknown("b".into()).is_none(), "a tenth of ten is one");
        drop(first);
        assert!(census.unknown("b".into()).is_some());
        assert!(census.counts.lock().unwrap().is_empty());
        let all: Vec<_> = (0..10).map_while(|_| census.connection()).collect();
        assert_eq!((all.len(), census.connection().is_none()), (10, true));
    }
}
