//! The table of what settlements answer: commit, release and extend, after each of them, after the
//! lease ended, and for what was never seen or is forgotten.

use std::time::Duration;

use quota_coordinator::coordinator::types::{CoordinatorError, Extended, ReservationState};

use super::{MIXED, mixed, thirty};
use crate::support::{
    node::dollars,
    redis::{connection, keys_of, shared},
    timed::Timed,
};

const MINUTE: Duration = Duration::from_secs(60);

macro_rules! refused {
    ($answer:expr, $error:ident) => {
        let answer = $answer.await;
        assert!(matches!(answer, Err(CoordinatorError::$error)), "{answer:?}");
    };
}

#[tokio::test]
async fn after_a_commit() {
    let test = Timed::start("table", MIXED).await;
    let id = test.granted(thirty(&test)).await.reservation;
    assert_eq!(mixed(&test).await, [(0, 30), (0, 3), (0, 1)]);
    let first = test.commits(&id, &[("tokens", 20)]).await.unwrap();
    assert_eq!((first.state, first.replayed, first.late, first.estimated), (ReservationState::Committed, false, false, false));
    assert!(first.skipped.is_empty());
    let charged: Vec<_> = first.charged.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect();
    assert_eq!(charged, [("cost_usd", dollars("3")), ("requests", 1), ("tokens", 20)]);
    assert_eq!(mixed(&test).await, [(20, 0), (3, 0), (0, 0)]);

    let again = test.commits(&id, &[("tokens", 20)]).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.settled_at_us, &again.charged), (first.settled_at_us, &first.charged));
    refused!(test.commits(&id, &[("tokens", 21)]), AlreadySettled);
    refused!(test.releases(&id), AlreadySettled);
    refused!(test.extends(&id, MINUTE, &[]), AlreadySettled);
    refused!(test.extends(&id, MINUTE, &[("tokens", 1)]), AlreadySettled);
    assert_eq!(mixed(&test).await, [(20, 0), (3, 0), (0, 0)]);
}

#[tokio::test]
async fn after_a_release() {
    let test = Timed::start("table", MIXED).await;
    let id = test.granted(thirty(&test)).await.reservation;
    let first = test.releases(&id).await.unwrap();
    assert_eq!((first.state, first.replayed), (ReservationState::Released, false));
    assert!(first.charged.iter().all(|(_, amount)| *amount == 0), "{first:?}");
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);

    let again = test.releases(&id).await.unwrap();
    assert_eq!((again.replayed, again.settled_at_us), (true, first.settled_at_us));
    refused!(test.commits(&id, &[]), AlreadyReleased);
    refused!(test.commits(&id, &[("tokens", 1)]), AlreadyReleased);
    refused!(test.extends(&id, MINUTE, &[]), AlreadyReleased);
    assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
}

#[tokio::test]
async fn after_the_lease_ended() {
    // Whether or not somebody has already written down that it ended.
    for swept in [false, true] {
        let mut test = Timed::start("table", MIXED).await;
        let (one, other) = (test.granted(thirty(&test)).await.reservation, test.granted(thirty(&test)).await.reservation);
        // A little before, everything is as it was.
        test.clock.pass(Duration::from_micros(59_999_998)).await;
        test.sweep().await;
        assert_eq!(mixed(&test).await, [(0, 60), (0, 6), (0, 2)]);
        test.clock.set(test.reservation(&other).await.unwrap().expires_at_us).await;
        if swept {
            test.sweep().await;
            assert_eq!(mixed(&test).await, [(0, 0), (0, 0), (0, 0)]);
        }
        assert_eq!(test.reservation(&other).await.unwrap().state, ReservationState::Expired);
        refused!(test.extends(&one, MINUTE, &[]), LeaseEnded);
        refused!(test.extends(&one, MINUTE, &[("tokens", 1)]), LeaseEnded);

        let nothing_to_do = test.releases(&other).await.unwrap();
        assert_eq!((nothing_to_do.state, nothing_to_do.replayed), (ReservationState::Expired, swept));
        assert!(test.releases(&other).await.unwrap().replayed);

        let late = test.commits(&one, &[("tokens", 40), ("cost_usd", dollars("5"))]).await.unwrap();
        assert_eq!((late.state, late.late, late.replayed), (ReservationState::Committed, true, false));
        // The tokens of the hold have left the window; what was used beyond it counts from now on.
        assert_eq!(mixed(&test).await, [(10, 0), (5, 0), (0, 0)]);
        let again = test.commits(&one, &[("tokens", 40), ("cost_usd", dollars("5"))]).await.unwrap();
        assert!(again.replayed && again.late);
        refused!(test.commits(&one, &[("tokens", 41)]), AlreadySettled);
        refused!(test.releases(&one), AlreadySettled);
        refused!(test.extends(&one, MINUTE, &[]), AlreadySettled);
        assert_eq!(mixed(&test).await, [(10, 0), (5, 0), (0, 0)]);
    }
}

#[tokio::test]
async fn never_seen_or_forgotten() {
    let test = Timed::start("table", MIXED).await;
    let id = test.granted(thirty(&test)).await.reservation;
    let mut connection = connection(shared().await).await;
    for key in keys_of(&mut connection, &test.pool).await.iter().filter(|key| key.contains("}:r:")) {
        let _: () = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
    }
    // The fourth byte of the nonce is in the second group of four characters, well before the record's name.
    let open = test.granted(thirty(&test)).await.reservation;
    let forged = format!("{}{}{}", &open[..10], if &open[10..11] == "A" { "B" } else { "A" }, &open[11..]);
    for id in [id.as_str(), "no-such-reservation", "", forged.as_str()] {
        refused!(test.commits(id, &[]), UnknownReservation);
        refused!(test.releases(id), UnknownReservation);
        refused!(test.extends(id, MINUTE, &[]), UnknownReservation);
        refused!(test.extends(id, MINUTE, &[("tokens", 1)]), UnknownReservation);
        refused!(test.reservation(id), UnknownReservation);
    }
    assert_eq!(mixed(&test).await, [(0, 60), (0, 6), (0, 2)]);
}

#[tokio::test]
async fn a_commit_above_the_hold_is_recorded_in_full_even_past_the_capacity() {
    let mut test = Timed::start("table", MIXED).await;
    let id = test.granted(thirty(&test)).await.reservation;
    test.commits(&id, &[("tokens", 250), ("cost_usd", dollars("25"))]).await.unwrap();
    let figure = test.figure("tpm").await;
    assert_eq!((figure.used, figure.held, figure.remaining(), figure.over(), figure.per_mille()), (250, 0, 0, 150, 2500));
    assert!(!test.tries(test.asks(&[("tokens", 1), ("cost_usd", 0)])).await);
    // The debt drains with the window; the period's stays.
    test.pass(61).await;
    assert_eq!(mixed(&test).await, [(0, 0), (25, 0), (0, 0)]);
    let Extended::Prolonged { .. } = test
        .extends(&test.granted(test.asks_anew(&[("tokens", 1), ("cost_usd", 0)])).await.reservation, MINUTE, &[])
        .await
        .unwrap()
    else {
        panic!("a lease is prolonged without room")
    };
}
