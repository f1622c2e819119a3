//! Which events a subscriber sees, and how much of them.

use crate::domain::{Partition, Scope, event::Change};

/// How much of an event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Nothing.
    Hidden,
    /// The statuses, without figures.
    Status,
    /// Everything.
    Full,
}

/// What a subscriber asked for and what it may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    scope: Scope,
    within: Vec<(Box<str>, Vec<Box<str>>)>,
}

impl Filter {
    /// The pool's own events, and those of counters whose partition does not contradict the scope.
    pub fn new(scope: Scope) -> Self {
        Self { scope, within: Vec::new() }
    }

    /// The same for a subscriber that may only see counters that belong to one of these values of each
    /// key; of pool-wide counters it sees the status alone.
    pub fn within(scope: Scope, within: Vec<(Box<str>, Vec<Box<str>>)>) -> Self {
        Self { scope, within }
    }

    /// The scope that was asked for.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// True when the subscriber may not see everything of the pool.
    pub fn is_restricted(&self) -> bool {
        !self.within.is_empty()
    }

    /// How much of a change is shown.
    pub fn view(&self, change: &Change) -> View {
        match change {
            Change::Pool { .. } => View::Full,
            Change::Counter(counter) => self.view_of(&counter.partition),
        }
    }

    /// How much of a counter is shown.
    pub fn view_of(&self, partition: &Partition) -> View {
        let contradicts = partition.iter().any(|(key, value)| self.scope.get(key).is_some_and(|asked| asked != value));
        let belongs = |(key, values): &(Box<str>, Vec<Box<str>>)| {
            partition.get(key).is_some_and(|value| values.iter().any(|allowed| **allowed == *value))
        };
        if contradicts {
            View::Hidden
        } else if self.within.iter().all(belongs) {
            View::Full
        } else if partition.is_pool_wide() {
            View::Status
        } else {
            View::Hidden
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(entries: &[(&str, &str)]) -> Partition {
        let per: Vec<Box<str>> = entries.iter().map(|(key, _)| (*key).into()).collect();
        Scope::new(entries.iter().copied()).unwrap().select(&per)
    }

    #[test]
    fn a_scope_hides_what_contradicts_it() {
        let filter = Filter::new(Scope::new([("workspace", "w1")]).unwrap());
        assert_eq!(filter.view_of(&partition(&[])), View::Full);
        assert_eq!(filter.view_of(&partition(&[("workspace", "w1")])), View::Full);
        assert_eq!(filter.view_of(&partition(&[("model", "m")])), View::Full);
        assert_eq!(filter.view_of(&partition(&[("workspace", "w2")])), View::Hidden);
    }

    #[test]
    fn a_restricted_subscriber_sees_its_own_and_the_status_of_what_all_share() {
        let filter = Filter::within(Scope::default(), vec![("workspace".into(), vec!["w1".into(), "w2".into()])]);
        assert_eq!(filter.view_of(&partition(&[])), View::Status);
        assert_eq!(filter.view_of(&partition(&[("workspace", "w2")])), View::Full);
        assert_eq!(filter.view_of(&partition(&[("model", "m")])), View::Hidden);
        assert_eq!(filter.view_of(&partition(&[("workspace", "w3")])), View::Hidden);
    }
}
