//! May a reader that stands at a place in the log go on from there?

use std::ops::Range;

use serde::Serialize;

use crate::{
    domain::Position,
    store::log::{LogPage, MOST_EVENTS},
};

/// Why continuity cannot be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The reader named no place.
    NoCursor,
    /// The log is another one, or there is none.
    EpochChanged,
    /// The log ends before the reader's place: its tail was lost.
    AheadOfLog,
    /// The log has another event at the reader's place.
    Diverged,
    /// More events lie between than are replayed.
    TooFar,
    /// Events between are no longer kept.
    Trimmed,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCursor => "no_cursor",
            Self::EpochChanged => "epoch_changed",
            Self::AheadOfLog => "ahead_of_log",
            Self::Diverged => "diverged",
            Self::TooFar => "too_far",
            Self::Trimmed => "trimmed",
        }
    }
}

/// Which of a page's entries the reader has missed, or why that cannot be known.
///
/// If the event at the reader's place (or before the next one) has the id that the reader saw, both
/// have the same history up to there, since each event has one predecessor.
pub fn missed(cursor: Option<Position>, page: &LogPage) -> Result<Range<usize>, Reason> {
    let Some(cursor) = cursor else { return Err(Reason::NoCursor) };
    let top = page.top;
    if top == Position::UNBORN && cursor == top {
        // Nobody has written since the reader looked.
        return Ok(0..0);
    }
    if top.epoch == 0 || cursor.epoch != top.epoch {
        return Err(Reason::EpochChanged);
    }
    if cursor.seq > top.seq {
        return Err(Reason::AheadOfLog);
    }
    let entries = &page.entries;
    if cursor.seq == top.seq {
        let end = entries.len();
        return if cursor.event == top.event { Ok(end..end) } else { Err(Reason::Diverged) };
    }
    if top.seq - cursor.seq > MOST_EVENTS as u64 {
        return Err(Reason::TooFar);
    }
    let own = entries.iter().position(|event| event.position.seq == cursor.seq);
    if own.is_some_and(|at| entries[at].position.event != cursor.event) {
        return Err(Reason::Diverged);
    }
    let rest = own.map_or(0, |at| at + 1);
    let mut place = cursor;
    for event in &entries[rest..] {
        if !event.follows(place) {
            // The next event names another predecessor: the reader's own place is of another history.
            let diverged = event.position.seq == place.seq + 1 && place.seq == cursor.seq;
            return Err(if diverged { Reason::Diverged } else { Reason::Trimmed });
        }
        place = event.position;
    }
    if place == top { Ok(rest..entries.len()) } else { Err(Reason::Trimmed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        EventId, PoolStatus, QuotaEvent,
        event::{Cause, Change},
    };

    const EPOCH: u64 = 7;

    fn id(history: u8, seq: u64) -> EventId {
        if seq == 0 {
            return EventId::NONE;
        }
        let mut id = EventId::NONE;
        id.0.copy_from_slice(format!("{history:04x}{seq:016x}").as_bytes());
        id
    }

    fn place(history: u8, seq: u64) -> Position {
        Position { epoch: EPOCH, seq, event: id(history, seq) }
    }

    fn event(history: u8, seq: u64) -> QuotaEvent {
        QuotaEvent {
            position: place(history, seq),
            prev: id(history, seq - 1),
            at_us: 0,
            cause: Cause::Time,
            change: Change::Pool { from: PoolStatus::Normal, to: PoolStatus::Warning },
        }
    }

    /// A log of history 1 that holds these seqs.
    fn log(top: u64, held: impl IntoIterator<Item = u64>) -> LogPage {
        let entries: Vec<_> = held.into_iter().map(|seq| event(1, seq)).collect();
        LogPage {
            top: place(1, top),
            operations: 9,
            pool_status: PoolStatus::Normal,
            oldest: entries.first().map_or(0, |event| event.position.seq),
            entries,
            standing: None,
            pool_since_us: None,
            groups: 0,
        }
    }

    fn missed_seqs(cursor: Position, page: &LogPage) -> Result<Vec<u64>, Reason> {
        missed(Some(cursor), page).map(|range| page.entries[range].iter().map(|event| event.position.seq).collect())
    }

    #[test]
    fn no_cursor_is_a_snapshot() {
        assert_eq!(missed(None, &log(3, 1..=3)), Err(Reason::NoCursor));
    }

    #[test]
    fn another_epoch_or_no_log_at_all_is_a_snapshot() {
        let other = Position { epoch: 8, ..place(1, 2) };
        assert_eq!(missed_seqs(other, &log(3, 1..=3)), Err(Reason::EpochChanged));
        let unborn = LogPage { top: Position::UNBORN, ..log(0, []) };
        assert_eq!(missed_seqs(place(1, 2), &unborn), Err(Reason::EpochChanged));
        assert_eq!(missed_seqs(Position::UNBORN, &log(3, 1..=3)), Err(Reason::EpochChanged), "it may be the second log since");
    }

    #[test]
    fn a_pool_that_nobody_has_written_to_has_changed_nothing() {
        let unborn = LogPage { top: Position::UNBORN, ..log(0, []) };
        assert_eq!(missed_seqs(Position::UNBORN, &unborn), Ok(vec![]));
    }

    #[test]
    fn a_cursor_beyond_the_end_is_a_snapshot() {
        assert_eq!(missed_seqs(place(1, 4), &log(3, 1..=3)), Err(Reason::AheadOfLog));
    }

    #[test]
    fn the_end_itself_has_missed_nothing() {
        assert_eq!(missed_seqs(place(1, 3), &log(3, [3])), Ok(vec![]));
        assert_eq!(missed_seqs(place(1, 3), &log(3, [])), Ok(vec![]), "the log expired, the place did not");
    }

    #[test]
    fn another_event_at_the_same_seq_is_another_history() {
        assert_eq!(missed_seqs(place(2, 3), &log(3, [3])), Err(Reason::Diverged));
        assert_eq!(missed_seqs(place(2, 2), &log(3, 2..=3)), Err(Reason::Diverged));
        assert_eq!(missed_seqs(place(2, 2), &log(3, [3])), Err(Reason::Diverged), "its own entry is trimmed");
    }

    #[test]
    fn too_many_events_are_a_snapshot() {
        assert_eq!(missed_seqs(place(1, 1), &log(1002, [])), Err(Reason::TooFar));
        assert_eq!(missed_seqs(place(1, 2), &log(1002, 2..=1002)).map(|seqs| seqs.len()), Ok(1000));
    }

    #[test]
    fn a_replay_is_what_follows_the_cursor() {
        assert_eq!(missed_seqs(place(1, 2), &log(5, 2..=5)), Ok(vec![3, 4, 5]));
        assert_eq!(missed_seqs(place(1, 0), &log(2, 1..=2)), Ok(vec![1, 2]), "from the log's very beginning");
    }

    #[test]
    fn a_trimmed_cursor_whose_successor_is_kept_is_replayed() {
        assert_eq!(missed_seqs(place(1, 2), &log(5, 3..=5)), Ok(vec![3, 4, 5]));
    }

    #[test]
    fn a_trimmed_expired_or_holed_log_is_a_snapshot() {
        assert_eq!(missed_seqs(place(1, 2), &log(5, 4..=5)), Err(Reason::Trimmed));
        assert_eq!(missed_seqs(place(1, 2), &log(5, [])), Err(Reason::Trimmed));
        assert_eq!(missed_seqs(place(1, 2), &log(5, [2, 3, 5])), Err(Reason::Trimmed));
        assert_eq!(missed_seqs(place(1, 2), &log(5, 2..=4)), Err(Reason::Trimmed));
    }
}
