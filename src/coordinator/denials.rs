//! Counters that are known to be full, so that they are not asked about again and again.
//!
//! Only ever denies, so it cannot over-admit. It can be late when units come back early: at once
//! forgotten on the node through which they come back, at the latest after [`LIVES`] on the others.

use std::{
    collections::HashMap,
    sync::{
        RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::{GroupId, Number},
    store::{
        call::Shape,
        reply::{CounterFigure, Header, Wait},
    },
};

/// The longest that a denial is repeated without asking.
pub const LIVES: Duration = Duration::from_millis(250);
/// Beyond this many, those that are over are thrown out; while all are live, no more are noted.
const MOST: usize = 10_000;

#[derive(Clone, Debug)]
struct Full {
    cost: u64,
    ceiling: u64,
    /// When this cost fits; `None` = never under this ceiling.
    until: Option<Instant>,
    forget_at: Instant,
    figure: CounterFigure,
    header: Header,
}

/// A denial that needed no call.
#[derive(Clone, Debug)]
pub struct LocalDenial {
    /// Items in the way, with what was known of their counters and how long they still are.
    pub full: Vec<(usize, CounterFigure, Wait)>,
    /// Of the reply that said so.
    pub header: Header,
}

/// Full counters of one pool.
#[derive(Debug, Default)]
pub struct Denials {
    full: RwLock<HashMap<(GroupId, Number), Full>>,
    count: AtomicUsize,
}

fn name(shape: &Shape, item: usize) -> (GroupId, Number) {
    let item = &shape.items[item];
    let group = &shape.groups[usize::from(item.group)];
    (group.id, group.slots[usize::from(item.slot)].number)
}

fn enforces(shape: &Shape, item: usize) -> bool {
    let item = &shape.items[item];
    !shape.groups[usize::from(item.group)].slots[usize::from(item.slot)].shadow
}

impl Denials {
    /// Is a request of this shape and cost known to be denied now?
    pub fn find(&self, shape: &Shape, costs: &[u64], now: Instant) -> Option<LocalDenial> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let full = self.full.read().ok()?;
        let mut found: Option<LocalDenial> = None;
        for (at, cost) in costs.iter().enumerate() {
            let Some(known) = full.get(&name(shape, at)) else { continue };
            let applies = *cost >= known.cost && shape.items[at].ceiling <= known.ceiling && now < known.forget_at;
            if applies && known.until.is_none_or(|until| now < until) {
                let wait = known.until.map_or(Wait::Never, |until| Wait::For(micros(until - now)));
                let denial = found.get_or_insert_with(|| LocalDenial { full: Vec::new(), header: known.header });
                denial.full.push((at, known.figure, wait));
            }
        }
        found
    }

    /// Notes what a denial said.
    pub fn note(&self, shape: &Shape, costs: &[u64], waits: &[Wait], figures: &[CounterFigure], header: Header, now: Instant) {
        let Ok(mut full) = self.full.write() else { return };
        if full.len() >= MOST {
            full.retain(|_, known| now < known.forget_at);
        }
        for (at, wait) in waits.iter().enumerate() {
            if *wait == Wait::No || !enforces(shape, at) || full.len() >= MOST {
                continue;
            }
            let until = match wait {
                Wait::For(us) => Some(now + Duration::from_micros(*us)),
                Wait::No | Wait::Never => None,
            };
            let (Some(figure), cost, ceiling) = (figures.get(at), costs[at], shape.items[at].ceiling) else { continue };
            full.insert(name(shape, at), Full { cost, ceiling, until, forget_at: now + LIVES, figure: *figure, header });
        }
        self.count.store(full.len(), Ordering::Release);
    }

    /// Forgets the groups into which units came back.
    pub fn forget(&self, groups: &[GroupId]) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Ok(mut full) = self.full.write() {
            full.retain(|(group, _), _| !groups.contains(group));
            self.count.store(full.len(), Ordering::Release);
        }
    }

    /// Forgets everything: limits have changed.
    pub fn clear(&self) {
        if let Ok(mut full) = self.full.write() {
            full.clear();
            self.count.store(0, Ordering::Release);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}
