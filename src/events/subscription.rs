//! One subscriber's view of a pool: an unbroken run of events, or a snapshot that says why not.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    Hub,
    filter::{Filter, View},
    join,
    live::LiveEvent,
    pool::PoolHub,
    resume::Reason,
    snapshot::Snapshot,
    subscriber::{Queued, Subscriber, Taken},
    timing::jittered,
};
use crate::{
    coordinator::types::CoordinatorError,
    domain::{PoolId, PoolStatus, Position},
};

/// Pause before a join is tried again while the store does not answer; doubles up to the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// An event as one subscriber gets it.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The event.
    pub live: Arc<LiveEvent>,
    /// How much of it the subscriber may see.
    pub view: View,
    /// Seq of what this subscriber got before: with a filter seqs have holes that are no losses.
    pub prev: u64,
    /// Status of the subscriber's scope: the worse of the pool's and its own counters'.
    pub status: PoolStatus,
}

impl Delivered {
    /// The event as a `quota_event` object. `subscription` names one of several on a connection.
    pub fn to_json(&self, pool: &PoolId, subscription: Option<&str>) -> String {
        let body = self.live.body(self.view);
        let mut text = String::with_capacity(body.len() + 128);
        // Ids of pools and subscriptions need no escaping; writing to a string cannot fail.
        let _ = write!(text, r#"{{"type":"quota_event","pool":"{pool}","#);
        if let Some(subscription) = subscription {
            let _ = write!(text, r#""subscription":"{subscription}","#);
        }
        let _ = write!(text, r#""prev":{},"status":"{}",{body}"#, self.prev, self.status.as_str());
        text
    }
}

/// What a subscriber gets.
#[derive(Debug)]
pub enum Delivery {
    /// Everything as it is at a place; events follow from there.
    Snapshot {
        /// Why it is not a replay.
        reason: Reason,
        /// The figures.
        snapshot: Arc<Snapshot>,
        /// The place.
        cursor: Position,
    },
    /// Everything since the subscriber's cursor; events follow from there.
    Replay {
        /// Present figures.
        snapshot: Arc<Snapshot>,
        /// What was missed, oldest first.
        events: Vec<Delivered>,
        /// Present status of the scope.
        status: PoolStatus,
        /// The place after them.
        cursor: Position,
    },
    /// One status change.
    Event(Delivered),
    /// Changed figures. The cursor is what the subscriber has got so far, never more.
    Update {
        /// The figures.
        snapshot: Arc<Snapshot>,
        /// The place after the last event that the subscriber got or need not see.
        cursor: Position,
    },
    /// Continuity was lost; a snapshot follows.
    Reset {
        /// How.
        reason: Reason,
    },
    /// The subscriber read too slowly. Nothing more comes; it can resume from its cursor.
    Overflow,
}

enum Phase {
    Live,
    /// In a mutex that nobody locks: it lets a subscription be shared.
    Joining(Mutex<BoxFuture<'static, (Delivery, u64)>>),
    Ended,
}

/// See the module's documentation. Dropping it unsubscribes.
pub struct Subscription {
    pool: Arc<PoolHub>,
    hub: Hub,
    subscriber: Arc<Subscriber>,
    number: u64,
    phase: Phase,
    first: Option<Delivery>,
    last: Position,
}

impl Subscription {
    pub(super) async fn open(
        hub: Hub,
        pool: &PoolId,
        filter: Filter,
        cursor: Option<Position>,
    ) -> Result<Self, CoordinatorError> {
        let own = hub.coordinator().own_groups(pool, filter.scope())?;
        let pool = hub.pool(pool)?.clone();
        let subscriber = Arc::new(Subscriber::new(filter, own));
        let (delivery, number) = join::join(&hub, &pool, &subscriber, cursor.ok_or(Reason::NoCursor)).await?;
        let last = cursor.unwrap_or(Position::UNBORN);
        Ok(Self { pool, hub, subscriber, number, phase: Phase::Live, first: Some(delivery), last })
    }

    /// The pool's id.
    pub fn pool(&self) -> &PoolId {
        self.pool.id()
    }

    /// What it sees.
    pub fn filter(&self) -> &Filter {
        &self.subscriber.filter
    }

    /// How much waits to be taken: events, bytes.
    pub fn waiting(&self) -> (usize, usize) {
        self.subscriber.waiting()
    }

    /// The place up to which [`Self::next`] has given everything: whoever resumes there misses nothing.
    pub fn cursor(&self) -> Position {
        match (&self.phase, &self.first) {
            (Phase::Live, None) => self.subscriber.place(true).unwrap_or(self.last),
            _ => self.last,
        }
    }

    /// The next delivery. Dropping the future loses nothing. After `Overflow` it never returns.
    pub async fn next(&mut self) -> Delivery {
        if let Some(first) = self.first.take() {
            return self.joined(first);
        }
        loop {
            match &mut self.phase {
                Phase::Ended => std::future::pending().await,
                Phase::Joining(joining) => {
                    let (delivery, number) = joining.get_mut().unwrap_or_else(PoisonError::into_inner).await;
                    self.number = number;
                    self.phase = Phase::Live;
                    return self.joined(delivery);
                }
                Phase::Live => match self.subscriber.take() {
                    Some(Taken::Event(queued)) => return Delivery::Event(self.deliver(queued)),
                    Some(Taken::Update(snapshot, place)) => {
                        self.last = place;
                        return Delivery::Update { snapshot, cursor: place };
                    }
                    Some(Taken::Reset(reason)) => {
                        let (hub, pool) = (self.hub.clone(), self.pool.clone());
                        self.pool.leave(self.number);
                        self.phase = Phase::Joining(Mutex::new(rejoin(hub, pool, self.subscriber.clone(), reason).boxed()));
                        return Delivery::Reset { reason };
                    }
                    Some(Taken::Overflow) => {
                        self.phase = Phase::Ended;
                        return Delivery::Overflow;
                    }
                    None => self.subscriber.wake.notified().await,
                },
            }
        }
    }

    fn deliver(&mut self, queued: Queued) -> Delivered {
        let prev = self.last.seq;
        self.last = queued.live.position();
        Delivered { live: queued.live, view: queued.view, prev, status: queued.status }
    }

    fn joined(&mut self, delivery: Delivery) -> Delivery {
        match &delivery {
            Delivery::Snapshot { cursor, .. } => self.last = *cursor,
            // What is passed over after the last event that is shown is no place that the subscriber knows:
            // the next event must name one as its predecessor.
            Delivery::Replay { events, .. } => self.last = events.last().map_or(self.last, |event| event.live.position()),
            _ => {}
        }
        delivery
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.pool.leave(self.number);
    }
}

/// Joins again after a loss of continuity, however long the store takes to answer.
async fn rejoin(hub: Hub, pool: Arc<PoolHub>, subscriber: Arc<Subscriber>, reason: Reason) -> (Delivery, u64) {
    let mut pause = RETRY.0;
    loop {
        match join::join(&hub, &pool, &subscriber, Err(reason)).await {
            Ok(joined) => return joined,
            Err(error) => tracing::debug!(pool = %pool.id(), %error, "a subscriber waits for its snapshot"),
        }
        tokio::time::sleep(jittered(pause, 0.25)).await;
        pause = (pause * 2).min(RETRY.1);
    }
}
