//! One call under way: working copies of what it touches, kept only where something was taken,
//! settled or changed its status. Twin: `lua/lib/call.lua`, `lua/lib/write.lua`.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Event, Group, PoolState,
    counter::{Content, Counter},
};
use crate::{
    domain::{CounterStatus, GroupId, Number, PoolStatus, period::Calendar, unit::MAX_AMOUNT},
    store::{
        call::{Call, GroupSpec, Item, Op, RecordId, Shape},
        reply::{Answer, CounterFigure, EventId, Record, Reply, Wait},
    },
};

/// Working copy of a group.
#[derive(Clone, Default)]
pub struct WorkGroup {
    group: Group,
    exists: bool,
    /// For each counter: was it brought to the present?
    fresh: Vec<bool>,
    /// Counters that refused a small request.
    refused: Vec<Number>,
    pub dirty: bool,
    pub looked: bool,
    pub cause: Option<&'static str>,
    /// The counters that the caller's configuration describes, in its order.
    described: Vec<Number>,
}

impl WorkGroup {
    pub fn counters(&mut self) -> &mut Vec<Counter> {
        &mut self.group.counters
    }

    pub fn look(&mut self) -> &mut Option<u64> {
        &mut self.group.look
    }

    fn index(&self, number: Number) -> Option<usize> {
        self.group.counters.iter().position(|c| c.number == number)
    }

    /// A counter brought to the present once per call; a budget whose period is not known stays in its old one.
    pub fn fresh(&mut self, number: Number, now: u64, present: Option<(u64, u64)>) -> Option<&mut Counter> {
        let at = self.index(number)?;
        self.fresh.resize(self.group.counters.len(), false);
        if !self.fresh[at] {
            self.fresh[at] = self.group.counters[at].refresh(now, present);
        }
        self.group.counters.get_mut(at)
    }

    /// Counters count as brought to the present after a reset.
    pub fn mark_fresh(&mut self, number: Number) {
        self.fresh.resize(self.group.counters.len(), false);
        if let Some(at) = self.index(number) {
            self.fresh[at] = true;
        }
    }

    fn counter(&self, number: Number) -> Option<&Counter> {
        self.group.counters.iter().find(|c| c.number == number)
    }
}

/// See the module's documentation.
pub struct Work<'a> {
    pub call: &'a Call,
    pub now: u64,
    state: &'a PoolState,
    order: Vec<GroupId>,
    pub groups: BTreeMap<GroupId, WorkGroup>,
    written: BTreeMap<RecordId, Record>,
}

/// What a call leaves behind.
pub struct Changes {
    groups: BTreeMap<GroupId, WorkGroup>,
    order: Vec<GroupId>,
    records: BTreeMap<RecordId, Record>,
    now: u64,
    seed: u64,
}

/// The present period of a calendar, as far as the caller's guess of the time reaches.
fn present(calendar: &Arc<Calendar>, call: &Call, now: u64) -> Option<(u64, u64)> {
    calendar.around(call.about_us).period_of(now)
}

impl<'a> Work<'a> {
    /// Copies what the call names and brings the described counters to the present; `None` when a
    /// present period that may be needed is not among those around the caller's guess of the time.
    pub fn begin(state: &'a PoolState, call: &'a Call, now: u64) -> Option<Self> {
        let mut work = Self { call, now, state, order: Vec::new(), groups: BTreeMap::new(), written: BTreeMap::new() };
        let settles = call.ops.iter().any(|op| !matches!(op, Op::Reserve { .. } | Op::Check { .. } | Op::Read { .. }));
        if settles && call.calendars.iter().any(|(_, calendar)| present(calendar, call, now).is_none()) {
            return None;
        }
        for (id, spec) in call.groups() {
            let stored = state.groups.get(&id);
            let mut group =
                WorkGroup { group: stored.cloned().unwrap_or_default(), exists: stored.is_some(), ..WorkGroup::default() };
            if let Some(spec) = spec {
                work.describe(&mut group, &spec)?;
            }
            work.order.push(id);
            work.groups.insert(id, group);
        }
        Some(work)
    }

    fn describe(&self, group: &mut WorkGroup, spec: &GroupSpec) -> Option<()> {
        use crate::store::call::SlotKind;
        for slot in &spec.slots {
            let period = match &slot.kind {
                SlotKind::Budget(calendar) => Some(present(calendar, self.call, self.now)?),
                SlotKind::Rate(_) | SlotKind::Concurrency => None,
            };
            if group.index(slot.number).is_none() {
                group.group.counters.push(Counter::new(slot, self.now));
            }
            if let Some(at) = group.index(slot.number) {
                let counter = &mut group.group.counters[at];
                counter.shadow = slot.shadow;
                counter.silent = slot.silent;
                counter.warning_at = slot.warning_at;
                counter.capacity = slot.capacity;
            }
            group.fresh(slot.number, self.now, period);
            group.described.push(slot.number);
        }
        if !group.exists {
            group.group.text.clone_from(&spec.text);
        }
        Some(())
    }

    /// The present period of a budget that the caller's configuration knows by number.
    pub fn period_of(&self, number: Number) -> Option<(u64, u64)> {
        let (_, calendar) = self.call.calendars.iter().find(|(known, _)| *known == number)?;
        present(calendar, self.call, self.now)
    }

    pub fn record(&self, id: RecordId) -> Option<Record> {
        self.written.get(&id).or_else(|| self.state.records.get(&id)).cloned()
    }

    pub fn write_record(&mut self, id: RecordId, record: Record) {
        self.written.insert(id, record);
    }

    /// The item's group and counter name.
    pub fn place(shape: &Shape, item: &Item) -> (GroupId, Number) {
        let spec = &shape.groups[usize::from(item.group)];
        (spec.id, spec.slots[usize::from(item.slot)].number)
    }

    /// Waits for each item when any limit is in the way, and whether an enforcing one is.
    pub fn decide(&self, shape: &Shape, costs: &[u64]) -> (bool, Vec<Wait>) {
        let mut denied = false;
        let waits: Vec<Wait> = shape
            .items
            .iter()
            .zip(costs)
            .map(|(item, cost)| {
                let (group, number) = Self::place(shape, item);
                let counter = self.groups.get(&group).and_then(|g| g.counter(number));
                let wait = counter.map_or(Wait::No, |c| c.wait(self.now, *cost, item.ceiling));
                denied |= wait != Wait::No && counter.is_some_and(|c| !c.shadow || c.total() + cost > MAX_AMOUNT);
                wait
            })
            .collect();
        let obstructed = waits.iter().any(|wait| *wait != Wait::No);
        (denied, if obstructed { waits } else { Vec::new() })
    }

    /// Remembers which counters a refusal exhausts.
    pub fn note_refusal(&mut self, shape: &Shape, costs: &[u64], waits: &[Wait]) {
        for ((item, cost), wait) in shape.items.iter().zip(costs).zip(waits) {
            let (group, number) = Self::place(shape, item);
            if let Some(group) = self.groups.get_mut(&group)
                && *wait != Wait::No
                && group.counter(number).is_some_and(|c| c.refusal_exhausts(*cost))
            {
                group.refused.push(number);
            }
        }
    }

    /// Takes every cost.
    pub fn take_all(&mut self, shape: &Shape, costs: &[u64], hold: bool, bucket: u64, cause: &'static str) {
        let now = self.now;
        for (item, cost) in shape.items.iter().zip(costs) {
            let (group, number) = Self::place(shape, item);
            if let Some(group) = self.groups.get_mut(&group) {
                if let Some(at) = group.index(number) {
                    group.group.counters[at].take(now, *cost, if hold { *cost } else { 0 }, bucket);
                }
                group.dirty = true;
                group.cause = Some(cause);
            }
        }
    }

    /// Ends the borrow of the state.
    pub fn finish(self) -> Changes {
        Changes { groups: self.groups, order: self.order, records: self.written, now: self.now, seed: self.call.seed }
    }
}

impl PoolState {
    /// Writes what a call left behind, and makes its reply.
    pub fn keep(&mut self, mut changes: Changes, answers: Vec<Answer>) -> Reply {
        let first = self.log.len();
        let born = self.epoch == 0;
        let mut wrote = false;
        for id in &changes.order {
            if let Some(work) = changes.groups.get_mut(id) {
                wrote |= self.keep_group(*id, work, changes.now, (changes.seed, first));
            }
        }
        wrote |= !changes.records.is_empty();
        self.records.append(&mut changes.records);
        if wrote {
            self.clock = changes.now;
            self.operations += 1;
            if born {
                self.epoch = (changes.seed & 0xffff_ffff_ffff).max(1);
            }
        }
        let (mut counters, mut bases) = (Vec::<CounterFigure>::new(), Vec::new());
        for id in &changes.order {
            bases.push((*id, counters.len()));
            let work = &changes.groups[id];
            counters.extend(work.described.iter().filter_map(|number| work.counter(*number).map(Counter::figure)));
        }
        Reply { header: self.header(changes.now), counters, bases, answers }
    }

    fn keep_group(&mut self, id: GroupId, work: &mut WorkGroup, now: u64, ids: (u64, usize)) -> bool {
        if !work.dirty && work.refused.is_empty() {
            return false;
        }
        let cause = work.cause.unwrap_or(if work.refused.is_empty() { "time" } else { "reserve" });
        work.fresh.resize(work.group.counters.len(), false);
        let mut changed = false;
        for (counter, fresh) in work.group.counters.iter_mut().zip(&work.fresh) {
            let to = counter.level(work.refused.contains(&counter.number));
            if !fresh || to == counter.status {
                continue;
            }
            let from = std::mem::replace(&mut counter.status, to);
            changed = true;
            match to {
                CounterStatus::Normal => drop(self.standing.remove(&(id, counter.number))),
                _ => drop(self.standing.insert((id, counter.number), (to, now))),
            }
            if !counter.silent {
                let figures = [counter.total(), counter.held(), counter.capacity];
                let subject = Some((id, counter.number, work.group.text.as_str(), figures));
                self.add_event(now, cause, subject, (from as u8, to as u8), ids);
            }
        }
        if (changed || work.group.counters.is_empty()) && id == GroupId::pool_wide() {
            let to = work.group.counters.iter().map(means_for_pool).max().unwrap_or_default();
            if to != self.status {
                let from = std::mem::replace(&mut self.status, to);
                self.pool_since = (to != PoolStatus::Normal).then_some(now);
                self.add_event(now, cause, None, (from as u8, to as u8), ids);
            }
        }
        if !changed && !work.dirty {
            return false;
        }
        self.schedule(id, work);
        if work.group.counters.is_empty() {
            self.standing.retain(|(group, _), _| *group != id);
        } else {
            self.groups.insert(id, work.group.clone());
        }
        true
    }

    fn schedule(&mut self, id: GroupId, work: &mut WorkGroup) {
        match work.group.counters.iter().filter_map(Counter::next_look).min() {
            Some(look) if work.group.look.is_none_or(|planned| look < planned) => {
                work.group.look = Some(look);
                self.due.insert(id, look);
            }
            None if work.looked => drop(self.due.remove(&id)),
            _ => {}
        }
    }

    fn add_event(
        &mut self,
        at: u64,
        cause: &'static str,
        subject: Option<(GroupId, Number, &str, [u64; 3])>,
        (from, to): (u8, u8),
        (seed, first): (u64, usize),
    ) {
        let text = format!("{seed:016x}{:04x}", self.log.len() - first + 1);
        let mut event = EventId::NONE;
        event.0.copy_from_slice(text.as_bytes());
        self.seq += 1;
        let prev = std::mem::replace(&mut self.event, event);
        let (counter, scope, figures) = match subject {
            None => (None, String::new(), [0; 3]),
            Some((group, number, scope, figures)) => (Some((group, number)), scope.to_owned(), figures),
        };
        self.log.push(Event { seq: self.seq, id: event, prev, at, cause, counter, scope, from, to, figures });
    }
}

fn means_for_pool(counter: &Counter) -> PoolStatus {
    PoolStatus::of_counter(counter.status, matches!(counter.content, Content::Budget { .. }))
}
