//! From the pools' event logs to whoever watches, through this node.
//!
//! One subscription ([`bus`]) brings messages from Redis. For each pool a [`tail`] checks that they
//! continue the log, repairs from the log what does not, and hands them to the [`hub`], which keeps
//! the newest in a ring and fans them out. A message is only a hint that is fast: the log is the truth,
//! and whoever cannot be given an unbroken continuation is told so and given a snapshot.

mod board;
mod bus;
pub mod counts;
mod feed;
pub mod filter;
pub mod freshness;
pub mod hub;
mod join;
pub mod live;
mod pool;
mod probe;
mod reads;
pub mod resume;
mod ring;
pub mod snapshot;
mod subscriber;
pub mod subscription;
mod tail;
pub mod timing;

use std::{collections::HashMap, sync::Arc};

use bus::{Bus, Link};

pub use filter::Filter;
pub use freshness::Freshness;
pub use hub::Hub;
pub use live::LiveEvent;
pub use resume::Reason;
pub use snapshot::Snapshot;
pub use subscription::{Delivered, Delivery, Subscription};
pub use timing::Timing;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    coordinator::Coordinator,
    domain::PoolId,
    store::{Store, StoreError},
};

/// What live updates are made of.
pub struct Parts {
    /// Where the subscription connects: `redis://`, `rediss://` or `redis+unix://`.
    pub url: String,
    /// Where logs are read.
    pub store: Arc<dyn Store>,
    /// Where figures are read.
    pub coordinator: Coordinator,
    /// How often and how long.
    pub timing: Timing,
}

/// Begins to follow all pools of the coordinator. The tasks end with `shutdown` and are tracked by
/// `tasks`. Errors when the URL is not usable; a server that is away is waited for.
pub fn start(parts: Parts, tasks: &TaskTracker, shutdown: &CancellationToken) -> Result<Hub, StoreError> {
    let links: HashMap<PoolId, _> = parts.coordinator.pools().iter().map(|pool| (pool.id.clone(), Link::new())).collect();
    let (ends, mut inboxes): (HashMap<_, _>, HashMap<_, _>) =
        links.into_iter().map(|(pool, (link, inbox))| ((pool.clone(), link), (pool, inbox))).unzip();
    let hub = Hub::new(&parts, &ends);
    for pool in hub.pools() {
        if let (Some(link), Some(inbox)) = (ends.get(pool.id()), inboxes.remove(pool.id())) {
            tasks.spawn(tail::Tail::new(hub.clone(), pool.clone(), link.clone(), inbox).run(shutdown.clone()));
            tasks.spawn(feed::run(hub.clone(), pool.clone(), shutdown.clone()));
        }
    }
    let probe = probe::Probe::new(parts.store.clone());
    let bus = Bus::new(&parts.url, ends, probe, hub.freshness_state().clone(), hub.counts().clone(), parts.timing)?;
    tasks.spawn(bus.run(shutdown.clone()));
    Ok(hub)
}
