//! Never over: whatever traffic comes, no interval of a window's length holds more than the capacity,
//! neither by what was finally charged nor by what was held when each grant was decided. And little
//! is wasted: a load that could use everything is granted nearly all of it.

mod traffic;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use quota_coordinator::{
    coordinator::catalogue::{Catalogue, Prepared},
    domain::{Pool, Priority, Scope, Unit},
    store::{
        Store,
        call::{Op, RecordId, Settlement},
        redis::RedisStore,
        reply::{Answer, Outcome},
    },
    trace::{Count, Entry, worst},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use self::traffic::{Traffic, gap, traffic};
use crate::support::{
    node::{call, catalogue_of, cost, pool_of},
    redis::{START, TestClock, fresh_pool, shared, timed_store},
};

/// What was granted of one counter, as `trace` judges it.
type Traces = BTreeMap<(String, String), Vec<Entry>>;

/// A reservation that may still be settled: where its entries stand.
struct Granted {
    record: RecordId,
    prepared: Arc<Prepared>,
    /// Keys of the traces it is in, with its place there.
    places: Vec<((String, String), usize)>,
}

struct Run {
    pool: Arc<Pool>,
    catalogue: Catalogue,
    store: Arc<RedisStore>,
    clock: TestClock,
    random: StdRng,
    traces: Traces,
    open: Vec<Granted>,
    records: u64,
}

impl Run {
    async fn start(limits: &str, seed: u64) -> Self {
        let id = fresh_pool("exact");
        let pool = pool_of(&id, limits);
        Self {
            catalogue: catalogue_of(&pool),
            store: timed_store(shared().await),
            clock: TestClock::start(shared().await, &id).await,
            pool,
            random: StdRng::seed_from_u64(seed),
            traces: Traces::new(),
            open: Vec::new(),
            records: 0,
        }
    }

    async fn apply(&self, ops: Vec<Op>) -> (u64, Vec<Answer>) {
        let call = call(&self.catalogue, self.clock.now, ops);
        match self.store.apply(&self.pool.id, &call).await.unwrap() {
            Outcome::Done(reply) => (reply.header.clock_us, reply.answers),
            other => panic!("{other:?}"),
        }
    }

    fn prepare(&self, scope: &[(&str, &str)], tokens: u64) -> Arc<Prepared> {
        let scope = Scope::new(scope.iter().copied()).unwrap();
        Arc::new(self.catalogue.prepare(&scope, &cost(&[("tokens", tokens)]), None, Priority::Normal, true).unwrap())
    }

    /// Reserves all of these in one call; tells how many were granted.
    async fn reserve(&mut self, wanted: Vec<Arc<Prepared>>) -> usize {
        let mut records = Vec::new();
        let ops = wanted.iter().map(|prepared| {
            self.records += 1;
            let mut raw = [0; 16];
            raw[..8].copy_from_slice(&self.records.to_le_bytes());
            records.push(RecordId::from_raw(raw));
            Op::Reserve {
                shape: prepared.shape.clone(),
                costs: prepared.costs.clone(),
                record: RecordId::from_raw(raw),
                nonce: 0,
                fingerprint: 0,
                lease_us: 3_600_000_000,
                blob: Bytes::new(),
            }
        });
        let ops = ops.collect();
        let (at_us, answers) = self.apply(ops).await;
        let mut count = 0;
        for ((answer, prepared), record) in answers.iter().zip(wanted).zip(records) {
            if matches!(answer, Answer::Denied(_)) {
                continue;
            }
            assert!(matches!(answer, Answer::Granted { .. }), "{answer:?}");
            count += 1;
            let mut places = Vec::new();
            for (item, cost) in prepared.shape.items.iter().zip(&prepared.costs) {
                let group = &prepared.shape.groups[usize::from(item.group)];
                let number = group.slots[usize::from(item.slot)].number;
                let limit = self.catalogue.limit(number).unwrap().id.to_string();
                let trace = self.traces.entry((limit.clone(), group.text.clone())).or_default();
                trace.push(Entry { line: trace.len() + 1, at_us, cost: *cost, settled: None, settled_at_us: None });
                places.push(((limit, group.text.clone()), trace.len() - 1));
            }
            self.open.push(Granted { record, prepared, places });
        }
        count
    }

    /// Commits or releases some open reservation, at a cost below, at or above its hold.
    async fn settle_one(&mut self) {
        let at = self.random.random_range(0..self.open.len());
        let granted = self.open.swap_remove(at);
        let tokens = Unit::new("tokens").unwrap().number();
        let held = *granted.prepared.costs.iter().max().unwrap();
        let true_cost = match self.random.random_range(0..5) {
            0 => None,
            1 => Some(held),
            2 => Some(held + self.random.random_range(1..5)),
            _ => Some(self.random.random_range(0..=held)),
        };
        let how = match true_cost {
            None => Settlement::Release { void_when_unknown: false },
            Some(cost) => Settlement::Commit { costs: vec![(tokens, cost)], estimated: false },
        };
        let groups = granted.prepared.shape.groups.iter().map(|group| group.id).collect();
        let op = Op::Settle { record: granted.record, nonce: None, groups, how, fingerprint: 1 };
        let (at_us, answers) = self.apply(vec![op]).await;
        assert!(matches!(answers[0], Answer::Settled(_)), "{answers:?}");
        for (name, place) in granted.places {
            let entry = &mut self.traces.get_mut(&name).unwrap()[place];
            // A refund that comes when the grant has left its window changes nothing any more.
            entry.settled = Some(true_cost.unwrap_or(0));
            entry.settled_at_us = Some(at_us);
        }
    }

    /// Judges every counter's trace.
    fn judge(&self) -> Result<(), TestCaseError> {
        for ((limit, partition), entries) in &self.traces {
            let limit = self.pool.limits.iter().find(|known| known.id.as_str() == limit).unwrap();
            let quota_coordinator::domain::Kind::Rate { window_ms } = limit.kind else { continue };
            for count in [Count::Charged, Count::Held] {
                let report = worst(entries, u64::from(window_ms) * 1000, limit.capacity, count);
                prop_assert!(report.holds, "{} of {partition}, by {count:?}: {report:?}", limit.id);
            }
        }
        Ok(())
    }
}

fn never_over(traffic: Traffic, limits: usize, capacity: u64, window_s: u64, seed: u64) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let all = [
            format!("[[pools.limits]]\nid = \"pool\"\nunit = \"tokens\"\ncapacity = {capacity}\nwindow = \"{window_s}s\"\n"),
            format!("[[pools.limits]]\nid = \"own\"\nunit = \"tokens\"\ncapacity = {}\nwindow = \"{}s\"\nper = [\"workspace\"]\n", capacity * 2 / 3 + 1, window_s + 3),
            format!("[[pools.limits]]\nid = \"requests\"\nunit = \"requests\"\ncapacity = {}\nwindow = \"1s\"\nper = [\"model\", \"workspace\"]\n", capacity / 2 + 1),
        ];
        let mut run = Run::start(&all[..limits].concat(), seed).await;
        let window = window_s * 1_000_000;
        let biggest = (capacity / 10).max(1);
        while run.records < 500 {
            let step = gap(traffic, &mut run.random, run.clock.now, window, capacity);
            let mut time = run.clock.now + step;
            if run.random.random_ratio(1, 25) {
                time -= run.random.random_range(0..window / 3);
            }
            run.clock.set(time.max(START)).await;
            let wanted: Vec<_> = (0..run.random.random_range(1..6))
                .map(|_| {
                    let (workspace, model) = (["a", "b"][run.random.random_range(0..2)], ["x", "y"][run.random.random_range(0..2)]);
                    let tokens = run.random.random_range(1..=biggest);
                    run.prepare(&[("workspace", workspace), ("model", model)], tokens)
                })
                .collect();
            run.reserve(wanted).await;
            if !run.open.is_empty() && run.random.random_ratio(2, 5) {
                run.settle_one().await;
            }
        }
        run.judge()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interval_holds_more_than_the_capacity(
        traffic in traffic(), limits in 1..=3usize, capacity in 3..400u64, window_s in 1..90u64, seed in any::<u64>()
    ) {
        never_over(traffic, limits, capacity, window_s, seed)?;
    }
}

#[tokio::test]
async fn a_load_that_could_use_everything_gets_nearly_all_of_it() {
    const CAPACITY: u64 = 200;
    const WINDOWS: u64 = 40;
    let mut run = Run::start("[[pools.limits]]\nid = \"pool\"\nunit = \"tokens\"\ncapacity = 200\nwindow = \"60s\"\n", 1).await;
    let one = run.prepare(&[], 1);
    let mut granted = 0;
    for n in 0..WINDOWS * CAPACITY * 2 {
        run.clock.set(START + n * 60_000_000 / (CAPACITY * 2)).await;
        granted += run.reserve(vec![one.clone()]).await as u64;
    }
    run.judge().unwrap();
    let kept = granted * 1000 / (CAPACITY * WINDOWS);
    assert!((970..=1000).contains(&kept), "{kept} thousandths");
}

#[tokio::test]
async fn a_burst_on_each_side_of_a_minute_is_one_burst() {
    let mut run = Run::start("[[pools.limits]]\nid = \"rpm\"\nunit = \"requests\"\ncapacity = 500\nwindow = \"60s\"\n", 1).await;
    let one = run.prepare(&[], 0);
    let minute = (START / 60_000_000 + 1) * 60_000_000;
    for (at, expected) in [(minute - 1_000_000, 449), (minute + 1, 51)] {
        run.clock.set(at).await;
        let mut granted = 0;
        for _ in 0..449 {
            run.clock.pass(Duration::from_micros(900)).await;
            granted += run.reserve(vec![one.clone()]).await;
        }
        assert_eq!(granted, expected);
    }
    let entries = run.traces.values().next().unwrap();
    assert_eq!(worst(entries, 60_000_000, 500, Count::Held).worst, 500);
}
