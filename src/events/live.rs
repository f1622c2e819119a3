//! An event on its way to subscribers: decoded once, written as JSON once, shared by all.

use std::sync::{Arc, OnceLock};

use serde::Serialize;

use super::filter::View;
use crate::domain::{Partition, Position, QuotaEvent, Unit, event::Change};

/// See the module's documentation.
#[derive(Debug)]
pub struct LiveEvent {
    /// The event, its limit named where this node knows it.
    pub event: QuotaEvent,
    full: Box<str>,
    status_only: OnceLock<Box<str>>,
}

#[derive(Serialize)]
struct Figures {
    unit: Option<Box<str>>,
    capacity: serde_json::Value,
    used: serde_json::Value,
    held: serde_json::Value,
    remaining: serde_json::Value,
}

#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    cursor: String,
    at: String,
    limit: Option<String>,
    scope: &'a Partition,
    from: &'static str,
    to: &'static str,
    cause: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    figures: Option<Figures>,
}

/// Money as decimal text, everything else as a number.
fn amount(unit: Option<&Unit>, amount: u64) -> serde_json::Value {
    match unit {
        Some(unit) if unit.is_money() => unit.format(amount).into(),
        _ => amount.into(),
    }
}

fn figures(change: &Change) -> Option<Figures> {
    let Change::Counter(counter) = change else { return None };
    let unit = counter.limit.as_ref().map(|limit| &limit.unit);
    Some(Figures {
        unit: unit.map(|unit| unit.as_str().into()),
        capacity: amount(unit, counter.capacity),
        used: amount(unit, counter.total.saturating_sub(counter.held)),
        held: amount(unit, counter.held),
        remaining: amount(unit, counter.capacity.saturating_sub(counter.total)),
    })
}

/// An instant as RFC 3339 text. `at_us`: µs since 1970.
pub fn rfc3339(at_us: u64) -> String {
    let instant = i64::try_from(at_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    instant.unwrap_or_default().to_string()
}

/// The object without its opening brace, so that fields of one subscriber's own can stand before it.
fn body(event: &QuotaEvent, figures: Option<Figures>) -> Box<str> {
    static POOL_WIDE: std::sync::LazyLock<Partition> = std::sync::LazyLock::new(Partition::default);
    let (limit, scope, from, to) = match &event.change {
        Change::Pool { from, to } => (None, &*POOL_WIDE, from.as_str(), to.as_str()),
        Change::Counter(counter) => {
            let name = counter.limit.as_ref().map_or_else(|| counter.number.get().to_string(), |limit| limit.id.to_string());
            (Some(name), &counter.partition, counter.from.as_str(), counter.to.as_str())
        }
    };
    let body = Body {
        seq: event.position.seq,
        cursor: event.position.to_cursor(),
        at: rfc3339(event.at_us),
        limit,
        scope,
        from,
        to,
        cause: event.cause.as_str(),
        figures,
    };
    let text = serde_json::to_string(&body).unwrap_or_default();
    text.strip_prefix('{').unwrap_or("}").into()
}

impl LiveEvent {
    /// Writes the event down.
    pub fn new(event: QuotaEvent) -> Arc<Self> {
        let full = body(&event, figures(&event.change));
        Arc::new(Self { event, full, status_only: OnceLock::new() })
    }

    /// The place after it.
    pub fn position(&self) -> Position {
        self.event.position
    }

    /// Its JSON fields from `"seq"` to the closing brace.
    pub fn body(&self, view: View) -> &str {
        match view {
            View::Full => &self.full,
            View::Status => self.status_only.get_or_init(|| body(&self.event, None)),
            View::Hidden => "}",
        }
    }

    /// About how much memory a queue needs for it, bytes.
    pub fn weight(&self) -> usize {
        self.full.len() + 128
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CounterStatus;
    use crate::domain::{
        EventId, GroupId, Number,
        event::{Cause, CounterChange},
    };

    #[test]
    fn figures_are_for_those_who_may_see_them() {
        let live = LiveEvent::new(QuotaEvent {
            position: Position { epoch: 10, seq: 3, event: EventId(*b"0123456789abcdef0001") },
            prev: EventId::NONE,
            at_us: 1_800_000_000_250_000,
            cause: Cause::Commit,
            change: Change::Counter(CounterChange {
                number: Number::from_u64(77),
                limit: None,
                group: GroupId::pool_wide(),
                partition: Partition::default(),
                from: CounterStatus::Normal,
                to: CounterStatus::Warning,
                total: 9,
                held: 2,
                capacity: 10,
            }),
        });
        assert_eq!(
            live.body(View::Status),
            r#""seq":3,"cursor":"v1.a.3.0123456789abcdef0001","at":"2027-01-15T08:00:00.25Z","limit":"77","scope":{},"from":"normal","to":"warning","cause":"commit"}"#
        );
        assert_eq!(
            live.body(View::Full),
            r#""seq":3,"cursor":"v1.a.3.0123456789abcdef0001","at":"2027-01-15T08:00:00.25Z","limit":"77","scope":{},"from":"normal","to":"warning","cause":"commit","unit":null,"capacity":10,"used":7,"held":2,"remaining":1}"#
        );
    }
}
