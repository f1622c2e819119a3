//! A denial says when: a microsecond before, the same cost is still denied, and at that instant it is
//! granted, if nobody else came.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use quota_coordinator::{
    coordinator::catalogue::Prepared,
    domain::{Priority, Scope},
    store::{
        Store,
        call::{Op, RecordId, Settlement},
        reply::{Answer, Outcome, Wait},
    },
};

use crate::support::{
    node::{call, catalogue_of, cost, pool_of},
    redis::{TestClock, fresh_pool, shared, timed_store},
};

#[derive(Clone, Debug)]
enum Step {
    Reserve { tokens: u64, low: bool },
    Settle { which: usize, tokens: Option<u64> },
    Record { tokens: u64 },
    Pass { us: u64 },
    Back { us: u64 },
}

fn step(capacity: u64) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..=capacity / 5 + 1, any::<bool>()).prop_map(|(tokens, low)| Step::Reserve { tokens, low }),
        2 => (any::<usize>(), prop::option::of(0..=capacity / 3)).prop_map(|(which, tokens)| Step::Settle { which, tokens }),
        1 => (1..=capacity / 4 + 1).prop_map(|tokens| Step::Record { tokens }),
        6 => prop_oneof![1..2_000u64, 1..2_000_000u64, 1..20_000_000u64].prop_map(|us| Step::Pass { us }),
        1 => (1..5_000_000u64).prop_map(|us| Step::Back { us }),
    ]
}

fn case() -> impl Strategy<Value = (u64, u64, Vec<Step>, u64)> {
    (1..600u64, 1..90u64).prop_flat_map(|(capacity, window_s)| {
        let steps = prop::collection::vec(step(capacity), 10..120);
        (Just(capacity), Just(window_s), steps, 1..=capacity)
    })
}

fn record(n: usize) -> RecordId {
    let mut raw = [3; 16];
    raw[..8].copy_from_slice(&(n as u64).to_le_bytes());
    RecordId::from_raw(raw)
}

fn exact_to_the_microsecond(capacity: u64, window_s: u64, steps: Vec<Step>, wanted: u64) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let id = fresh_pool("retry");
        let pool = pool_of(
            &id,
            &format!(
                "[[pools.limits]]\nid = \"rate\"\nunit = \"tokens\"\ncapacity = {capacity}\nwindow = \"{window_s}s\"\npriority_share = {{ low = 0.6 }}\n\
                 [[pools.limits]]\nid = \"short\"\nunit = \"tokens\"\ncapacity = {}\nwindow = \"1s\"\nper = [\"workspace\"]\n\
                 [[pools.limits]]\nid = \"budget\"\nunit = \"tokens\"\ncapacity = {}\nperiod = \"hour\"\ntime_zone = \"Asia/Kolkata\"\non_lease_end = \"charge\"\n",
                capacity / 2 + 1,
                capacity * 6
            ),
        );
        let catalogue = catalogue_of(&pool);
        let store = timed_store(shared().await);
        let mut clock = TestClock::start(shared().await, &id).await;
        let prepare = |tokens: u64, priority| -> Arc<Prepared> {
            Arc::new(catalogue.prepare(&Scope::default(), &cost(&[("tokens", tokens)]), None, priority, true).unwrap())
        };
        let apply = async |about: u64, op: Op| match store.apply(&id, &call(&catalogue, about, vec![op])).await.unwrap() {
            Outcome::Done(mut reply) => (reply.header.clock_us, reply.answers.remove(0)),
            other => panic!("{other:?}"),
        };
        let mut opened = 0;
        for step in steps {
            let op = match step {
                Step::Pass { us } => {
                    clock.set(clock.now + us).await;
                    continue;
                }
                Step::Back { us } => {
                    clock.set(clock.now - us).await;
                    continue;
                }
                Step::Reserve { tokens, low } => {
                    let prepared = prepare(tokens, if low { Priority::Low } else { Priority::Normal });
                    opened += 1;
                    Op::Reserve {
                        shape: prepared.shape.clone(),
                        costs: prepared.costs.clone(),
                        record: record(opened),
                        nonce: 0,
                        fingerprint: 0,
                        lease_us: 60_000_000,
                        blob: Bytes::new(),
                    }
                }
                Step::Settle { which, tokens } => {
                    let groups = prepare(1, Priority::Normal).shape.groups.iter().map(|group| group.id).collect();
                    let costs = tokens.map(|tokens| (cost(&[("tokens", 0)]).iter().next().unwrap().0.number(), tokens));
                    let how = match costs {
                        None => Settlement::Release { void_when_unknown: false },
                        Some(cost) => Settlement::Commit { costs: vec![cost], estimated: false },
                    };
                    Op::Settle { record: record(which % (opened + 1)), nonce: None, groups, how, fingerprint: 1 }
                }
                Step::Record { tokens } => {
                    let prepared = prepare(tokens, Priority::Normal);
                    opened += 1;
                    let (shape, costs) = (prepared.shape.clone(), prepared.costs.clone());
                    Op::Record { shape, costs, record: record(opened), fingerprint: 0 }
                }
            };
            apply(clock.now, op).await;
        }
        for priority in [Priority::Normal, Priority::Low] {
            let prepared = prepare(wanted, priority);
            let check = || Op::Check { shape: prepared.shape.clone(), costs: prepared.costs.clone() };
            // Each limit in the way has an instant of its own; the last of them lets the cost pass.
            let (now, answer) = apply(clock.now, check()).await;
            let Answer::Denied(waits) = answer else { continue };
            if waits.contains(&Wait::Never) {
                let ceiling = prepared.shape.items.iter().map(|item| item.ceiling).min().unwrap();
                prop_assert!(wanted > ceiling);
                continue;
            }
            let Some(Wait::For(longest)) = waits.iter().copied().max() else { panic!("{waits:?}") };
            prop_assert!(longest > 0);
            clock.set(now + longest - 1).await;
            let (before, answer) = apply(now, check()).await;
            prop_assert_eq!(before, now + longest - 1);
            let expected: Vec<Wait> = waits
                .iter()
                .map(|wait| match wait {
                    Wait::For(us) if *us == longest => Wait::For(1),
                    _ => Wait::No,
                })
                .collect();
            prop_assert_eq!(answer, Answer::Denied(expected));
            clock.set(now + longest).await;
            let (_, answer) = apply(now, check()).await;
            prop_assert!(matches!(answer, Answer::Granted { .. }), "{:?} {:?}", waits, answer);
            clock.set(now).await;
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_denial_is_right_to_the_microsecond((capacity, window_s, steps, wanted) in case()) {
        exact_to_the_microsecond(capacity, window_s, steps, wanted)?;
    }
}
