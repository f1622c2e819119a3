//! The operations. Twin: `lua/ops/*.lua`.

use bytes::Bytes;

use super::{counter::lease_bucket, work::Work};
use crate::{
    domain::{GroupId, Number},
    store::{
        call::{GroupRef, Op, RecordId, Settlement, Shape},
        reply::{Answer, Hold, Record, RecordState},
    },
};

/// A lease may not stand longer than this in total, µs.
const LONGEST_LEASE: u64 = 86_400_000_000;
/// A record holds no more than this.
const MOST_HOLDS: usize = 255;

fn holds(shape: &Shape, costs: &[u64], since_us: u64, groups: &mut Vec<GroupId>) -> Vec<Hold> {
    let hold = |(item, cost): (&crate::store::call::Item, &u64)| {
        let (group, number) = Work::place(shape, item);
        let at = groups.iter().position(|id| *id == group).unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
        });
        Hold {
            number,
            rule: item.rule,
            skipped: false,
            given_back: false,
            group: u8::try_from(at).unwrap_or(u8::MAX),
            unit: item.unit,
            since_us,
            amount: *cost,
        }
    };
    shape.items.iter().zip(costs).map(hold).collect()
}

fn blank(state: RecordState, now: u64, fingerprint: u64) -> Record {
    Record {
        state,
        late: false,
        estimated: false,
        since_us: now,
        deadline_us: now,
        bucket_us: 0,
        settled_at_us: now,
        settlement: 0,
        attempt: 0,
        fingerprint,
        nonce: 0,
        groups: Vec::new(),
        holds: Vec::new(),
        blob: Bytes::new(),
    }
}

/// What a hold is settled to. Holds of one counter share the cost of a commit: the earlier ones are
/// filled first, the last one takes the rest.
fn final_cost(how: &Settlement, holds: &[Hold], at: usize) -> u64 {
    let Hold { rule, unit, amount, .. } = holds[at];
    match how {
        Settlement::Release { .. } => 0,
        Settlement::Expire if rule.refund_on_lease_end || rule.concurrency => 0,
        Settlement::Expire => amount,
        Settlement::Commit { costs, .. } => {
            let of_same = |hold: &&Hold| (hold.number, hold.group) == (holds[at].number, holds[at].group);
            let sum = |holds: &[Hold]| holds.iter().filter(of_same).map(|hold| hold.amount).sum::<u64>();
            let (all, earlier) = (sum(holds), sum(&holds[..at]));
            let cost = costs.iter().find(|(known, _)| *known == unit).map_or(all, |(_, cost)| *cost);
            // Which of its rules counts when they differ: that of the first hold.
            let first = holds.iter().find(of_same).map_or(rule, |hold| hold.rule);
            let cost = if first.settle_admitted { cost.max(all) } else { cost };
            let rest = cost.saturating_sub(earlier);
            if holds[at + 1..].iter().any(|hold| of_same(&hold)) { rest.min(amount) } else { rest }
        }
    }
}

impl Work<'_> {
    /// Carries out one operation; a read has no answer of its own.
    pub fn operate(&mut self, op: &Op) -> Option<Answer> {
        Some(match op {
            Op::Reserve { .. } => self.reserve(op),
            Op::Check { shape, costs } => match self.decide(shape, costs) {
                (true, waits) => Answer::Denied(waits),
                (false, shadow) => Answer::Granted { figure: 0, shadow },
            },
            Op::Record { shape, costs, record, fingerprint } => self.record_use(shape, costs, *record, *fingerprint),
            Op::Settle { record, nonce, groups, how, fingerprint } => self.settle(*record, *nonce, groups, how, *fingerprint),
            Op::Extend { .. } => self.extend(op),
            Op::Touch { group } => self.touch(group),
            Op::Reset { group, numbers } => self.reset(group, numbers),
            Op::Read { .. } => return None,
        })
    }

    fn repetition(&self, record: RecordId, fingerprint: u64) -> Option<Answer> {
        let record = self.record(record)?;
        Some(match record.state {
            RecordState::Void => Answer::Voided,
            _ if record.fingerprint != fingerprint => Answer::Mismatch,
            _ => Answer::Replay(record),
        })
    }

    fn reserve(&mut self, op: &Op) -> Answer {
        let Op::Reserve { shape, costs, record: id, nonce, fingerprint, lease_us, blob } = op else { return Answer::Noop };
        if let Some(again) = self.repetition(*id, *fingerprint) {
            return again;
        }
        let (denied, waits) = self.decide(shape, costs);
        if denied {
            self.note_refusal(shape, costs, &waits);
            return Answer::Denied(waits);
        }
        let deadline = self.now + lease_us;
        let bucket = lease_bucket(deadline, *lease_us);
        self.take_all(shape, costs, true, bucket, "reserve");
        let mut groups = shape.groups.iter().map(|g| g.id).collect();
        let record = Record {
            deadline_us: deadline,
            bucket_us: bucket,
            settled_at_us: 0,
            nonce: *nonce,
            holds: holds(shape, costs, 0, &mut groups),
            groups,
            blob: blob.clone(),
            ..blank(RecordState::Open, self.now, *fingerprint)
        };
        self.write_record(*id, record);
        Answer::Granted { figure: deadline, shadow: waits }
    }

    fn record_use(&mut self, shape: &Shape, costs: &[u64], id: RecordId, fingerprint: u64) -> Answer {
        if let Some(again) = self.repetition(id, fingerprint) {
            return again;
        }
        self.take_all(shape, costs, false, 0, "record");
        self.write_record(id, blank(RecordState::Recorded, self.now, fingerprint));
        Answer::Granted { figure: 0, shadow: Vec::new() }
    }

    fn settle(&mut self, id: RecordId, nonce: Option<u32>, groups: &[GroupId], how: &Settlement, fingerprint: u64) -> Answer {
        let releases = matches!(how, Settlement::Release { .. });
        let Some(mut record) = self.record(id) else {
            return if matches!(how, Settlement::Release { void_when_unknown: true }) {
                self.write_record(id, blank(RecordState::Void, self.now, 0));
                Answer::Voided
            } else {
                Answer::Unknown
            };
        };
        match record.state {
            RecordState::Recorded => return Answer::Unknown,
            RecordState::Void => return if releases { Answer::Voided } else { Answer::Unknown },
            _ if nonce.is_some_and(|nonce| nonce != record.nonce) => return Answer::Unknown,
            _ => {}
        }
        let ended = self.now >= record.deadline_us;
        match (how, record.state) {
            (Settlement::Expire, state) if state != RecordState::Open || !ended => return Answer::Noop,
            (Settlement::Commit { .. }, RecordState::Committed) if record.settlement == fingerprint => {
                return Answer::Replay(record);
            }
            (Settlement::Release { .. }, RecordState::Released | RecordState::Expired) => return Answer::Replay(record),
            (_, RecordState::Committed | RecordState::Released) => return Answer::Conflict(record),
            _ => {}
        }
        if groups != record.groups {
            return Answer::NeedGroups(record);
        }
        let how = if releases && ended { &Settlement::Expire } else { how };
        self.settle_holds(&mut record, how);
        let estimated = matches!(how, Settlement::Commit { estimated: true, .. });
        (record.late, record.estimated) = (matches!(how, Settlement::Commit { .. }) && ended, estimated);
        record.state = match how {
            Settlement::Commit { .. } => RecordState::Committed,
            Settlement::Release { .. } => RecordState::Released,
            Settlement::Expire => RecordState::Expired,
        };
        record.settled_at_us = self.now;
        if record.state == RecordState::Committed {
            record.settlement = fingerprint;
        }
        self.write_record(id, record.clone());
        Answer::Settled(record)
    }

    fn settle_holds(&mut self, record: &mut Record, how: &Settlement) {
        let now = self.now;
        let cause = match how {
            Settlement::Commit { .. } => "commit",
            Settlement::Release { .. } => "release",
            Settlement::Expire => "lease_end",
        };
        let open = record.state == RecordState::Open;
        let costs: Vec<u64> = (0..record.holds.len()).map(|at| final_cost(how, &record.holds, at)).collect();
        for (hold, cost) in record.holds.iter_mut().zip(costs) {
            let period = self.period_of(hold.number);
            let counted = if std::mem::take(&mut hold.given_back) { 0 } else { hold.amount };
            let since = if hold.since_us > 0 { hold.since_us } else { record.since_us };
            let held = if open { hold.amount } else { 0 };
            let mut stood = false;
            if let Some(group) = self.groups.get_mut(&record.groups[usize::from(hold.group)])
                && let Some(counter) = group.fresh(hold.number, now, period)
            {
                stood = counter.settle(now, since, counted, held, cost, record.bucket_us);
                group.dirty = true;
                group.cause = Some(cause);
            }
            hold.skipped |= !stood && hold.amount > 0;
            hold.given_back = matches!(how, Settlement::Expire) && cost < hold.amount;
            if !hold.given_back {
                hold.amount = cost;
            }
        }
    }

    fn extend(&mut self, op: &Op) -> Answer {
        let Op::Extend { record: id, nonce, groups, lease_us, attempt, add } = op else { return Answer::Noop };
        let Some(mut record) = self.record(*id) else { return Answer::Unknown };
        match record.state {
            RecordState::Void | RecordState::Recorded => return Answer::Unknown,
            _ if record.nonce != *nonce => return Answer::Unknown,
            RecordState::Expired => return Answer::LeaseEnded,
            RecordState::Open if self.now >= record.deadline_us => return Answer::LeaseEnded,
            RecordState::Open => {}
            RecordState::Committed | RecordState::Released => return Answer::Conflict(record),
        }
        if record.attempt == *attempt {
            return Answer::Granted { figure: record.deadline_us, shadow: Vec::new() };
        }
        let mut named = groups.clone();
        let new = add.as_ref().map(|(shape, costs)| holds(shape, costs, self.now, &mut named)).unwrap_or_default();
        if !named.starts_with(&record.groups) {
            return Answer::NeedGroups(record);
        }
        let deadline = record.deadline_us.max(self.now + lease_us);
        if deadline > record.since_us + LONGEST_LEASE || record.holds.len() + new.len() > MOST_HOLDS {
            return Answer::TooLong;
        }
        let mut shadow = Vec::new();
        if let Some((shape, costs)) = add {
            let (denied, waits) = self.decide(shape, costs);
            if denied {
                self.note_refusal(shape, costs, &waits);
                return Answer::Denied(waits);
            }
            shadow = waits;
        }
        let bucket = lease_bucket(deadline, *lease_us);
        for hold in record.holds.iter().filter(|hold| hold.rule.concurrency && hold.amount > 0) {
            let since = if hold.since_us > 0 { hold.since_us } else { record.since_us };
            let group = self.groups.get_mut(&record.groups[usize::from(hold.group)]);
            if let Some(counter) = group.and_then(|g| g.counters().iter_mut().find(|c| c.number == hold.number)) {
                counter.move_lease(since, record.bucket_us, bucket, hold.amount);
            }
        }
        if let Some((shape, costs)) = add {
            self.take_all(shape, costs, true, bucket, "reserve");
        }
        for id in &named {
            if let Some(group) = self.groups.get_mut(id) {
                group.dirty = true;
            }
        }
        record.holds.extend(new);
        (record.groups, record.deadline_us, record.bucket_us, record.attempt) = (named, deadline, bucket, *attempt);
        self.write_record(*id, record);
        Answer::Granted { figure: deadline, shadow }
    }

    fn touch(&mut self, group: &GroupRef) -> Answer {
        let now = self.now;
        let periods: Vec<_> = self.call.calendars.iter().map(|(number, _)| (*number, self.period_of(*number))).collect();
        if let Some(work) = self.groups.get_mut(&group.id()) {
            let numbers: Vec<Number> = work.counters().iter().map(|c| c.number).collect();
            for number in numbers {
                let period = periods.iter().find(|(known, _)| *known == number).and_then(|(_, period)| *period);
                work.fresh(number, now, period);
            }
            if work.look().unwrap_or(0) <= now {
                *work.look() = None;
                work.dirty = true;
                work.looked = true;
            }
        }
        Answer::Noop
    }

    fn reset(&mut self, group: &GroupRef, numbers: &[Number]) -> Answer {
        let now = self.now;
        let mut count = 0;
        if let Some(work) = self.groups.get_mut(&group.id()) {
            let wanted: Vec<Number> =
                work.counters().iter().map(|c| c.number).filter(|n| numbers.is_empty() || numbers.contains(n)).collect();
            for number in wanted {
                work.counters().iter_mut().filter(|c| c.number == number).for_each(|c| c.reset(now));
                work.mark_fresh(number);
                work.dirty = true;
                work.cause = Some("reset");
                count += 1;
            }
        }
        Answer::Granted { figure: count, shadow: Vec::new() }
    }
}
