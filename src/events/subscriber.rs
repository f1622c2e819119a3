//! What waits for one subscriber. Whoever offers never waits: a queue that is full ends its subscriber.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    filter::{Filter, View},
    live::LiveEvent,
    resume::Reason,
    snapshot::Snapshot,
};
use crate::domain::{GroupId, PoolStatus, Position};

/// The most events that wait for one subscriber.
pub const MOST_EVENTS: usize = 1024;
/// The most memory that they may need, bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// An event that waits.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The event.
    pub live: Arc<LiveEvent>,
    /// How much of it is shown.
    pub view: View,
    /// Status of the subscriber's scope after it.
    pub status: PoolStatus,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Queued>,
    bytes: usize,
    /// Everything up to here was offered.
    place: Option<Position>,
    update: Option<Arc<Snapshot>>,
    /// Fingerprint of the figures that the subscriber has.
    shown: Option<u64>,
    reset: Option<Reason>,
    overflow: bool,
}

/// What a subscriber takes from its queue.
#[derive(Debug)]
pub enum Taken {
    /// The next event.
    Event(Queued),
    /// New figures; every event up to this place was taken before.
    Update(Arc<Snapshot>, Position),
    /// Continuity was lost; the subscriber is to join anew.
    Reset(Reason),
    /// It read too slowly; nothing more comes.
    Overflow,
}

/// See the module's documentation.
pub struct Subscriber {
    /// What it sees.
    pub filter: Filter,
    /// Groups of its scope besides the pool's own.
    pub own: Vec<GroupId>,
    /// Rings when there is something to take.
    pub wake: Notify,
    queue: Mutex<Queue>,
}

impl Subscriber {
    pub fn new(filter: Filter, own: Vec<GroupId>) -> Self {
        Self { filter, own, wake: Notify::new(), queue: Mutex::default() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew at a place: what is offered up to there is known already.
    pub fn begin(&self, place: Position) {
        *self.queue() = Queue { place: Some(place), ..Queue::default() };
    }

    /// The subscriber was given these figures by another way.
    pub fn has_seen(&self, snapshot: &Snapshot) {
        self.queue().shown = Some(snapshot.fingerprint());
    }

    /// Takes the next event of the pool, or knows it already. False when the subscriber is to be
    /// forgotten by whoever offers.
    pub fn offer(&self, live: &Arc<LiveEvent>, status: PoolStatus) -> bool {
        let mut queue = self.queue();
        let (Some(place), None, false) = (queue.place, queue.reset, queue.overflow) else { return false };
        let to = live.position();
        if !live.event.follows(place) {
            if to.epoch == place.epoch && (to.seq < place.seq || to == place) {
                return true;
            }
            drop(queue);
            self.reset(Reason::Diverged);
            return false;
        }
        queue.place = Some(to);
        let view = self.filter.view(&live.event.change);
        if view == View::Hidden {
            return true;
        }
        let weight = live.weight();
        if queue.events.len() >= MOST_EVENTS || queue.bytes + weight > MOST_BYTES {
            *queue = Queue { overflow: true, ..Queue::default() };
        } else {
            queue.bytes += weight;
            queue.events.push_back(Queued { live: live.clone(), view, status });
        }
        let stays = !queue.overflow;
        drop(queue);
        self.wake.notify_one();
        stays
    }

    /// Replaces the figures that wait, unless the subscriber has the same.
    pub fn offer_update(&self, snapshot: &Arc<Snapshot>) {
        let mut queue = self.queue();
        if queue.shown == Some(snapshot.fingerprint()) {
            queue.update = None;
        } else if queue.reset.is_none() && !queue.overflow {
            queue.update = Some(snapshot.clone());
            drop(queue);
            self.wake.notify_one();
        }
    }

    /// Continuity is lost after what waits now.
    pub fn reset(&self, reason: Reason) {
        let mut queue = self.queue();
        queue.reset.get_or_insert(reason);
        queue.update = None;
        drop(queue);
        self.wake.notify_one();
    }

    /// The next thing that waits, events first.
    pub fn take(&self) -> Option<Taken> {
        let mut queue = self.queue();
        if queue.overflow {
            return Some(Taken::Overflow);
        }
        if let Some(event) = queue.events.pop_front() {
            queue.bytes -= event.live.weight();
            return Some(Taken::Event(event));
        }
        if let Some(reason) = queue.reset {
            return Some(Taken::Reset(reason));
        }
        let snapshot = queue.update.take()?;
        queue.shown = Some(snapshot.fingerprint());
        Some(Taken::Update(snapshot, queue.place.unwrap_or(Position::UNBORN)))
    }

    /// Where everything was offered up to; with `drained` only if nothing of it waits.
    pub fn place(&self, drained: bool) -> Option<Position> {
        let queue = self.queue();
        queue.place.filter(|_| !drained || (queue.events.is_empty() && queue.reset.is_none()))
    }

    /// True when it was given up because it read too slowly.
    pub fn overflowed(&self) -> bool {
        self.queue().overflow
    }

    /// How much waits: events, bytes.
    pub fn waiting(&self) -> (usize, usize) {
        let queue = self.queue();
        (queue.events.len(), queue.bytes)
    }
}
