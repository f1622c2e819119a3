//! One pool on this node: its newest events, its statuses, its subscribers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::{
    board::Board,
    bus::Link,
    counts::Counts,
    live::LiveEvent,
    resume::Reason,
    ring::{Ring, Step},
    subscriber::{Queued, Subscriber},
};
use crate::domain::{GroupId, PoolId, PoolStatus, Position, QuotaEvent, Scope};

struct State {
    ring: Ring,
    board: Board,
    subscribers: HashMap<u64, Arc<Subscriber>>,
    /// Raised with each subscriber.
    next: u64,
    /// The ring was compared with the log since the subscription was made.
    verified: bool,
}

/// What came of joining a tail at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Events after the place will be offered, beginning with those that are known already.
    Yes,
    /// The place is older than the ring; read anew.
    TooOld,
    /// The tail follows another history; it has to look at the log first.
    Elsewhere,
}

/// What came of appending a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// How many events were the next ones.
    pub added: usize,
    /// A step that is neither the next nor known: the last such.
    pub stopped: Option<Step>,
}

/// See the module's documentation.
pub struct PoolHub {
    id: PoolId,
    state: Mutex<State>,
    /// 0 until the tail knows where the log stands; raised with each loss of continuity.
    generation: watch::Sender<u64>,
    /// Rings when somebody subscribes.
    pub watched: Notify,
    link: Arc<Link>,
    counts: Arc<Counts>,
}

impl PoolHub {
    pub fn new(id: PoolId, link: Arc<Link>, counts: Arc<Counts>) -> Self {
        let state = State {
            ring: Ring::at(Position::UNBORN),
            board: Board::default(),
            subscribers: HashMap::new(),
            next: 0,
            verified: false,
        };
        Self { id, state: Mutex::new(state), generation: watch::Sender::new(0), watched: Notify::new(), link, counts }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool's id.
    pub fn id(&self) -> &PoolId {
        &self.id
    }

    /// Where the tail stands.
    pub fn top(&self) -> Position {
        self.state().ring.top()
    }

    /// See the field.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Asks the tail to look at the log now.
    pub fn ask_tail(&self) {
        self.link.wake.notify_one();
    }

    /// Is the ring known to be the log's end, but for messages on their way?
    pub fn is_verified(&self) -> bool {
        self.state().verified
    }

    /// The ring was, or can no longer be said to be, compared with the log.
    pub fn set_verified(&self, verified: bool) {
        self.state().verified = verified;
    }

    /// Subscribers that joined before this moment have lower numbers.
    pub fn next_number(&self) -> u64 {
        self.state().next
    }

    /// How many subscribers there are.
    pub fn subscribers(&self) -> usize {
        self.state().subscribers.len()
    }

    /// Subscribers by the scope that they watch.
    pub fn watchers(&self) -> HashMap<Scope, Vec<Arc<Subscriber>>> {
        let mut list: HashMap<Scope, Vec<Arc<Subscriber>>> = HashMap::new();
        for subscriber in self.state().subscribers.values() {
            list.entry(subscriber.filter.scope().clone()).or_default().push(subscriber.clone());
        }
        list
    }

    /// Appends the events of one script call and offers them to everybody, as long as each is the next one. All
    /// carry the status after the last of them: the call made them at one instant, so that nobody is shown a pool
    /// between two of them. An older one is
    /// passed over, a gap ends it.
    pub fn append(&self, batch: impl IntoIterator<Item = QuotaEvent>) -> Appended {
        let mut state = self.state();
        let (mut added, mut stopped) = (Vec::new(), None);
        for event in batch {
            match state.ring.step(&event) {
                Step::Next => {
                    state.board.apply(&event);
                    let live = LiveEvent::new(event);
                    state.ring.push(live.clone());
                    added.push(live);
                }
                Step::Known => {}
                step @ (Step::Old | Step::Gap) => {
                    stopped = Some(step);
                    if step == Step::Gap {
                        break;
                    }
                }
            }
        }
        let State { subscribers, board, .. } = &mut *state;
        if !added.is_empty() {
            subscribers.retain(|_, subscriber| {
                let status = board.status(&subscriber.own);
                let stays = added.iter().all(|live| subscriber.offer(live, status));
                if !stays && subscriber.overflowed() {
                    self.counts.overflows.add(1);
                }
                stays
            });
        }
        self.counts.events.add(added.len());
        Appended { added: added.len(), stopped }
    }

    /// A pool that had no log has an empty one.
    pub fn adopt(&self, top: Position) {
        self.state().ring.adopt(top);
    }

    /// The tail begins at a place; whoever subscribed before is to join anew.
    pub fn restart(&self, top: Position, board: Board, reason: Reason) {
        let mut state = self.state();
        state.ring = Ring::at(top);
        state.board = board;
        for (_, subscriber) in state.subscribers.drain() {
            subscriber.reset(reason);
        }
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// The log ends at `top`, as read after the subscriber `before` joined: whoever joined earlier and
    /// stands beyond it has seen what was lost since.
    pub fn confirm(&self, top: Position, before: u64) {
        self.state().subscribers.retain(|number, subscriber| {
            let beyond = *number < before && subscriber.place(false).is_some_and(|place| place.seq > top.seq);
            if beyond {
                subscriber.reset(Reason::AheadOfLog);
            }
            !beyond
        });
    }

    /// Adds a subscriber that knows everything up to a place.
    pub fn join(&self, subscriber: &Arc<Subscriber>, place: Position) -> (Joined, u64) {
        let mut state = self.state();
        let State { ring, board, subscribers, next, .. } = &mut *state;
        let top = ring.top();
        // A tail that knows no log yet, or that messages on their way will bring to the place.
        let ahead = top.epoch == 0 || (place.epoch == top.epoch && place.seq > top.seq);
        if !ahead && place.epoch != top.epoch {
            return (Joined::Elsewhere, 0);
        }
        subscriber.begin(place);
        if !ahead {
            let Some(missed) = ring.since(place) else { return (Joined::TooOld, 0) };
            let status = board.status(&subscriber.own);
            for live in missed {
                subscriber.offer(live, status);
            }
        }
        let number = *next;
        *next += 1;
        subscribers.insert(number, subscriber.clone());
        drop(state);
        self.watched.notify_one();
        (Joined::Yes, number)
    }

    /// Adds a subscriber that goes on from its cursor, if the ring proves that this can be done
    /// without reading the log. Returns what it missed, and its number.
    pub fn resume(&self, subscriber: &Arc<Subscriber>, cursor: Position) -> Option<(Vec<Queued>, Position, u64)> {
        let mut state = self.state();
        if !state.verified || cursor.epoch == 0 {
            return None;
        }
        let status = state.board.status(&subscriber.own);
        let missed = shown(subscriber, state.ring.since(cursor)?.map(|live| (live, status)));
        let top = state.ring.top();
        subscriber.begin(top);
        let number = state.next;
        state.next += 1;
        state.subscribers.insert(number, subscriber.clone());
        drop(state);
        self.watched.notify_one();
        Some((missed, top, number))
    }

    /// Present status of whoever has these groups.
    pub fn status(&self, own: &[GroupId]) -> PoolStatus {
        self.state().board.status(own)
    }

    /// Forgets a subscriber.
    pub fn leave(&self, number: u64) {
        self.state().subscribers.remove(&number);
    }
}

/// What of these events a subscriber sees.
pub fn shown<'a>(subscriber: &Subscriber, events: impl Iterator<Item = (&'a Arc<LiveEvent>, PoolStatus)>) -> Vec<Queued> {
    let queued =
        events.map(|(live, status)| Queued { live: live.clone(), view: subscriber.filter.view(&live.event.change), status });
    queued.filter(|queued| queued.view != super::filter::View::Hidden).collect()
}
