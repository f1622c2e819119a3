//! One node whose time the test sets, and whose leases end when the test sweeps.

use std::{sync::Arc, time::Duration};

use quota_coordinator::{domain::Pool, store::redis::RedisStore};

use super::{
    node::{Node, pool_of, sweep},
    redis::{TestClock, fresh_pool, shared, timed_store},
};

pub struct Timed {
    pub node: Node,
    pub store: Arc<RedisStore>,
    pub config: Arc<Pool>,
    pub clock: TestClock,
}

impl std::ops::Deref for Timed {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Timed {
    pub async fn start(stem: &str, limits: &str) -> Self {
        let id = fresh_pool(stem);
        let config = pool_of(&id, limits);
        let store = timed_store(shared().await);
        let clock = TestClock::start(shared().await, &id).await;
        Self { node: Node::without_sweeper(store.clone(), &config).await, store, config, clock }
    }

    /// Another node of the same pool, with a configuration of its own.
    pub async fn beside(&self, limits: &str) -> Node {
        Node::without_sweeper(timed_store(shared().await), &pool_of(&self.pool, limits)).await
    }

    pub async fn pass(&mut self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds)).await;
    }

    pub async fn sweep(&self) {
        sweep(self.store.as_ref(), &self.config).await;
    }
}
