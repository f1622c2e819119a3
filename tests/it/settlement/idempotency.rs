//! Saying the same thing twice.

use quota_coordinator::coordinator::types::{CoordinatorError, Record, Release, ReservationState, Reserve};

use super::{MIXED, mixed, thirty};
use crate::support::{node::Node, timed::Timed};

fn keyed(node: &Node, key: &str) -> Reserve {
    Reserve { idempotency_key: Some(key.to_owned()), ..thirty(node) }
}

async fn release_key(node: &Node, key: &str) -> Result<ReservationState, CoordinatorError> {
    let request = Release::IdempotencyKey { pool: node.pool.clone(), key: key.to_owned(), principal: "tester".into() };
    node.release(request).await.map(|settled| settled.state)
}

#[tokio::test]
async fn the_same_key_gives_the_same_reservation_with_its_present_state() {
    let mut test = Timed::start("key", MIXED).await;
    let other_node = test.beside(MIXED).await;
    let first = test.granted(keyed(&test, "k")).await;
    assert!(!first.replayed);
    for node in [&test.node, &other_node] {
        let again = node.granted(keyed(node, "k")).await;
        assert_eq!((again.replayed, again.state), (true, ReservationState::Open));
        assert_eq!((&again.reservation, again.expires_at_us), (&first.reservation, first.expires_at_us));
    }
    assert_eq!(mixed(&test).await, [(0, 30), (0, 3), (0, 1)]);

    test.commits(&first.reservation, &[]).await.unwrap();
    assert_eq!(other_node.granted(keyed(&test, "k")).await.state, ReservationState::Committed);
    let second = test.granted(keyed(&test, "k2")).await.reservation;
    test.releases(&second).await.unwrap();
    assert_eq!(test.granted(keyed(&test, "k2")).await.state, ReservationState::Released);
    test.granted(keyed(&test, "k3")).await;
    test.pass(61).await;
    assert_eq!(test.granted(keyed(&test, "k3")).await.state, ReservationState::Expired);
    test.sweep().await;
    assert_eq!(test.granted(keyed(&test, "k3")).await.state, ReservationState::Expired);
}

#[tokio::test]
async fn the_same_key_with_another_body_or_another_operation_is_refused() {
    let test = Timed::start("key", MIXED).await;
    test.granted(keyed(&test, "k")).await;
    let mut other = keyed(&test, "k");
    other.ask.cost.set(quota_coordinator::domain::Unit::new("tokens").unwrap(), 31);
    let answer = test.reserve(other).await;
    assert!(matches!(answer, Err(CoordinatorError::IdempotencyMismatch)), "{answer:?}");
    let record = Record { ask: thirty(&test).ask, idempotency_key: Some("k".into()), principal: "tester".into() };
    let answer = test.record(record).await;
    assert!(matches!(answer, Err(CoordinatorError::IdempotencyMismatch)), "{answer:?}");
    // The key is the caller's own: another principal's is another key.
    let stranger = Reserve { principal: "stranger".into(), ..keyed(&test, "k") };
    assert!(!test.granted(stranger).await.replayed);
    assert_eq!(mixed(&test).await, [(0, 60), (0, 6), (0, 2)]);
}

#[tokio::test]
async fn a_denial_is_not_remembered() {
    let test = Timed::start("key", MIXED).await;
    let all = test.granted(test.asks(&[("tokens", 100), ("cost_usd", 0)])).await.reservation;
    test.denied(keyed(&test, "k")).await;
    test.releases(&all).await.unwrap();
    assert!(!test.granted(keyed(&test, "k")).await.replayed);
}

#[tokio::test]
async fn a_release_by_key_voids_a_reserve_that_comes_later() {
    let test = Timed::start("key", MIXED).await;
    assert_eq!(release_key(&test, "k").await.unwrap(), ReservationState::Released);
    let answer = test.reserve(keyed(&test, "k")).await;
    assert!(matches!(answer, Err(CoordinatorError::AlreadyReleased)), "{answer:?}");
    assert_eq!(release_key(&test, "k").await.unwrap(), ReservationState::Released);
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);

    // One that came before is given back, once.
    let id = test.granted(keyed(&test, "k2")).await.reservation;
    assert_eq!(release_key(&test, "k2").await.unwrap(), ReservationState::Released);
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
    assert!(test.releases(&id).await.unwrap().replayed);
    assert_eq!(test.granted(keyed(&test, "k2")).await.state, ReservationState::Released);
}

#[tokio::test]
async fn a_recorded_use_counts_once_and_opens_nothing() {
    let test = Timed::start("key", MIXED).await;
    let record = Record { ask: thirty(&test).ask, idempotency_key: Some("r".into()), principal: "tester".into() };
    assert!(!test.record(record.clone()).await.unwrap().replayed);
    assert!(test.record(record.clone()).await.unwrap().replayed);
    assert_eq!(mixed(&test).await, [(30, 0), (3, 0), (0, 0)]);
    // Never denied, and nothing to settle.
    for _ in 0..4 {
        test.record(Record { idempotency_key: None, ..record.clone() }).await.unwrap();
    }
    assert_eq!(mixed(&test).await, [(150, 0), (15, 0), (0, 0)]);
    let answer = release_key(&test, "r").await;
    assert!(matches!(answer, Err(CoordinatorError::UnknownReservation)), "{answer:?}");
}
