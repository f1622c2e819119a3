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
    Key(String),
    Unknown,
    UnknownFrom(String),
}

/// Counts, and their bounds.
pub struct Census {
    counts: Mutex<HashMap<Kind, usize>>,
    all: usize,
    pool: usize,
    key: usize,
    unknown: usize,
    unknown_from: usize,
}

/// A place in some counts; given back when dropped.
pub struct Place {
    census: Arc<Census>,
    kinds: Vec<Kind>,
}

impl Census {
    /// Nobody is connected yet.
    pub fn new(settings: &LiveSettings) -> Self {
        Self {
            counts: Mutex::default(),
            all: settings.max_connections,
            pool: settings.max_per_pool,
            key: settings.max_per_key,
            unknown: settings.max_unknown,
            unknown_from: settings.max_unknown_per_address,
        }
    }

    fn bound(&self, kind: &Kind) -> usize {
        match kind {
            Kind::All => self.all,
            Kind::Pool(_) => self.pool,
            Kind::Key(_) => self.key,
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

    /// A place for one more connection with a key.
    pub fn key(self: &Arc<Self>, name: &str) -> Option<Place> {
        self.enter(vec![Kind::Key(name.to_owned())])
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
        let settings = LiveSettings { max_connections: 10, max_unknown: 1, max_per_key: 2, ..LiveSettings::default() };
        let census = Arc::new(Census::new(&settings));
        let first = census.unknown("a".into()).unwrap();
        assert!(census.unknown("a".into()).is_none() && census.unknown("b".into()).is_none(), "one is the most");
        drop(first);
        assert!(census.unknown("b".into()).is_some());
        assert!(census.counts.lock().unwrap().is_empty());
        let keyed: Vec<_> = (0..3).map(|_| census.key("checkout")).collect();
        assert!(keyed[1].is_some() && keyed[2].is_none() && census.key("other").is_some());
        let all: Vec<_> = (0..10).map_while(|_| census.connection()).collect();
        assert_eq!((all.len(), census.connection().is_none()), (10, true));
    }
}
