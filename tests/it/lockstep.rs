//! The model and the Lua in lockstep: random operations, costs, clock steps, lease ends and calendar
//! borders, from nodes with two configurations. After each call both must say the same, to the unit.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quota_coordinator::{
    domain::{
        GroupId, Number, Partition, Scope,
        period::{Calendar, PeriodLength},
    },
    store::{
        Store,
        call::{Call, GroupRef, GroupSpec, HoldRule, Item, Op, RecordId, Settlement, Shape, SlotKind, SlotSpec},
        log::LogQuery,
        memory::MemoryStore,
        redis::RedisStore,
        reply::{Answer, Outcome},
    },
};

use crate::support::redis::{START, TestClock, fresh_pool, shared, timed_store};

/// A limit as the generator draws it.
#[derive(Clone, Debug)]
struct Drawn {
    kind: u8,
    window_ms: u32,
    capacity: u64,
    other_capacity: u64,
    per_workspace: bool,
    shadow: bool,
    silent: bool,
    refund: bool,
    admitted: bool,
    share: u64,
    only_first: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        0..6u8,
        prop::sample::select(vec![1_000u32, 1_500, 10_000, 60_000, 3_600_000]),
        1..200u64,
        1..200u64,
        any::<[bool; 6]>(),
        0..4u8,
    )
        .prop_map(|(kind, window_ms, capacity, other_capacity, flags, share)| Drawn {
            kind,
            window_ms,
            capacity,
            other_capacity,
            per_workspace: flags[0],
            shadow: flags[1] && flags[2],
            silent: flags[3] && flags[2],
            refund: flags[4],
            admitted: flags[5],
            share: if share == 0 { 500 } else { 1000 },
            only_first: flags[3] && flags[4],
        })
}

/// One step of a run; numbers pick among what exists.
#[derive(Clone, Debug)]
enum Step {
    Reserve { scope: u8, config: bool, costs: [u16; 3], lease_ms: u32, again: bool },
    Commit { which: u16, costs: [u16; 3], partial: bool, forget_groups: bool },
    Release { which: u16, by_key: bool },
    Expire { which: u16 },
    Extend { which: u16, scope: u8, config: bool, costs: Option<[u16; 3]>, lease_ms: u32 },
    Record { scope: u8, config: bool, costs: [u16; 3] },
    Check { scope: u8, config: bool, costs: [u16; 3] },
    Touch { scope: u8 },
    Reset { scope: u8, config: bool, one: Option<u8> },
    Sweep,
    Pass { us: u64 },
    Back { us: u64 },
}

fn costs() -> impl Strategy<Value = [u16; 3]> {
    prop_oneof![3 => [0..3u16, 0..60u16, 0..9u16], 1 => [0..300u16, 0..300u16, 0..300u16]]
}

fn lease() -> impl Strategy<Value = u32> {
    prop_oneof![1_000..5_000u32, 5_000..120_000u32, Just(3_600_000u32)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..3u8, any::<bool>(), costs(), lease(), prop::bool::weighted(0.1))
            .prop_map(|(scope, config, costs, lease_ms, again)| Step::Reserve { scope, config, costs, lease_ms, again }),
        6 => (any::<u16>(), costs(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(which, costs, partial, forget_groups)| Step::Commit { which, costs, partial, forget_groups }),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(which, by_key)| Step::Release { which, by_key }),
        1 => any::<u16>().prop_map(|which| Step::Expire { which }),
        2 => (any::<u16>(), 0..3u8, any::<bool>(), prop::option::of(costs()), lease())
            .prop_map(|(which, scope, config, costs, lease_ms)| Step::Extend { which, scope, config, costs, lease_ms }),
        2 => (0..3u8, any::<bool>(), costs()).prop_map(|(scope, config, costs)| Step::Record { scope, config, costs }),
        1 => (0..3u8, any::<bool>(), costs()).prop_map(|(scope, config, costs)| Step::Check { scope, config, costs }),
        1 => (0..3u8).prop_map(|scope| Step::Touch { scope }),
        1 => (0..3u8, any::<bool>(), prop::option::of(0..4u8)).prop_map(|(scope, config, one)| Step::Reset { scope, config, one }),
        2 => Just(Step::Sweep),
        8 => prop_oneof![1..2_000u64, 1..400_000u64, 1..20_000_000u64, 1..200_000_000u64, 1..90_000_000_000u64].prop_map(|us| Step::Pass { us }),
        1 => (1..3_000_000u64).prop_map(|us| Step::Back { us }),
    ]
}

/// What one node's configuration makes of the drawn limits.
struct Node {
    shapes: Vec<Arc<Shape>>,
    groups: Vec<Arc<GroupSpec>>,
}

fn partition(scope: u8) -> Partition {
    let name = if scope == 1 { "a_b" } else { "a" };
    Scope::new([("workspace", name)]).unwrap().select(&["workspace".into()])
}

fn node(limits: &[Drawn], other: bool) -> Node {
    let calendar = Arc::new(Calendar::new(PeriodLength::Hour, "Asia/Kolkata").unwrap());
    let mut all: Vec<(bool, SlotSpec, Item)> = limits
        .iter()
        .enumerate()
        .filter(|(_, limit)| !(other && limit.only_first))
        .map(|(at, limit)| {
            let capacity = if other { limit.other_capacity } else { limit.capacity };
            let kind = match limit.kind {
                0..=2 => SlotKind::Rate(limit.window_ms),
                3 => SlotKind::Budget(calendar.clone()),
                _ => SlotKind::Concurrency,
            };
            let concurrency = kind == SlotKind::Concurrency;
            let slot = SlotSpec {
                number: Number::of(&format!("limit {at}")),
                kind,
                shadow: limit.shadow,
                silent: limit.silent,
                warning_at: 800,
                capacity,
            };
            let rule =
                HoldRule { settle_admitted: limit.admitted, refund_on_lease_end: limit.refund || concurrency, concurrency };
            let unit = Number::of(&format!("unit {}", at % 3));
            let item = Item { group: 0, slot: 0, ceiling: capacity * limit.share / 1000, unit, rule };
            (limit.per_workspace, slot, item)
        })
        .collect();
    if other {
        all.reverse();
    }
    let spec = |partition: Partition, per_workspace: bool| {
        Arc::new(GroupSpec {
            id: partition.group_id(),
            text: partition.to_text(),
            pool_wide: partition.is_pool_wide(),
            keep_us: 3_600_000_000,
            slots: all.iter().filter(|(own, ..)| *own == per_workspace).map(|(_, slot, _)| slot.clone()).collect(),
        })
    };
    let pool_wide = spec(Partition::default(), false);
    let groups: Vec<Arc<GroupSpec>> =
        (0..3).map(|scope| if scope == 2 { pool_wide.clone() } else { spec(partition(scope), true) }).collect();
    let shapes = (0..3)
        .map(|scope| {
            let own = if scope == 2 { vec![pool_wide.clone()] } else { vec![pool_wide.clone(), groups[scope].clone()] };
            let mut next = [0u16; 2];
            let mut items = Vec::new();
            for (per_workspace, _, item) in &all {
                let group = usize::from(*per_workspace);
                let slot = next[group];
                next[group] += 1;
                if group < own.len() {
                    items.push(Item { group: u8::try_from(group).unwrap(), slot, ..item.clone() });
                }
            }
            Arc::new(Shape { groups: own, items })
        })
        .collect();
    Node { shapes, groups }
}

/// The same shape without its concurrency items (a use that was not reserved opens nothing).
fn for_record(shape: &Shape) -> Arc<Shape> {
    Arc::new(Shape {
        groups: shape.groups.clone(),
        items: shape.items.iter().filter(|item| !item.rule.concurrency).cloned().collect(),
    })
}

fn amounts(shape: &Shape, costs: [u16; 3]) -> Vec<u64> {
    let unit = |k: usize| Number::of(&format!("unit {k}"));
    shape.items.iter().map(|item| u64::from(costs[(0..3).find(|k| unit(*k) == item.unit).unwrap()])).collect()
}

struct Run {
    pool: quota_coordinator::domain::PoolId,
    model: MemoryStore,
    redis: Arc<RedisStore>,
    clock: TestClock,
    nodes: [Node; 2],
    calendars: Arc<Vec<(Number, Arc<Calendar>)>>,
    /// Record, nonce and groups of each reservation so far.
    reservations: Vec<(RecordId, u32, Vec<GroupId>)>,
    time: u64,
    calls: u64,
}

fn record_id(n: u64) -> RecordId {
    let mut raw = [7u8; 16];
    raw[..8].copy_from_slice(&n.to_le_bytes());
    RecordId::from_raw(raw)
}

impl Run {
    async fn call(&mut self, ops: Vec<Op>) -> Vec<Answer> {
        if ops.is_empty() {
            return Vec::new();
        }
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
            Outcome::Done(reply) => reply.answers,
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
            Step::Reset { .. } | Step::Sweep | Step::Pass { .. } | Step::Back { .. } => return None,
        })
    }

    async fn set_time(&mut self, time: u64) {
        self.time = time;
        self.model.set_time(time);
        self.clock.set(time).await;
    }

    async fn take(&mut self, steps: &[Step]) {
        let mut batch = Vec::new();
        for step in steps {
            match step {
                Step::Pass { us } | Step::Back { us } => {
                    let ops = std::mem::take(&mut batch);
                    self.run_batch(ops).await;
                    let forward = matches!(step, Step::Pass { .. });
                    self.set_time(if forward { self.time + us } else { self.time - us }).await;
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

    async fn sweep(&mut self) {
        let expected = self.model.due(&self.pool, 64).await.unwrap();
        let got = self.redis.due(&self.pool, 64).await.unwrap();
        assert_eq!(got, expected);
        let records = self.redis.records(&self.pool, &got.leases).await.unwrap();
        assert_eq!(records, self.model.records(&self.pool, &got.leases).await.unwrap());
        let mut ops = Vec::new();
        for (id, record) in got.leases.iter().zip(records) {
            ops.push(Op::Settle {
                record: *id,
                nonce: None,
                groups: record.unwrap().groups,
                how: Settlement::Expire,
                fingerprint: 0,
            });
        }
        ops.extend(got.groups.iter().map(|id| Op::Touch { group: GroupRef::Id(*id) }));
        self.call(ops).await;
    }

    async fn read_all(&mut self) {
        for config in [0, 1] {
            let ops = self.nodes[config].groups.iter().map(|g| Op::Read { group: GroupRef::Spec(g.clone()) }).collect();
            let call =
                Call { config_version: 0, retention_us: 0, calendars: self.calendars.clone(), about_us: self.time, seed: 1, ops };
            let expected = self.model.read(&self.pool, &call).await.unwrap();
            assert_eq!(self.redis.read(&self.pool, &call).await.unwrap(), expected);
        }
    }

    async fn compare_logs(&self) {
        let query = LogQuery { standing: true, ..LogQuery::after(0) };
        let mut expected = self.model.log(&self.pool, query).await.unwrap();
        let mut got = self.redis.log(&self.pool, query).await.unwrap();
        expected.standing.iter_mut().for_each(|list| list.sort_unstable());
        got.standing.iter_mut().for_each(|list| list.sort_unstable());
        assert_eq!(format!("{got:#?}"), format!("{expected:#?}"));
    }
}

fn lockstep(limits: Vec<Drawn>, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let calendar = Arc::new(Calendar::new(PeriodLength::Hour, "Asia/Kolkata").unwrap());
        let calendars = (0..limits.len()).map(|at| (Number::of(&format!("limit {at}")), calendar.clone())).collect();
        let pool = fresh_pool("lockstep");
        let mut run = Run {
            clock: TestClock::start(shared().await, &pool).await,
            pool,
            model: MemoryStore::at(START),
            redis: timed_store(shared().await),
            nodes: [node(&limits, false), node(&limits, true)],
            calendars: Arc::new(calendars),
            reservations: Vec::new(),
            time: START,
            calls: 0,
        };
        run.take(&steps).await;
        run.read_all().await;
        run.compare_logs().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2000, failure_persistence: Some(Box::new(
        proptest::test_runner::FileFailurePersistence::Direct("tests/regressions/lockstep.txt"))), ..ProptestConfig::default() })]

    #[test]
    fn the_lua_does_what_the_model_says(limits in prop::collection::vec(drawn(), 1..6), steps in prop::collection::vec(step(), 1..80)) {
        lockstep(limits, steps);
    }
}
