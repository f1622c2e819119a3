//! Settlements that find less than they left: leases that ended, windows and periods that turned,
//! counters that were reset.

use std::time::Duration;

use quota_coordinator::{
    coordinator::types::{ReservationState, Reset},
    domain::Scope,
};

use super::{MIXED, mixed, thirty};
use crate::support::{node::dollars, timed::Timed};

async fn reset(test: &Timed, limit: Option<&str>) -> u64 {
    let request =
        Reset { pool: test.pool.clone(), limit: limit.map(str::to_owned), scope: Scope::default(), principal: "tester".into() };
    test.node.reset(request).await.unwrap()
}

#[tokio::test]
async fn a_late_commit_without_costs_charges_the_hold_whether_or_not_the_lease_was_swept() {
    for swept in [false, true] {
        let mut test = Timed::start("late", MIXED).await;
        let id = test.granted(thirty(&test)).await.reservation;
        test.pass(61).await;
        if swept {
            test.sweep().await;
            assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
            let view = test.reservation(&id).await.unwrap();
            let of = |unit: &str| view.charged.iter().find(|(known, _)| known.as_str() == unit).unwrap().1;
            assert_eq!((view.state, of("tokens"), of("cost_usd")), (ReservationState::Expired, 30, 0));
        }
        let settled = test.commits(&id, &[]).await.unwrap();
        assert!(settled.late);
        let charged: Vec<_> = settled.charged.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect();
        assert_eq!(charged, [("cost_usd", dollars("3")), ("requests", 1), ("tokens", 30)], "swept: {swept}");
        assert_eq!(mixed(&test).await, [(0, 0), (3, 0), (0, 0)], "swept: {swept}");
    }
}

#[tokio::test]
async fn on_lease_end_says_what_comes_back() {
    let limits = r#"
[[pools.limits]]
id = "rate-refund"
unit = "tokens"
capacity = 100
window = "1h"
on_lease_end = "refund"

[[pools.limits]]
id = "rate"
unit = "tokens"
capacity = 100
window = "1h"

[[pools.limits]]
id = "budget-charge"
unit = "tokens"
capacity = 100
period = "month"
on_lease_end = "charge"

[[pools.limits]]
id = "budget"
unit = "tokens"
capacity = 100
period = "month"

[[pools.limits]]
id = "open-tokens"
unit = "tokens"
kind = "concurrency"
capacity = 100
"#;
    let mut test = Timed::start("late", limits).await;
    let id = test.granted(test.asks(&[("tokens", 30)])).await.reservation;
    test.pass(60).await;
    test.sweep().await;
    let all = ["rate-refund", "rate", "budget-charge", "budget", "open-tokens"];
    for (limit, expected) in all.into_iter().zip([(0, 0), (30, 0), (30, 0), (0, 0), (0, 0)]) {
        assert_eq!(test.figures(limit).await, expected, "{limit}");
    }
    // A second sweep, and a sweep by another node, find nothing to do.
    test.sweep().await;
    assert!(test.commits(&id, &[("tokens", 20)]).await.unwrap().late);
    for (limit, expected) in all.into_iter().zip([(20, 0), (20, 0), (20, 0), (20, 0), (0, 0)]) {
        assert_eq!(test.figures(limit).await, expected, "{limit}");
    }
}

#[tokio::test]
async fn a_reset_is_never_refunded_into() {
    let test = Timed::start("late", MIXED).await;
    let ids = [
        test.granted(thirty(&test)).await.reservation,
        test.granted(thirty(&test)).await.reservation,
        test.granted(thirty(&test)).await.reservation,
    ];
    assert_eq!(reset(&test, None).await, 3);
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
    // What comes after the reset is not touched by what came before.
    let after = test.granted(thirty(&test)).await.reservation;
    for (id, costs) in ids.iter().zip([vec![("tokens", 0), ("cost_usd", 0)], vec![], vec![("tokens", 35)]]) {
        let settled = test.commits(id, &costs).await.unwrap();
        assert_eq!(settled.skipped, ["tpm", "spend", "in-flight"]);
    }
    // Of the third, five tokens were used beyond its hold.
    assert_eq!(mixed(&test).await, [(5, 30), (0, 3), (0, 1)]);
    assert!(test.releases(&after).await.unwrap().skipped.is_empty());
    assert_eq!(mixed(&test).await, [(5, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn a_reset_of_one_limit_leaves_the_others_their_holds() {
    let mut test = Timed::start("late", MIXED).await;
    let (one, other) = (test.granted(thirty(&test)).await.reservation, test.granted(thirty(&test)).await.reservation);
    assert_eq!(reset(&test, Some("spend")).await, 1);
    assert_eq!(mixed(&test).await, [(0, 60), (0, 0), (0, 2)]);
    let settled = test.releases(&one).await.unwrap();
    assert_eq!(settled.skipped, ["spend"]);
    assert_eq!(mixed(&test).await, [(0, 30), (0, 0), (0, 1)]);
    test.clock.set(test.reservation(&other).await.unwrap().expires_at_us).await;
    test.sweep().await;
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn a_lease_may_outlive_its_window() {
    let mut test = Timed::start("late", MIXED).await;
    let request = || quota_coordinator::coordinator::types::Reserve { lease: Duration::from_secs(600), ..thirty(&test) };
    let (below, above) = (test.granted(request()).await.reservation, test.granted(request()).await.reservation);
    test.pass(61).await;
    // The window has moved on, and with it the hold; money and place are still held.
    assert_eq!(mixed(&test).await, [(0, 0), (0, 6), (0, 2)]);
    let fresh = test.granted(thirty(&test)).await.reservation;
    let settled = test.commits(&below, &[("tokens", 10), ("cost_usd", dollars("1"))]).await.unwrap();
    assert!(settled.skipped.is_empty() && !settled.late, "{settled:?}");
    assert_eq!(mixed(&test).await, [(0, 30), (1, 6), (0, 2)]);
    test.commits(&above, &[("tokens", 50), ("cost_usd", dollars("4"))]).await.unwrap();
    assert_eq!(mixed(&test).await, [(20, 30), (5, 3), (0, 1)]);
    test.releases(&fresh).await.unwrap();
    assert_eq!(mixed(&test).await, [(20, 0), (5, 0), (0, 0)]);
}

#[tokio::test]
async fn a_settlement_belongs_to_the_period_of_its_admission() {
    let limits = "[[pools.limits]]\nid = \"spend\"\nunit = \"cost_usd\"\ncapacity = 10\nperiod = \"hour\"\n";
    let mut test = Timed::start("late", limits).await;
    let request = quota_coordinator::coordinator::types::Reserve {
        lease: Duration::from_secs(3600),
        ..test.asks(&[("cost_usd", dollars("3"))])
    };
    let ids = [test.granted(request.clone()).await.reservation, test.granted(request.clone()).await.reservation];
    test.clock.set((test.clock.now / 3_600_000_000 + 1) * 3_600_000_000 + 1_000_000).await;
    assert_eq!(test.figures("spend").await, (0, 0));
    assert!(test.commits(&ids[0], &[("cost_usd", dollars("1"))]).await.unwrap().skipped.is_empty());
    assert_eq!(test.figures("spend").await, (0, 0));
    test.commits(&ids[1], &[("cost_usd", dollars("3.5"))]).await.unwrap();
    assert_eq!(test.figures("spend").await, (dollars("0.5"), 0));
}

#[tokio::test]
async fn what_settles_as_admitted_gives_nothing_back_on_a_commit() {
    let limits = r#"
[[pools.limits]]
id = "tpm"
unit = "tokens"
capacity = 100
window = "1m"
settle = "admitted"
"#;
    let test = Timed::start("late", limits).await;
    let ids = [
        test.granted(test.asks(&[("tokens", 20)])).await.reservation,
        test.granted(test.asks(&[("tokens", 20)])).await.reservation,
        test.granted(test.asks(&[("tokens", 20)])).await.reservation,
    ];
    test.commits(&ids[0], &[("tokens", 5)]).await.unwrap();
    assert_eq!(test.figures("tpm").await, (20, 40));
    test.commits(&ids[1], &[("tokens", 25)]).await.unwrap();
    assert_eq!(test.figures("tpm").await, (45, 20));
    // A call that was never sent was not counted by the provider either.
    test.releases(&ids[2]).await.unwrap();
    assert_eq!(test.figures("tpm").await, (45, 0));
}
