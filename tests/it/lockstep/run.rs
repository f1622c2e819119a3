//! A run of steps through both stores.

use std::sync::Arc;

use bytes::Bytes;
use quota_coordinator::{
    domain::{GroupId, Number, PoolId, period::Calendar},
    store::{
        Store,
        call::{Call, GroupRef, Op, RecordId, Settlement},
        memory::MemoryStore,
        redis::RedisStore,
        reply::{Answer, Outcome, Reply},
    },
};

use super::draw::{Drawn, Node, Step, amounts, calendar, for_record, node};
use crate::support::redis::{START, TestClock, fresh_pool, shared, timed_store};

pub struct Run {
    pub pool: PoolId,
    pub model: MemoryStore,
    pub redis: Arc<RedisStore>,
    clock: TestClock,
    pub nodes: [Node; 2],
    windows: Vec<u64>,
    pub calendars: Arc<Vec<(Number, Arc<Calendar>)>>,
    /// Record, nonce and groups of each reservation so far.
    reservations: Vec<(RecordId, u32, Vec<GroupId>)>,
    pub time: u64,
    calls: u64,
}

pub fn record_id(n: u64) -> RecordId {
    let mut raw = [7u8; 16];
    raw[..8].copy_from_slice(&n.to_le_bytes());
    RecordId::from_raw(raw)
}

/// Just before (−1), at or after (1) the next border between parts of a window, µs.
pub fn border(time: u64, window_us: u64, parts: u8, aside: i8) -> u64 {
    let parts = u64::from(parts);
    let next = (time * parts / window_us + 1) * window_us;
    next.div_ceil(parts).saturating_add_signed(aside.into())
}

impl Run {
    pub async fn start(limits: &[Drawn]) -> Self {
        let pool = fresh_pool("lockstep");
        Self {
            clock: TestClock::start(shared().await, &pool).await,
            pool,
            model: MemoryStore::at(START),
            redis: timed_store(shared().await),
            nodes: [node(limits, false), node(limits, true)],
            windows: limits.iter().filter_map(Drawn::window_us).collect(),
            calendars: Arc::new((0..limits.len()).map(|at| (Number::of(&format!("limit {at}")), calendar())).collect()),
            reservations: Vec::new(),
            time: START,
            calls: 0,
        }
    }

    pub async fn call(&mut self, ops: Vec<Op>) -> Vec<Answer> {
        if ops.is_empty() { Vec::new() } else { self.reply(ops).await.answers }
    }

    /// Both stores' reply, which must be the same.
    pub async fn reply(&mut self, ops: Vec<Op>) -> Reply {
        self.calls += 1;
        let call = Call {
            config_version: 0,
            retention_us: 600_000_000,
            calendars: self.calendars.clone(),
            about_us: self.time,
            seed: 0x1234_5678_0000_0000 + self.calls,
            ops,
        };
        let expected = self.model.apply(&self.pool, &call).await.unwrap();
        let got = self.redis.apply(&self.pool, &call).await.unwrap_or_else(|error| panic!("{error}\n{call:#?}"));
        assert_eq!(got, expected, "at {} after {call:#?}", self.time);
        match got {
            Outcome::Done(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn pick(&self, which: u16) -> Option<(RecordId, u32, Vec<GroupId>)> {
        self.reservations.get(usize::from(which) % self.reservations.len().max(1)).cloned()
    }

    fn op(&mut self, step: &Step) -> Option<Op> {
        let node = |config: bool| &self.nodes[usize::from(config)];
        Some(match step {
            Step::Reserve { scope, config, costs, lease_ms, again } => {
                let shape = node(*config).shapes[usize::from(*scope)].clone();
                let n = self.reservations.len() as u64;
                let record = if *again && n > 0 { self.reservations[0].0 } else { record_id(n) };
                let nonce = u32::try_from(n).unwrap();
                if !*again {
                    self.reservations.push((record, nonce, shape.groups.iter().map(|g| g.id).collect()));
                }
                let costs = amounts(&shape, *costs);
                Op::Reserve {
                    shape,
                    costs,
                    record,
                    nonce,
                    fingerprint: 9,
                    lease_us: u64::from(*lease_ms) * 1000,
                    blob: Bytes::from_static(b"blob"),
                }
            }
            Step::Commit { which, costs, partial, forget_groups } => {
                let (record, nonce, groups) = self.pick(*which)?;
                let list = costs.iter().enumerate().take(if *partial { 1 } else { 3 });
                let costs: Vec<_> = list.map(|(k, cost)| (Number::of(&format!("unit {k}")), u64::from(*cost))).collect();
                let fingerprint = costs.iter().map(|(_, cost)| cost).sum::<u64>() + 1;
                let groups = if *forget_groups { Vec::new() } else { groups };
                Op::Settle {
                    record,
                    nonce: Some(nonce),
                    groups,
                    how: Settlement::Commit { costs, estimated: *partial },
                    fingerprint,
                }
            }
            Step::Release { which, by_key } => {
                let (record, nonce, groups) = self.pick(*which)?;
                let how = Settlement::Release { void_when_unknown: *by_key };
                Op::Settle { record, nonce: (!*by_key).then_some(nonce), groups, how, fingerprint: 0 }
            }
            Step::Expire { which } => {
                let (record, _, groups) = self.pick(*which)?;
                Op::Settle { record, nonce: None, groups, how: Settlement::Expire, fingerprint: 0 }
            }
            Step::Extend { which, scope, config, costs, lease_ms } => {
                let (record, nonce, groups) = self.pick(*which)?;
                let add = costs.map(|costs| {
                    let shape = node(*config).shapes[usize::from(*scope)].clone();
                    let costs = amounts(&shape, costs);
                    (shape, costs)
                });
                Op::Extend { record, nonce, groups, lease_us: u64::from(*lease_ms) * 1000, attempt: self.calls + 1, add }
            }
            Step::Record { scope, config, costs } => {
                let shape = for_record(&node(*config).shapes[usize::from(*scope)]);
                let costs = amounts(&shape, *costs);
                Op::Record { shape, costs, record: record_id(1_000_000 + self.calls), fingerprint: 3 }
            }
            Step::Check { scope, config, costs } => {
                let shape = node(*config).shapes[usize::from(*scope)].clone();
                let costs = amounts(&shape, *costs);
                Op::Check { shape, costs }
            }
            Step::Touch { scope } => Op::Touch { group: GroupRef::Id(node(false).groups[usize::from(*scope)].id) },
            Step::Reset { .. } | Step::Sweep | Step::Pass { .. } | Step::Back { .. } | Step::Border { .. } => return None,
        })
    }

    pub async fn set_time(&mut self, time: u64) {
        self.time = time;
        self.model.set_time(time);
        self.clock.set(time).await;
    }

    pub async fn take(&mut self, steps: &[Step]) {
        let mut batch = Vec::new();
        for step in steps {
            match step {
                Step::Pass { .. } | Step::Back { .. } | Step::Border { .. } => {
                    let ops = std::mem::take(&mut batch);
                    self.run_batch(ops).await;
                    let time = match *step {
                        Step::Back { us } => self.time - us,
                        Step::Border { limit, parts, aside } => {
                            let window = self.windows.get(usize::from(limit) % self.windows.len().max(1));
                            border(self.time, window.copied().unwrap_or(1_000_000), parts, aside)
                        }
                        Step::Pass { us } => self.time + us,
                        _ => self.time,
                    };
                    self.set_time(time).await;
                }
                Step::Sweep => {
                    let ops = std::mem::take(&mut batch);
                    self.run_batch(ops).await;
                    self.sweep().await;
                }
                Step::Reset { scope, config, one } => {
                    let ops = std::mem::take(&mut batch);
                    self.run_batch(ops).await;
                    let group = self.nodes[usize::from(*config)].groups[usize::from(*scope)].clone();
                    let numbers = one.iter().filter_map(|at| group.slots.get(usize::from(*at))).map(|s| s.number).collect();
                    self.call(vec![Op::Reset { group: GroupRef::Spec(group), numbers }]).await;
                }
                other => {
                    // Operations of one configuration may share a call; a change of it begins another.
                    if let Some(op) = self.op(other) {
                        let mixed = matches!(
                            other,
                            Step::Reserve { config: true, .. }
                                | Step::Extend { config: true, .. }
                                | Step::Record { config: true, .. }
                                | Step::Check { config: true, .. }
                        );
                        if mixed || matches!(other, Step::Extend { .. }) {
                            let ops = std::mem::take(&mut batch);
                            self.run_batch(ops).await;
                            self.run_batch(vec![op]).await;
                        } else {
                            batch.push(op);
                        }
                    }
                }
            }
        }
        self.run_batch(batch).await;
    }

    async fn run_batch(&mut self, ops: Vec<Op>) {
        let answers = self.call(ops.clone()).await;
        // A caller that did not know a record's groups asks again with them.
        for (op, answer) in ops.into_iter().zip(answers) {
            if let (Op::Settle { record, nonce, how, fingerprint, .. }, Answer::NeedGroups(found)) = (op, answer) {
                self.call(vec![Op::Settle { record, nonce, groups: found.groups, how, fingerprint }]).await;
            }
        }
    }
}
