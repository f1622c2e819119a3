//! Statuses follow the figures, and leave by themselves when time comes.

use quota_coordinator::{
    domain::{CounterStatus, PoolStatus, Priority},
    store::Store,
};

use crate::support::{
    node::{pool_of, sweep},
    redis::{changes, connection, events, shared},
    timed::Timed,
};

const RATE: &str = "[[pools.limits]]\nid = \"rpm\"\nunit = \"requests\"\ncapacity = 20\nwindow = \"1m\"\n";

/// Uses so many requests; nothing stays open, so that no lease ends later.
async fn fill(test: &Timed, requests: usize) {
    for _ in 0..requests {
        let grant = test.granted(test.asks_anew(&[])).await;
        test.commits(&grant.reservation, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_look_that_comes_due_earlier_replaces_a_later_one() {
    let budget = "[[pools.limits]]\nid = \"monthly\"\nunit = \"requests\"\ncapacity = 38\nperiod = \"month\"\nwarning_at = 0.5\non_lease_end = \"charge\"\n";
    let mut test = Timed::start("status", &[budget, RATE].concat()).await;
    fill(&test, 10).await;
    test.pass(61).await;
    fill(&test, 9).await;
    // The budget warns, and will until the month is over; a look is planned for then.
    assert_eq!(test.usage_now().await.status, PoolStatus::Warning);
    fill(&test, 11).await;
    assert_eq!(test.usage_now().await.status, PoolStatus::RateLimited);
    test.pass(61).await;
    test.sweep().await;
    assert_eq!(test.figure("rpm").await.status, CounterStatus::Normal);
    assert_eq!(test.usage_now().await.status, PoolStatus::Warning);
    test.clock.set(test.clock.now + 32 * 86_400_000_000).await;
    test.sweep().await;
    assert_eq!(test.usage_now().await.status, PoolStatus::Normal);
    let mut connection = connection(shared().await).await;
    let pool = changes(&events(&mut connection, &test.pool).await).remove("/0").unwrap();
    assert_eq!(pool, [(0, 1), (1, 3), (3, 1), (1, 0)]);
}

#[tokio::test]
async fn a_limit_that_becomes_a_shadow_stands_in_no_status() {
    let test = Timed::start("status", RATE).await;
    fill(&test, 20).await;
    assert_eq!(test.usage_now().await.status, PoolStatus::RateLimited);
    let other = test.beside(&format!("{RATE}mode = \"shadow\"\n")).await;
    other.granted(other.asks(&[])).await;
    assert_eq!(other.usage_now().await.status, PoolStatus::Normal);
    assert_eq!(other.figures("rpm").await, (20, 1));
}

#[tokio::test]
async fn a_refusal_of_a_share_exhausts_nothing() {
    // The last one would just have fitted the capacity.
    for (share, filled) in [("0.5", 10), ("0.95", 19)] {
        let limits = format!("{RATE}priority_share = {{ low = {share} }}\nwarning_at = 1.0\n");
        let test = Timed::start("status", &limits).await;
        fill(&test, filled).await;
        let mut low = test.asks(&[]);
        low.ask.priority = Priority::Low;
        assert!(!test.tries(low).await);
        assert_eq!(test.figure("rpm").await.status, CounterStatus::Normal);
        let mut connection = connection(shared().await).await;
        assert!(events(&mut connection, &test.pool).await.is_empty());
    }
}

#[tokio::test]
async fn a_small_refusal_exhausts_and_a_big_one_does_not() {
    let test = Timed::start(
        "status",
        "[[pools.limits]]\nid = \"tpm\"\nunit = \"tokens\"\ncapacity = 100\nwindow = \"1m\"\nwarning_at = 0.99\n",
    )
    .await;
    let most = test.granted(test.asks(&[("tokens", 97)])).await.reservation;
    test.denied(test.asks_anew(&[("tokens", 6)])).await;
    assert_eq!(test.figure("tpm").await.status, CounterStatus::Normal);
    test.denied(test.asks_anew(&[("tokens", 5)])).await;
    assert_eq!(test.figure("tpm").await.status, CounterStatus::Exhausted);
    // Hysteresis: it leaves five points below, not at once.
    test.commits(&most, &[("tokens", 95)]).await.unwrap();
    assert_eq!(test.figure("tpm").await.status, CounterStatus::Exhausted);
    let mut connection = connection(shared().await).await;
    assert_eq!(changes(&events(&mut connection, &test.pool).await)["/0"], [(0, 3)]);
}

#[tokio::test]
async fn a_budget_that_left_the_configuration_leaves_its_status_with_its_period() {
    let budget = "[[pools.limits]]\nid = \"hourly\"\nunit = \"requests\"\ncapacity = 2\nperiod = \"hour\"\n";
    let mut test = Timed::start("status", &[budget, RATE].concat()).await;
    fill(&test, 2).await;
    assert_eq!(test.usage_now().await.status, PoolStatus::QuotaExceeded);
    let without = pool_of(&test.pool, RATE);
    test.pass(3600).await;
    sweep(test.store.as_ref(), &without).await;
    assert_eq!(test.usage_now().await.status, PoolStatus::Normal);
    assert!(test.store.due(&test.pool, 10).await.unwrap().groups.is_empty());
    // A node that still has it goes on with the new period.
    fill(&test, 2).await;
    assert!(!test.tries(test.asks(&[])).await);
    assert_eq!(test.figures("hourly").await, (2, 0));
}

#[tokio::test]
async fn a_limit_without_capacity_is_not_looked_at_for_ever() {
    let test = Timed::start("status", RATE).await;
    test.store.set_override(&test.pool, "rpm", Some("{\"capacity\":0}")).await.unwrap();
    test.denied(test.asks(&[])).await;
    test.granted(test.asks_anew(&[("requests", 0)])).await;
    assert_eq!(test.figure("rpm").await.status, CounterStatus::Exhausted);
    test.sweep().await;
    assert!(test.store.due(&test.pool, 10).await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn a_warning_at_a_small_fraction_is_left_when_nothing_is_counted() {
    let mut test = Timed::start("status", &format!("{RATE}warning_at = 0.05\n")).await;
    fill(&test, 1).await;
    assert_eq!(test.usage_now().await.status, PoolStatus::Warning);
    test.pass(61).await;
    test.sweep().await;
    assert_eq!(test.usage_now().await.status, PoolStatus::Normal);
}
