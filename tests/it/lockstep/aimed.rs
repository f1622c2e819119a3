//! Steps that aim at what the rules of segments and statuses turn on: shares of the capacity to the
//! unit, borders of ticks and quarters and the end of a window to the microsecond. Random steps hardly
//! ever meet them.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quota_coordinator::{
    domain::Number,
    store::{
        call::{GroupRef, Op, Settlement, Shape},
        reply::{Answer, Wait},
    },
};

use super::{
    draw::Drawn,
    run::{Run, border, record_id},
};
use crate::support::redis::START;

/// One aimed step of a single limit.
#[derive(Clone, Debug)]
enum Aim {
    /// Take so many 32nds of the capacity, and a unit more or less.
    Share { parts: u64, aside: i64 },
    /// Take or give back, so that the total is this many thousandths of the capacity, and a unit more or less.
    Level { thousandths: u64, aside: i64 },
    /// Ask for this fraction of the capacity, which may be refused.
    Ask { one_in: u64, aside: i64 },
    /// To the next border of this many parts of the window.
    Border { parts: u8, aside: i8 },
    /// To where the oldest segment leaves.
    Leave { aside: i8 },
    /// A little later.
    Later { us: u64 },
    /// Give back all of some reservation.
    Release { which: usize },
    /// Bring the group to the present.
    Touch,
}

fn aim() -> impl Strategy<Value = Aim> {
    prop_oneof![
        6 => (1..3u64, -2..=2i64).prop_map(|(parts, aside)| Aim::Share { parts, aside }),
        4 => (prop::sample::select(vec![50u64, 750, 800, 950, 1000]), -1..=1i64)
            .prop_map(|(thousandths, aside)| Aim::Level { thousandths, aside }),
        2 => (prop::sample::select(vec![20u64, 10]), -1..=1i64).prop_map(|(one_in, aside)| Aim::Ask { one_in, aside }),
        8 => (prop::sample::select(vec![128u8, 128, 128, 4]), -1..=1i8).prop_map(|(parts, aside)| Aim::Border { parts, aside }),
        2 => (-1..=1i8).prop_map(|aside| Aim::Leave { aside }),
        2 => (1..200_000u64).prop_map(|us| Aim::Later { us }),
        2 => any::<usize>().prop_map(|which| Aim::Release { which }),
        1 => Just(Aim::Touch),
    ]
}

struct Aimed {
    run: Run,
    shape: Arc<Shape>,
    capacity: u64,
    window: u64,
    total: u64,
    /// Units of what may still be settled, by the number of its record.
    open: Vec<(u64, u64)>,
    records: u64,
}

impl Aimed {
    async fn reply(&mut self, op: Op) -> Answer {
        let mut ops = vec![op];
        ops.push(Op::Read { group: GroupRef::Spec(self.shape.groups[0].clone()) });
        let reply = self.run.reply(ops).await;
        self.total = reply.counters[0].total;
        reply.answers.into_iter().next().unwrap()
    }

    async fn take(&mut self, amount: u64) {
        self.records += 1;
        let op = Op::Reserve {
            shape: self.shape.clone(),
            costs: vec![amount],
            record: record_id(self.records),
            nonce: 0,
            fingerprint: 0,
            lease_us: 3_600_000_000,
            blob: Bytes::new(),
        };
        if matches!(self.reply(op).await, Answer::Granted { .. }) {
            self.open.push((self.records, amount));
        }
    }

    async fn settle(&mut self, at: usize, give_back: u64) {
        let (record, amount) = self.open.swap_remove(at);
        let costs = vec![(self.shape.items[0].unit, amount - give_back)];
        let how = Settlement::Commit { costs, estimated: false };
        let groups = vec![self.shape.groups[0].id];
        self.reply(Op::Settle { record: record_id(record), nonce: None, groups, how, fingerprint: 1 }).await;
    }

    async fn step(&mut self, aim: &Aim) {
        match *aim {
            Aim::Share { parts, aside } => self.take((self.capacity * parts / 32).saturating_add_signed(aside)).await,
            Aim::Ask { one_in, aside } => self.take((self.capacity / one_in).saturating_add_signed(aside)).await,
            Aim::Level { thousandths, aside } => {
                let wanted = (self.capacity * thousandths / 1000).saturating_add_signed(aside);
                if wanted > self.total {
                    self.take(wanted - self.total).await;
                } else if let Some(at) = self.open.iter().position(|(_, amount)| *amount >= self.total - wanted) {
                    self.settle(at, self.total - wanted).await;
                }
            }
            Aim::Release { which } if !self.open.is_empty() => {
                let at = which % self.open.len();
                self.settle(at, self.open[at].1).await;
            }
            Aim::Release { .. } => {}
            Aim::Border { parts, aside } => self.run.set_time(border(self.run.time, self.window, parts, aside)).await,
            Aim::Later { us } => self.run.set_time(self.run.time + us).await,
            Aim::Touch => drop(self.reply(Op::Touch { group: GroupRef::Id(self.shape.groups[0].id) }).await),
            Aim::Leave { aside } => {
                let costs = vec![(self.capacity + 1).saturating_sub(self.total).max(1)];
                let answer = self.reply(Op::Check { shape: self.shape.clone(), costs }).await;
                if let Answer::Denied(waits) = answer
                    && let Wait::For(us) = waits[0]
                {
                    self.run.set_time((self.run.time + us).saturating_add_signed(aside.into())).await;
                }
            }
        }
    }

    /// Looks at the counter as each segment leaves: where they were cut differently, they leave differently.
    async fn watch_it_drain(&mut self) {
        let group = GroupRef::Spec(self.shape.groups[0].clone());
        for _ in 0..150 {
            let costs = vec![(self.capacity + 1).saturating_sub(self.total).max(1)];
            let check = Op::Check { shape: self.shape.clone(), costs };
            let reply = self.run.reply(vec![check, Op::Read { group: group.clone() }]).await;
            self.total = reply.counters[0].total;
            let Answer::Denied(waits) = &reply.answers[0] else { return };
            let Wait::For(us) = waits[0] else { return };
            self.run.set_time(reply.header.clock_us + us).await;
            self.reply(Op::Touch { group: GroupRef::Id(self.shape.groups[0].id) }).await;
        }
    }
}

fn aimed(kind: u8, window_ms: u32, (capacity, share): (u64, u64), start: u64, steps: &[Aim]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = Drawn {
            kind,
            window_ms,
            capacity,
            other_capacity: capacity,
            per_workspace: false,
            shadow: [false; 2],
            silent: false,
            refund: false,
            admitted: false,
            share,
            only_first: false,
        };
        let mut run = Run::start(&[limit]).await;
        run.set_time(START + start).await;
        let shape = run.nodes[0].shapes[2].clone();
        assert_eq!(shape.items[0].unit, Number::of("unit 0"));
        let window = u64::from(window_ms) * 1000;
        let mut aimed = Aimed { run, shape, capacity, window, total: 0, open: Vec::new(), records: 0 };
        for step in steps {
            aimed.step(step).await;
        }
        aimed.watch_it_drain().await;
        aimed.run.read_all().await;
        aimed.run.compare_logs().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 500, failure_persistence: Some(Box::new(
        proptest::test_runner::FileFailurePersistence::Direct("tests/regressions/aimed.txt"))), ..ProptestConfig::default() })]

    #[test]
    fn the_lua_does_what_the_model_says_at_every_border(
        kind in prop_oneof![6 => Just(0u8), 1 => Just(3u8), 1 => Just(4u8)],
        window_ms in prop::sample::select(vec![1_000u32, 1_500, 60_000, 86_400_000]),
        capacity in prop_oneof![(1..25u64).prop_map(|n| n * 200), 32..2000u64],
        share in prop::sample::select(vec![1000u64, 1000, 950]),
        start in 0..90_000_000_000u64,
        steps in prop::collection::vec(aim(), 10..80),
    ) {
        aimed(kind, window_ms, (capacity, share), start, &steps);
    }
}
