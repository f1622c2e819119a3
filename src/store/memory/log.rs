//! The event log as a reader sees it. Twin: `lua/log.lua`.

use super::{Event, PoolState};
use crate::{
    domain::{
        CounterStatus, Partition, PoolStatus, Position, QuotaEvent,
        event::{Cause, Change, CounterChange},
    },
    store::log::{LogPage, LogQuery, MOST_STANDING, Standing},
};

/// What a query of the log gives.
pub fn page(state: &PoolState, query: LogQuery) -> LogPage {
    let top = Position { epoch: state.epoch, seq: state.seq, event: state.event };
    let near = query.most > 0 && state.seq.saturating_sub(query.after) <= query.most as u64;
    let wanted = state.log.iter().filter(|event| near && event.seq >= query.after);
    let standing = state.standing.iter().map(|((group, number), (status, since_us))| Standing {
        group: *group,
        number: *number,
        status: *status,
        since_us: *since_us,
    });
    LogPage {
        top,
        operations: state.operations,
        pool_status: state.status,
        oldest: state.log.first().map_or(0, |event| event.seq),
        entries: wanted.map(|event| read(state.epoch, event)).collect(),
        standing: (query.standing && state.standing.len() <= MOST_STANDING).then(|| standing.collect()),
        pool_since_us: state.pool_since.filter(|_| query.standing),
        groups: state.groups.len() as u64,
    }
}

fn read(epoch: u64, event: &Event) -> QuotaEvent {
    let [total, held, capacity] = event.figures;
    let change = match event.counter {
        None => Change::Pool { from: PoolStatus::from_byte(event.from), to: PoolStatus::from_byte(event.to) },
        Some((group, number)) => Change::Counter(CounterChange {
            number,
            limit: None,
            group,
            partition: Partition::from_text(&event.scope).unwrap_or_default(),
            from: CounterStatus::from_byte(event.from),
            to: CounterStatus::from_byte(event.to),
            total,
            held,
            capacity,
        }),
    };
    let position = Position { epoch, seq: event.seq, event: event.id };
    QuotaEvent { position, prev: event.prev, at_us: event.at, cause: Cause::from_word(event.cause), change }
}
