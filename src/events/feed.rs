//! Changed figures for whoever watches a scope: read once for all its subscribers, at most a few times
//! a second, and only while somebody watches.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Hub, pool::PoolHub, subscriber::Subscriber, timing::jittered};
use crate::{domain::Scope, store::log::LogQuery};

/// Scopes that are read at the same time.
const AT_ONCE: usize = 8;

/// Feeds one pool's subscribers until shutdown.
pub async fn run(hub: Hub, pool: Arc<PoolHub>, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = feed(hub, pool) => {}
    }
}

async fn feed(hub: Hub, pool: Arc<PoolHub>) {
    let mut operations = None;
    let mut read_at = Instant::now();
    loop {
        let watchers = pool.watchers();
        if watchers.is_empty() {
            pool.watched.notified().await;
            continue;
        }
        sleep(jittered(hub.timing().update, 0.1)).await;
        // One look at the pool tells whether any node has written since.
        let Ok(head) = hub.log(pool.id(), LogQuery::HEAD).await else { continue };
        let written = operations.replace(head.operations) != Some(head.operations);
        if written || read_at.elapsed() >= hub.timing().idle_update {
            read_at = Instant::now();
            refresh(&hub, &pool, watchers).await;
        }
    }
}

async fn refresh(hub: &Hub, pool: &PoolHub, watchers: HashMap<Scope, Vec<Arc<Subscriber>>>) {
    let oldest = hub.timing().update / 2;
    stream::iter(watchers)
        .for_each_concurrent(AT_ONCE, |(scope, subscribers)| async move {
            if let Ok(snapshot) = hub.snapshot(pool.id(), &scope, oldest).await {
                for subscriber in subscribers {
                    subscriber.offer_update(&snapshot);
                }
            }
        })
        .await;
}
