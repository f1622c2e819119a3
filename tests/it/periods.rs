//! Budgets and their calendar: what period it is, is decided by the store's clock, whatever a node's
//! own clock says.

use std::time::Duration;

use jiff::Timestamp;
use quota_coordinator::{
    coordinator::{
        catalogue::Catalogue,
        types::{DenialReason, Reserve},
    },
    domain::{Priority, Scope},
    store::{
        Store,
        call::{Op, RecordId, Settlement},
        reply::{Answer, Outcome, Reply},
    },
};

use crate::support::{
    node::{call, catalogue_of, cost},
    timed::Timed,
};

const HOUR: u64 = 3_600_000_000;
const DAY: u64 = 24 * HOUR;

fn us(text: &str) -> u64 {
    u64::try_from(text.parse::<Timestamp>().unwrap().as_microsecond()).unwrap()
}

fn budget(period: &str, zone: &str) -> String {
    format!(
        "[[pools.limits]]\nid = \"budget\"\nunit = \"tokens\"\ncapacity = 100\nperiod = \"{period}\"\ntime_zone = \"{zone}\"\non_lease_end = \"charge\"\n"
    )
}

fn tokens(test: &Timed, amount: u64) -> Reserve {
    test.asks_anew(&[("tokens", amount)])
}

#[tokio::test]
async fn nothing_comes_back_before_the_boundary_and_everything_at_it() {
    for (period, zone, at, boundary) in [
        ("hour", "Asia/Kolkata", "2027-02-03T10:31:00Z", "2027-02-03T11:30:00Z"),
        ("day", "America/Los_Angeles", "2027-02-03T08:00:01Z", "2027-02-04T08:00:00Z"),
        ("week", "UTC", "2027-02-03T10:00:00Z", "2027-02-08T00:00:00Z"),
        ("month", "Europe/Berlin", "2027-02-03T10:00:00Z", "2027-02-28T23:00:00Z"),
    ] {
        let mut test = Timed::start("period", &budget(period, zone)).await;
        test.clock.set(us(at)).await;
        test.granted(tokens(&test, 60)).await;
        let third = (us(boundary) - us(at)) / 3;
        test.clock.set(us(at) + third).await;
        let denial = test.denied(tokens(&test, 41)).await;
        assert_eq!(denial.reason, DenialReason::LimitReached);
        let retry_after = denial.retry_after.unwrap();
        // The pool's clock passes a microsecond with each call that writes.
        let expected = Duration::from_micros(us(boundary) - us(at) - third);
        assert!(expected.abs_diff(retry_after) < Duration::from_micros(10), "{period}: {retry_after:?}");
        test.granted(tokens(&test, 40)).await;
        test.clock.set(us(boundary) - 1).await;
        test.denied(tokens(&test, 1)).await;
        test.clock.set(us(boundary)).await;
        test.granted(tokens(&test, 100)).await;
        assert_eq!(test.figures("budget").await, (0, 100), "{period}");
    }
}

#[tokio::test]
async fn a_day_on_which_the_clock_changes_is_one_period() {
    for (start, hours) in [("2027-03-14T08:00:00Z", 23), ("2027-11-07T07:00:00Z", 25)] {
        let mut test = Timed::start("dst", &budget("day", "America/Los_Angeles")).await;
        test.clock.set(us(start) - 1).await;
        test.granted(tokens(&test, 100)).await;
        test.clock.set(us(start)).await;
        test.granted(tokens(&test, 100)).await;
        for hour in 1..hours {
            test.clock.set(us(start) + hour * HOUR).await;
            test.denied(tokens(&test, 1)).await;
        }
        test.clock.set(us(start) + hours * HOUR - 1).await;
        test.denied(tokens(&test, 1)).await;
        test.clock.set(us(start) + hours * HOUR).await;
        test.granted(tokens(&test, 100)).await;
    }
}

/// Calls as a node makes them whose clock says `about`, asked again as often as it must be.
async fn by_a_clock_that_says(test: &Timed, catalogue: &Catalogue, about: u64, op: Op) -> (Reply, usize) {
    let mut call = call(catalogue, about, vec![op]);
    for retries in 0..3 {
        match test.store.apply(&test.pool, &call).await.unwrap() {
            Outcome::Done(reply) => return (reply, retries),
            Outcome::RetryPeriod(header) => call.about_us = header.clock_us,
            other @ Outcome::StaleConfig(..) => panic!("{other:?}"),
        }
    }
    panic!("asked for periods again and again");
}

#[tokio::test]
async fn a_nodes_clock_does_not_matter() {
    let now = us("2027-02-03T10:59:30Z");
    for wrong_by in [0, HOUR, DAY, 365 * DAY] {
        for sign in [-1, 1] {
            let about = |time: u64| time.checked_add_signed(i64::try_from(wrong_by).unwrap() * sign).unwrap();
            let mut test = Timed::start("skew", &budget("hour", "UTC")).await;
            test.clock.set(now).await;
            let catalogue = catalogue_of(&test.config);
            let prepared = catalogue.prepare(&Scope::default(), &cost(&[("tokens", 60)]), None, Priority::Normal, true).unwrap();
            let id = RecordId::from_raw([9; 16]);
            let reserve = |n: u8| Op::Reserve {
                shape: prepared.shape.clone(),
                costs: prepared.costs.clone(),
                record: RecordId::from_raw([n; 16]),
                nonce: 0,
                fingerprint: 0,
                lease_us: HOUR,
                blob: bytes::Bytes::new(),
            };
            let (reply, retries) = by_a_clock_that_says(&test, &catalogue, about(now), reserve(9)).await;
            assert!(matches!(reply.answers[0], Answer::Granted { .. }));
            // An hour off is still among the periods that are sent along.
            assert_eq!(retries, usize::from(wrong_by > HOUR), "{wrong_by}");
            let (reply, _) = by_a_clock_that_says(&test, &catalogue, about(now), reserve(10)).await;
            assert!(matches!(reply.answers[0], Answer::Denied(_)));

            // A settlement in the next hour, above its hold: the overrun belongs to that hour.
            test.clock.set(now + HOUR).await;
            let unit = prepared.shape.items[0].unit;
            let op = Op::Settle {
                record: id,
                nonce: None,
                groups: prepared.shape.groups.iter().map(|group| group.id).collect(),
                how: Settlement::Commit { costs: vec![(unit, 75)], estimated: false },
                fingerprint: 1,
            };
            let (reply, _) = by_a_clock_that_says(&test, &catalogue, about(now + HOUR), op).await;
            assert!(matches!(reply.answers[0], Answer::Settled(_)), "{reply:?}");
            assert_eq!(test.figures("budget").await, (15, 0), "{wrong_by} {sign}");
        }
    }
}

#[tokio::test]
async fn a_node_that_starts_with_a_wrong_idea_of_the_time_needs_one_more_call_once() {
    // The store's time is months away from the time of this machine.
    let mut test = Timed::start("skew", &budget("hour", "UTC")).await;
    test.clock.set(us("2035-05-05T05:05:05Z")).await;
    test.granted(tokens(&test, 10)).await;
    let after_one = test.call_counts(&test.pool).unwrap().calls;
    test.granted(tokens(&test, 10)).await;
    let after_two = test.call_counts(&test.pool).unwrap().calls;
    assert_eq!((after_one, after_two), (2, 3));
}
