//! The gap-free join: read at one instant of the store, then go on from exactly there.
//!
//! The tail was following the pool before the read, and keeps the newest events. So whatever was
//! written after the read is either in its ring already or still to come, and a subscriber that is
//! put at the read's place misses nothing and gets nothing twice.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    Hub,
    live::LiveEvent,
    pool::{Joined, PoolHub, shown},
    resume::{Reason, missed},
    subscriber::{Queued, Subscriber},
    subscription::{Delivered, Delivery},
};
use crate::{
    coordinator::types::CoordinatorError,
    domain::{Position, event::Change},
    store::{StoreError, log::LogQuery},
};

fn away(reason: impl std::fmt::Display) -> CoordinatorError {
    CoordinatorError::StoreUnavailable { reason: reason.to_string(), retry_after: Duration::from_secs(1) }
}

/// Joins with a cursor, or because of a reason. The subscriber's number in the pool comes along.
pub async fn join(
    hub: &Hub,
    pool: &Arc<PoolHub>,
    subscriber: &Arc<Subscriber>,
    cursor: Result<Position, Reason>,
) -> Result<(Delivery, u64), CoordinatorError> {
    let deadline = Instant::now() + hub.timing().join;
    let follows = async {
        // The tail must know where the log stands before anybody can go on from it.
        let _ = pool.generation().wait_for(|generation| *generation > 0).await;
        let mut oldest = if cursor.is_ok() { hub.timing().update } else { Duration::ZERO };
        loop {
            let generation = pool.generation();
            match attempt(hub, pool, subscriber, cursor, oldest).await? {
                Ok(joined) => return Ok(joined),
                Err(Joined::Elsewhere) => {
                    pool.ask_tail();
                    wait_for_tail(generation).await;
                }
                Err(_) => pool.ask_tail(),
            }
            oldest = Duration::ZERO;
        }
    };
    timeout_at(deadline, follows).await.unwrap_or_else(|_| Err(away("this node has not caught up with the pool's log")))
}

/// Until continuity was declared lost, or a moment has passed in which the tail may have caught up.
async fn wait_for_tail(mut generation: tokio::sync::watch::Receiver<u64>) {
    let _ = tokio::time::timeout(Duration::from_millis(20), generation.changed()).await;
}

async fn attempt(
    hub: &Hub,
    pool: &Arc<PoolHub>,
    subscriber: &Arc<Subscriber>,
    cursor: Result<Position, Reason>,
    oldest: Duration,
) -> Result<Result<(Delivery, u64), Joined>, CoordinatorError> {
    let snapshot = hub.snapshot(pool.id(), subscriber.filter.scope(), oldest).await?;
    let replay = |missed: Vec<Queued>, from: Position, to: Position| Delivery::Replay {
        events: chain(missed, from),
        status: pool.status(&subscriber.own),
        snapshot: snapshot.clone(),
        cursor: to,
    };
    let reason = match cursor {
        Err(reason) => reason,
        Ok(cursor) => {
            if let Some((missed, to, number)) = pool.resume(subscriber, cursor) {
                hub.counts().ring_resumes.add(1);
                subscriber.has_seen(&snapshot);
                return Ok(Ok((replay(missed, cursor, to), number)));
            }
            let page = hub.log(pool.id(), LogQuery::after(cursor.seq)).await.map_err(|error| match error {
                StoreError::Protocol(what) => CoordinatorError::Internal(what),
                other => away(other),
            })?;
            match missed(Some(cursor), &page) {
                Err(reason) => reason,
                Ok(range) => {
                    let live: Vec<_> = page.entries[range].iter().map(|event| LiveEvent::new(named(hub, pool, event))).collect();
                    let status = pool.status(&subscriber.own);
                    let missed = shown(subscriber, live.iter().map(|live| (live, status)));
                    return Ok(match pool.join(subscriber, page.top) {
                        (Joined::Yes, number) => {
                            hub.counts().log_resumes.add(1);
                            subscriber.has_seen(&snapshot);
                            Ok((replay(missed, cursor, page.top), number))
                        }
                        (other, _) => Err(other),
                    });
                }
            }
        }
    };
    Ok(match pool.join(subscriber, snapshot.position) {
        (Joined::Yes, number) => {
            hub.counts().snapshots.add(1);
            subscriber.has_seen(&snapshot);
            let cursor = snapshot.position;
            Ok((Delivery::Snapshot { reason, snapshot, cursor }, number))
        }
        (other, _) => Err(other),
    })
}

/// Gives each event the seq of the one before it that this subscriber saw.
fn chain(missed: Vec<Queued>, from: Position) -> Vec<Delivered> {
    let mut prev = from.seq;
    let deliver = |Queued { live, view, status }| {
        let before = std::mem::replace(&mut prev, live.position().seq);
        Delivered { live, view, prev: before, status }
    };
    missed.into_iter().map(deliver).collect()
}

/// The event with the limit that this node's configuration has under its number.
pub fn named(hub: &Hub, pool: &PoolHub, event: &crate::domain::QuotaEvent) -> crate::domain::QuotaEvent {
    let mut event = event.clone();
    if let Change::Counter(counter) = &mut event.change {
        counter.limit = hub.coordinator().limit_of(pool.id(), counter.number);
    }
    event
}
