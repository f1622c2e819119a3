//! Statuses of a pool and of its counters that are not normal, as of the end of a tail.

use std::collections::HashMap;

use crate::domain::{
    CounterStatus, GroupId, Number, PoolStatus,
    event::{Change, QuotaEvent},
};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Board {
    pool: PoolStatus,
    groups: HashMap<GroupId, Vec<(Number, PoolStatus)>>,
}

impl Board {
    /// Statuses as a log page says. `standing` gives what each counter's status means for its scope.
    pub fn new(pool: PoolStatus, standing: impl IntoIterator<Item = (GroupId, Number, PoolStatus)>) -> Self {
        let mut board = Self { pool, groups: HashMap::new() };
        for (group, number, status) in standing {
            board.set(group, number, status);
        }
        board
    }

    fn set(&mut self, group: GroupId, number: Number, status: PoolStatus) {
        let list = self.groups.entry(group).or_default();
        list.retain(|(known, _)| *known != number);
        if status == PoolStatus::Normal {
            if list.is_empty() {
                self.groups.remove(&group);
            }
        } else {
            list.push((number, status));
        }
    }

    /// What a counter's status means; unknown limits count as rates.
    pub fn meaning(limit: Option<&crate::domain::Limit>, status: CounterStatus) -> PoolStatus {
        let is_budget = limit.is_some_and(|limit| matches!(limit.kind, crate::domain::Kind::Budget { .. }));
        PoolStatus::of_counter(status, is_budget)
    }

    /// A status changed.
    pub fn apply(&mut self, event: &QuotaEvent) {
        match &event.change {
            Change::Pool { to, .. } => self.pool = *to,
            Change::Counter(counter) => {
                self.set(counter.group, counter.number, Self::meaning(counter.limit.as_deref(), counter.to));
            }
        }
    }

    /// Status of whoever has these groups besides the pool's own: the worst of them all.
    pub fn status(&self, own: &[GroupId]) -> PoolStatus {
        let own = own.iter().filter_map(|group| self.groups.get(group)).flatten().map(|(_, status)| *status);
        own.max().unwrap_or_default().max(self.pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scope;

    #[test]
    fn a_scope_is_as_bad_as_the_worse_of_the_pool_and_its_own() {
        let group = Scope::new([("workspace", "w1")]).unwrap().select(&["workspace".into()]).group_id();
        let number = Number::of("limit");
        let mut board = Board::new(PoolStatus::Warning, [(group, number, PoolStatus::QuotaExceeded)]);
        assert_eq!(board.status(&[]), PoolStatus::Warning);
        assert_eq!(board.status(&[group]), PoolStatus::QuotaExceeded);
        board.set(group, number, PoolStatus::Normal);
        assert_eq!(board.status(&[group]), PoolStatus::Warning);
        assert!(board.groups.is_empty());
    }
}
