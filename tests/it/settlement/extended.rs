//! Prolonged leases and added costs.

use std::time::Duration;

use quota_coordinator::coordinator::types::{CoordinatorError, Extend, Extended, Reserve};

use super::{MIXED, mixed, thirty};
use crate::support::{
    node::{cost, dollars},
    timed::Timed,
};

fn until(answer: &Extended) -> u64 {
    match answer {
        Extended::Prolonged { expires_at_us, .. } => *expires_at_us,
        Extended::Denied(decision) => panic!("{decision:?}"),
    }
}

#[tokio::test]
async fn a_prolonged_lease_holds_until_its_new_end() {
    let mut test = Timed::start("extend", MIXED).await;
    let grant = test.granted(thirty(&test)).await;
    test.pass(30).await;
    let prolonged = test.extends(&grant.reservation, Duration::from_secs(60), &[]).await.unwrap();
    assert!(until(&prolonged) > grant.expires_at_us + 29_000_000);
    // Never shortened.
    let again = test.extends(&grant.reservation, Duration::from_secs(1), &[]).await.unwrap();
    assert_eq!(until(&again), until(&prolonged));
    test.clock.set(grant.expires_at_us + 1_000_000).await;
    test.sweep().await;
    assert_eq!(mixed(&test).await, [(0, 0), (0, 3), (0, 1)]);
    test.clock.set(until(&prolonged)).await;
    test.sweep().await;
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn added_costs_are_granted_or_denied_as_a_whole() {
    let mut test = Timed::start("extend", MIXED).await;
    let grant = test.granted(thirty(&test)).await;
    let minute = Duration::from_secs(60);
    test.pass(10).await;
    let prolonged =
        until(&test.extends(&grant.reservation, minute, &[("tokens", 20), ("cost_usd", dollars("1"))]).await.unwrap());
    assert_eq!(mixed(&test).await, [(0, 50), (0, 4), (0, 1)]);

    test.pass(10).await;
    let denied = test.extends(&grant.reservation, minute, &[("tokens", 51), ("cost_usd", dollars("1"))]).await.unwrap();
    let Extended::Denied(decision) = denied else { panic!("{denied:?}") };
    assert_eq!(decision.obstacles.violated.len(), 1);
    assert_eq!(mixed(&test).await, [(0, 50), (0, 4), (0, 1)]);
    assert_eq!(test.reservation(&grant.reservation).await.unwrap().expires_at_us, prolonged);
    let charged = test.reservation(&grant.reservation).await.unwrap().charged;
    assert_eq!(charged.iter().find(|(unit, _)| unit.as_str() == "tokens").unwrap().1, 50);
}

#[tokio::test]
async fn a_commit_is_the_true_cost_of_everything_that_was_held() {
    let limits = format!("{MIXED}\n[[pools.limits]]\nid = \"tpd\"\nunit = \"tokens\"\ncapacity = 1000\nwindow = \"24h\"\n");
    let minute = Duration::from_secs(60);
    for (costs, tokens) in [(vec![("tokens", 36)], 36), (vec![], 50), (vec![("tokens", 70)], 70), (vec![("tokens", 10)], 10)] {
        let mut test = Timed::start("extend", &limits).await;
        let id = test.granted(thirty(&test)).await.reservation;
        test.pass(10).await;
        until(&test.extends(&id, minute, &[("tokens", 15)]).await.unwrap());
        until(&test.extends(&id, minute, &[("tokens", 5)]).await.unwrap());
        assert_eq!(mixed(&test).await, [(0, 50), (0, 3), (0, 1)]);
        let settled = test.commits(&id, &costs).await.unwrap();
        assert_eq!(mixed(&test).await, [(tokens, 0), (3, 0), (0, 0)], "{costs:?}");
        assert_eq!(test.figures("tpd").await, (tokens, 0), "{costs:?}");
        assert_eq!(settled.charged.iter().find(|(unit, _)| unit.as_str() == "tokens").unwrap().1, tokens, "{costs:?}");
        assert!(settled.skipped.is_empty());
    }
}

#[tokio::test]
async fn an_extension_with_a_key_is_carried_out_once() {
    let test = Timed::start("extend", MIXED).await;
    let id = test.granted(thirty(&test)).await.reservation;
    let request = Extend {
        reservation: id.clone(),
        lease: Duration::from_secs(60),
        add_cost: cost(&[("tokens", 20)]),
        idempotency_key: Some("more".into()),
    };
    let first = until(&test.extend(request.clone()).await.unwrap());
    assert_eq!(until(&test.extend(request).await.unwrap()), first);
    assert_eq!(mixed(&test).await, [(0, 50), (0, 3), (0, 1)]);
    test.releases(&id).await.unwrap();
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn a_lease_stands_a_day_at_most() {
    let mut test = Timed::start("extend", MIXED).await;
    let hour = Duration::from_secs(3600);
    let grant = test.granted(Reserve { lease: hour, ..thirty(&test) }).await;
    let mut end = grant.expires_at_us;
    for _ in 0..23 {
        test.clock.set(end - 1_000_000).await;
        end = until(&test.extends(&grant.reservation, hour, &[]).await.unwrap());
    }
    test.clock.set(end - 1_000_000).await;
    let answer = test.extends(&grant.reservation, hour, &[]).await;
    assert!(matches!(answer, Err(CoordinatorError::LeaseTooLong)), "{answer:?}");
    // The record has lived as long, and longer.
    assert_eq!(mixed(&test).await, [(0, 0), (0, 3), (0, 1)]);
    test.releases(&grant.reservation).await.unwrap();
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn more_additions_than_a_record_holds_are_refused_and_nothing_is_lost() {
    let test = Timed::start("extend", MIXED).await;
    let minute = Duration::from_secs(60);
    let id = test.granted(test.asks(&[("tokens", 1), ("cost_usd", 0)])).await.reservation;
    let mut tokens = 1;
    let refusal = loop {
        match test.extends(&id, minute, &[("tokens", 0), ("cost_usd", dollars("0.001")), ("requests", 0)]).await {
            Ok(answer) => drop(until(&answer)),
            Err(error) => break error,
        }
        tokens += 1;
        assert!(tokens < 1000);
    };
    assert!(matches!(refusal, CoordinatorError::LeaseTooLong), "{refusal:?}");
    test.releases(&id).await.unwrap();
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
    assert_eq!(test.figures("spend").await, (0, 0));
}
