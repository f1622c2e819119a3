//! Notices that the store has lost data: its counter of a pool's operations went back, or the pool's
//! epoch is another.
//!
//! Answers arrive out of order, so each is compared with what was known when its call was sent.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tracing::warn;

use super::queue::PoolQueue;
use crate::{
    domain::Position,
    store::{
        Store, StoreError,
        log::{LogQuery, Loss},
    },
};

/// What was known at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Raised with each loss: an answer to a call from before says nothing.
    round: u64,
    /// 0 = none yet.
    epoch: u64,
    operations: u64,
}

#[derive(Debug, Default)]
struct Known {
    mark: Mark,
    /// Seen and not announced yet.
    loss: Option<Loss>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Witness {
    known: Mutex<Known>,
    emptied: AtomicU64,
    went_back: AtomicU64,
}

impl Witness {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be taken before a call is sent.
    pub fn mark(&self) -> Mark {
        self.known().mark
    }

    /// What the answer to that call says.
    pub fn compare(&self, before: Mark, position: Position, operations: u64) {
        let mut known = self.known();
        if before.round != known.mark.round {
            return;
        }
        let epoch = position.epoch;
        if before.epoch != 0 && (epoch != before.epoch || operations < before.operations) {
            let found = (epoch == before.epoch).then_some(operations);
            known.loss.get_or_insert(Loss { epoch: before.epoch, seen: before.operations, found });
            known.mark = Mark { round: before.round + 1, epoch, operations };
        } else if epoch == known.mark.epoch {
            known.mark.operations = known.mark.operations.max(operations);
        } else if known.mark.epoch == 0 {
            known.mark = Mark { epoch, operations, ..known.mark };
        }
    }

    /// Losses that this node was the first to announce: of everything, and of the newest operations.
    pub fn announced(&self) -> (u64, u64) {
        (self.emptied.load(Ordering::Relaxed), self.went_back.load(Ordering::Relaxed))
    }
}

/// Looks at the counter, and announces a loss that was seen, by whichever call. Repeated until the
/// store has taken it.
pub async fn look(queue: &PoolQueue, store: &dyn Store) -> Result<(), StoreError> {
    let before = queue.witness.mark();
    let page = store.log(queue.id(), LogQuery::HEAD).await?;
    queue.witness.compare(before, page.top, page.operations);
    let Some(loss) = queue.witness.known().loss else { return Ok(()) };
    let first = store.announce(queue.id(), loss).await?;
    queue.witness.known().loss = None;
    // What was full may be empty.
    queue.denials.clear();
    if first {
        let (count, reason) = match loss.found {
            None => (&queue.witness.emptied, "empty"),
            Some(_) => (&queue.witness.went_back, "operations_went_back"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        // Each lost operation may have taken units that are granted again.
        let lost = loss.found.map_or_else(|| "unknown".into(), |found| loss.seen.saturating_sub(found).to_string());
        warn!(pool = %queue.id(), reason, seen = loss.seen, calls_lost_at_least = lost, "the store has lost data; what was taken in the lost calls may be granted again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64) -> Position {
        Position { epoch, ..Position::UNBORN }
    }

    #[test]
    fn a_late_answer_is_no_loss_and_one_loss_is_seen_once() {
        let witness = Witness::default();
        witness.compare(witness.mark(), at(0), 0);
        witness.compare(witness.mark(), at(7), 1);
        let (first, second) = (witness.mark(), witness.mark());
        witness.compare(second, at(7), 9);
        witness.compare(first, at(7), 8);
        assert_eq!(witness.known().loss, None);
        assert_eq!(witness.mark().operations, 9);

        let late = witness.mark();
        witness.compare(witness.mark(), at(7), 5);
        assert_eq!(witness.known().loss.take(), Some(Loss { epoch: 7, seen: 9, found: Some(5) }));
        witness.compare(late, at(7), 11);
        assert_eq!(witness.mark().operations, 5, "an answer from before the loss");
        witness.compare(witness.mark(), at(7), 6);
        assert_eq!(witness.known().loss, None);
        witness.compare(witness.mark(), at(0), 0);
        assert_eq!(witness.known().loss, Some(Loss { epoch: 7, seen: 6, found: None }));
    }
}
