//! The newest events of a pool: an unbroken run that ends at the tail's place.

use std::{collections::VecDeque, sync::Arc};

use super::live::LiveEvent;
use crate::domain::{Position, QuotaEvent};

/// Events that are kept.
pub const LENGTH: usize = 256;

/// What an event is to a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next one.
    Next,
    /// It is in the ring.
    Known,
    /// Older than the ring; of the same log as far as can be told.
    Old,
    /// Neither: something between is missing, or the histories differ.
    Gap,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Ring {
    events: VecDeque<Arc<LiveEvent>>,
    top: Position,
}

impl Ring {
    /// An empty run that ends there.
    pub fn at(top: Position) -> Self {
        Self { events: VecDeque::with_capacity(LENGTH), top }
    }

    /// The place after the newest event.
    pub fn top(&self) -> Position {
        self.top
    }

    fn index(&self, seq: u64) -> Option<usize> {
        let first = self.events.front()?.position().seq;
        usize::try_from(seq.checked_sub(first)?).ok().filter(|at| *at < self.events.len())
    }

    /// What an event is to this ring.
    pub fn step(&self, event: &QuotaEvent) -> Step {
        let place = event.position;
        if event.follows(self.top) {
            return Step::Next;
        }
        if place.epoch != self.top.epoch || place.seq > self.top.seq {
            return Step::Gap;
        }
        match self.index(place.seq) {
            Some(at) if self.events[at].position() == place => Step::Known,
            Some(_) => Step::Gap,
            None if place == self.top => Step::Known,
            None => Step::Old,
        }
    }

    /// Appends the next event.
    pub fn push(&mut self, live: Arc<LiveEvent>) {
        if self.events.len() == LENGTH {
            self.events.pop_front();
        }
        self.top = live.position();
        self.events.push_back(live);
    }

    /// A pool that had no log has an empty one now.
    pub fn adopt(&mut self, top: Position) {
        self.top = top;
    }

    /// Everything after a place, if the place is proved to be on this run.
    pub fn since(&self, place: Position) -> Option<impl Iterator<Item = &Arc<LiveEvent>>> {
        let from = if place == self.top {
            self.events.len()
        } else {
            let at = self.index(place.seq + 1)?;
            self.events[at].event.follows(place).then_some(at)?
        };
        Some(self.events.range(from..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        EventId, PoolStatus,
        event::{Cause, Change},
    };

    fn id(seq: u64) -> EventId {
        EventId::from_text(&format!("{seq:020x}")).unwrap()
    }

    fn event(seq: u64) -> QuotaEvent {
        QuotaEvent {
            position: Position { epoch: 5, seq, event: id(seq) },
            prev: id(seq - 1),
            at_us: 0,
            cause: Cause::Time,
            change: Change::Pool { from: PoolStatus::Normal, to: PoolStatus::Warning },
        }
    }

    #[test]
    fn a_ring_knows_what_continues_it() {
        let mut ring = Ring::at(Position { epoch: 5, seq: 0, event: EventId::NONE });
        for seq in 1..=300 {
            assert_eq!(ring.step(&event(seq)), Step::Next);
            ring.push(LiveEvent::new(event(seq)));
        }
        assert_eq!(ring.step(&event(300)), Step::Known);
        assert_eq!(ring.step(&event(45)), Step::Known);
        assert_eq!(ring.step(&event(44)), Step::Old);
        assert_eq!(ring.step(&event(302)), Step::Gap);
        assert_eq!(ring.step(&QuotaEvent { prev: id(7), ..event(301) }), Step::Gap);
        let other = Position { event: id(9), ..event(299).position };
        assert_eq!(ring.step(&QuotaEvent { position: other, ..event(299) }), Step::Gap);

        let seqs = |place| ring.since(place).map(|list| list.map(|live| live.position().seq).collect::<Vec<_>>());
        assert_eq!(seqs(event(300).position), Some(vec![]));
        assert_eq!(seqs(event(298).position), Some(vec![299, 300]));
        assert_eq!(seqs(event(44).position).map(|list| list.len()), Some(256));
        assert_eq!(seqs(event(43).position), None);
        assert_eq!(seqs(other), None);
    }
}
