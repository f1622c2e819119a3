//! `RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) and `Retry-After`.
//!
//! The draft is not finished, so nothing else writes these fields. Waits are rounded up and rests down, so that a
//! client that obeys never comes too early.

use std::{fmt::Write as _, time::Duration};

use poem_openapi::Object;
use serde::Serialize;

use crate::{
    coordinator::types::Figure,
    domain::{Kind, Mode, Unit, period::PeriodLength},
};

/// The largest integer of a structured field (RFC 9651: fifteen digits).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Milliseconds, rounded up.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whole seconds, rounded up.
pub fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Header fields for a gateway to copy into its own answer.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize)]
#[oai(rename = "LimitHeaders", skip_serializing_if_is_none)]
pub struct LimitHeaders {
    /// What the limits are; empty where the key sees the figures of none.
    #[oai(rename = "RateLimit-Policy")]
    #[serde(rename = "RateLimit-Policy")]
    pub policy: String,
    /// What is left of them.
    #[oai(rename = "RateLimit")]
    #[serde(rename = "RateLimit")]
    pub limit: String,
    /// Seconds until this very request could be granted; absent when it never can.
    #[oai(rename = "Retry-After")]
    #[serde(rename = "Retry-After", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
}

/// The fields for a request that was denied: every enforcing limit that it touched.
///
/// A violated limit has nothing to give before `retry_after`, the others are whole after their `reset_after`.
pub fn of_denial(figures: &[Figure], violated: &[usize], retry_after: Option<Duration>) -> LimitHeaders {
    let mut policy = String::with_capacity(48 * figures.len());
    let mut limit = String::with_capacity(32 * figures.len());
    for (at, figure) in figures.iter().enumerate().filter(|(_, figure)| figure.shown && figure.limit.mode == Mode::Enforce) {
        if !policy.is_empty() {
            policy.push_str(", ");
            limit.push_str(", ");
        }
        let until = if violated.contains(&at) { retry_after } else { figure.reset_after };
        write_policy(&mut policy, figure);
        write_limit(&mut limit, figure, until);
    }
    LimitHeaders { policy, limit, retry_after: retry_after.map(|after| seconds_up(after).to_string()) }
}

/// `"name";q=500;w=60`. A budget's window is the usual length of its period; a concurrency limit has none.
fn write_policy(to: &mut String, figure: &Figure) {
    let limit = &figure.limit;
    // Writing into a String cannot fail. Limit ids need no escapes inside a structured string.
    let _ = write!(to, "\"{}\";q={}", limit.id, figure.capacity.min(MAX_INTEGER));
    match &limit.kind {
        Kind::Rate { window_ms } => _ = write!(to, ";w={}", u64::from(*window_ms).div_ceil(1000).max(1)),
        Kind::Budget { calendar } => _ = write!(to, ";w={}", period_seconds(calendar.length())),
        Kind::Concurrency => {}
    }
    match (&limit.kind, limit.unit.as_str()) {
        (Kind::Concurrency, Unit::REQUESTS) => to.push_str(";qu=\"concurrent-requests\""),
        // `requests` is the default of the draft. Units outside its registry are named as they are.
        (_, Unit::REQUESTS) => {}
        (_, Unit::COST_USD) => to.push_str(";qu=\"nano-usd\""),
        (_, unit) => _ = write!(to, ";qu=\"{unit}\""),
    }
}

fn write_limit(to: &mut String, figure: &Figure, until: Option<Duration>) {
    let _ = write!(to, "\"{}\";r={}", figure.limit.id, figure.remaining().min(MAX_INTEGER));
    if let Some(until) = until {
        let _ = write!(to, ";t={}", seconds_up(until).min(MAX_INTEGER));
    }
}

fn period_seconds(length: PeriodLength) -> u64 {
    match length {
        PeriodLength::Hour => 3_600,
        PeriodLength::Day => 86_400,
        PeriodLength::Week => 604_800,
        PeriodLength::Month => 2_592_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{budget, concurrency, figure, rate};

    #[test]
    fn the_fields_are_those_of_the_draft() {
        let mut shadow = rate("shadow", "requests", 1, 1);
        shadow.mode = Mode::Shadow;
        let figures = [
            figure(rate("requests-per-minute", "requests", 500, 60), 21, Some(58_211)),
            figure(rate("tokens-per-minute", "tokens", 40_000, 60), 39_900, Some(40_000)),
            figure(concurrency("in-flight", "requests", 64), 4, None),
            figure(budget("month", "cost_usd", 50_000_000_000), 1, Some(1)),
            figure(shadow, 1, None),
        ];
        let fields = of_denial(&figures, &[1], Some(Duration::from_millis(1840)));
        assert_eq!(
            fields.policy,
            "\"requests-per-minute\";q=500;w=60, \"tokens-per-minute\";q=40000;w=60;qu=\"tokens\", \
             \"in-flight\";q=64;qu=\"concurrent-requests\", \"month\";q=50000000000;w=2592000;qu=\"nano-usd\""
        );
        assert_eq!(
            fields.limit,
            "\"requests-per-minute\";r=479;t=59, \"tokens-per-minute\";r=100;t=2, \"in-flight\";r=60, \"month\";r=49999999999;t=1"
        );
        assert_eq!(fields.retry_after.as_deref(), Some("2"));
    }

    #[test]
    fn what_never_fits_has_no_wait_and_large_figures_are_clamped() {
        let figures = [figure(rate("r", "requests", 1 << 53, 1), 0, None)];
        let fields = of_denial(&figures, &[0], None);
        assert_eq!(fields.policy, "\"r\";q=999999999999999;w=1");
        assert_eq!(fields.limit, "\"r\";r=999999999999999");
        assert_eq!(fields.retry_after, None);
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(seconds_up(Duration::ZERO), 0);
        assert_eq!(seconds_up(Duration::from_millis(1)), 1);
        assert_eq!(seconds_up(Duration::from_millis(2000)), 2);
        assert_eq!(seconds_up(Duration::from_millis(2001)), 3);
        assert_eq!(millis(Duration::from_micros(1)), 1);
    }
}
