//! What a node's configuration makes of numbers and scopes; nothing is read from the store.

use std::sync::Arc;

use super::{Coordinator, types::CoordinatorError};
use crate::domain::{GroupId, Limit, Number, PoolId, Scope};

impl Coordinator {
    /// The limit of a number, where this node's configuration has it.
    pub fn limit_of(&self, pool: &PoolId, number: Number) -> Option<Arc<Limit>> {
        self.queue(pool).ok().and_then(|queue| queue.catalogue.load().limit(number).cloned())
    }

    /// Groups of the counters that stand for this scope alone: those all of whose keys it names. The
    /// pool-wide group is not among them.
    pub fn own_groups(&self, pool: &PoolId, scope: &Scope) -> Result<Vec<GroupId>, CoordinatorError> {
        let catalogue = self.queue(pool)?.catalogue.load_full();
        let own =
            catalogue.partitionings.iter().filter(|p| !p.per.is_empty() && p.per.iter().all(|key| scope.get(key).is_some()));
        Ok(own.map(|p| scope.select(&p.per).group_id()).collect())
    }
}
