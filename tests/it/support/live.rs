//! Nodes with live updates and without HTTP, and what tests do with them.

use std::{sync::Arc, time::Duration};

use quota_coordinator::{
    config::{Config, Environment, Format},
    coordinator::{
        Coordinator,
        types::{Ask, Outcome, Release, Reserve},
    },
    domain::{Cost, PoolId, Position, Priority, QuotaEvent, Scope, Unit},
    events::{self, Delivered, Delivery, Filter, Hub, Parts, Subscription, Timing},
    private_redis::PrivateRedis,
    store::{Store, log::LogQuery, redis::RedisStore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{eventually::soon, redis::settings};

/// One slot for the whole pool, and one for each workspace: each reservation and each release of it
/// changes a status. The first also changes the pool's.
pub fn slots(pool: &PoolId) -> String {
    format!(
        r#"
[[pools]]
id = "{pool}"
units = ["slots", "seats"]
[[pools.limits]]
id = "one-at-a-time"
kind = "concurrency"
unit = "slots"
capacity = 1
optional = true
[[pools.limits]]
id = "one-for-each"
kind = "concurrency"
unit = "seats"
capacity = 1
per = ["workspace"]
optional = true
"#
    )
}

pub struct LiveNode {
    pub coordinator: Coordinator,
    pub hub: Hub,
    pub store: Arc<dyn Store>,
    pub pool: PoolId,
    shutdown: CancellationToken,
}

impl Drop for LiveNode {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl LiveNode {
    /// A node for one pool. `listens` is where its subscription connects.
    pub async fn start_with(server: &PrivateRedis, listens: String, pool: &PoolId, toml: &str, timing: Timing) -> Self {
        let config = Config::parse("q.toml", Format::Toml, toml, &Environment::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(RedisStore::new(&settings(server.url())).unwrap());
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let coordinator = Coordinator::start(store.clone(), config.pools.clone(), &tasks, &shutdown).unwrap();
        coordinator.prepare().await.unwrap();
        let parts = Parts { url: listens, store: store.clone(), coordinator: coordinator.clone(), timing };
        let hub = events::start(parts, &tasks, &shutdown).unwrap();
        let node = Self { coordinator, hub, store, pool: pool.clone(), shutdown };
        super::eventually::eventually("the node hears itself", || !node.hub.freshness().stale).await;
        node
    }

    pub async fn start(server: &PrivateRedis, pool: &PoolId, toml: &str) -> Self {
        Self::start_with(server, server.url().to_owned(), pool, toml, Timing::default()).await
    }

    pub async fn take(&self, workspace: &str, unit: &str, amount: u64) -> Option<String> {
        let cost: Cost = [(Unit::new(unit).unwrap(), amount)].into_iter().collect();
        let ask =
            Ask { pool: self.pool.clone(), scope: workspace_scope(workspace), cost, estimate: None, priority: Priority::Normal };
        let request = Reserve {
            ask,
            lease: Duration::from_secs(600),
            idempotency_key: None,
            metadata: std::collections::BTreeMap::default(),
            principal: "test".into(),
        };
        match self.coordinator.reserve(request).await.unwrap().outcome {
            Outcome::Granted(grant) => Some(grant.reservation),
            Outcome::Denied(_) => None,
        }
    }

    pub async fn give_back(&self, reservation: String) {
        self.coordinator.release(Release::Reservation(reservation)).await.unwrap();
    }

    /// Takes and gives back: two changes of a counter, and with `slots` two of the pool as well.
    pub async fn flip(&self, workspace: &str, unit: &str) {
        let reservation = self.take(workspace, unit, 1).await.unwrap();
        self.give_back(reservation).await;
    }

    pub async fn watch(&self, workspace: &str, cursor: Option<Position>) -> Subscription {
        self.hub.subscribe(&self.pool, Filter::new(workspace_scope(workspace)), cursor).await.unwrap()
    }

    /// What Redis has of the log, and where it ends.
    pub async fn log(&self) -> (Vec<QuotaEvent>, Position) {
        let top = self.store.log(&self.pool, LogQuery::HEAD).await.unwrap().top;
        let page = self.store.log(&self.pool, LogQuery::after(top.seq.saturating_sub(1000))).await.unwrap();
        (page.entries, page.top)
    }
}

/// The scope of a workspace; the empty text is the whole pool.
pub fn workspace_scope(workspace: &str) -> Scope {
    match workspace {
        "" => Scope::default(),
        name => Scope::new([("workspace", name)]).unwrap(),
    }
}

pub async fn next(subscription: &mut Subscription) -> Delivery {
    soon("a delivery", subscription.next()).await
}

/// The next delivery that is not an update of figures.
pub async fn next_change(subscription: &mut Subscription) -> Delivery {
    loop {
        match next(subscription).await {
            Delivery::Update { .. } => {}
            other => return other,
        }
    }
}

pub async fn next_event(subscription: &mut Subscription) -> Delivered {
    match next_change(subscription).await {
        Delivery::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

/// Events until one of that seq.
pub async fn events_up_to(subscription: &mut Subscription, seq: u64) -> Vec<Delivered> {
    let mut list = Vec::new();
    while list.last().is_none_or(|event: &Delivered| event.live.position().seq < seq) {
        list.push(next_event(subscription).await);
    }
    list
}
