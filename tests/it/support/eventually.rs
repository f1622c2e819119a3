//! Bounded waits.

use std::time::Duration;

/// Longer than anything that a test waits for, also on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// The future's output, within [`LONG`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// Waits until a condition holds that nobody announces; returns how long it took.
pub async fn eventually(what: &str, holds: impl FnMut() -> bool) -> Duration {
    eventually_within(LONG, what, holds).await
}

/// The same with a bound of its own.
pub async fn eventually_within(longest: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while !holds() {
        assert!(began.elapsed() < longest, "{what} did not happen");
        tick.tick().await;
    }
    began.elapsed()
}
