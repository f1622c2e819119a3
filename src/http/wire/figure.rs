//! Counters, as answers show them.

use poem_openapi::Object;
use serde::Serialize;

use super::{Amount, CounterStatus, Labels, LimitName, Mode, UnitName};
use crate::{coordinator::types::Figure, domain::Kind, http::headers};

/// Used + held in percent of the capacity, one decimal, rounded down; may pass 100.
#[expect(clippy::cast_precision_loss, reason = "one decimal of a percentage is far inside a double's precision")]
pub fn percentage(figure: &Figure) -> f64 {
    figure.per_mille() as f64 / 10.0
}

/// The counters whose figures the caller may see.
pub fn shown<T: From<Figure>>(figures: Vec<Figure>) -> Vec<T> {
    figures.into_iter().filter(|figure| figure.shown).map(Into::into).collect()
}

/// Where one counter stands.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Counter {
    /// The limit.
    pub limit: LimitName,
    /// Which counter of it: the values of the limit's `per` keys. Empty = the whole pool.
    pub scope: Labels,
    /// What is counted.
    pub unit: UnitName,
    /// The ceiling.
    pub capacity: Amount,
    /// Committed in the window or period.
    pub used: Amount,
    /// Reserved and not yet settled.
    pub held: Amount,
    /// `max(0, capacity − used − held)`.
    pub remaining: Amount,
    /// What is beyond the capacity.
    pub over: Amount,
    /// Used + held in percent of the capacity, one decimal; may pass 100.
    pub percentage: f64,
    /// Time until the limit is whole again, ms; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_after_ms: Option<u64>,
    /// The counter's status.
    pub status: CounterStatus,
    /// Does an exceeded limit deny, or only report?
    pub mode: Mode,
}

impl From<Figure> for Counter {
    fn from(figure: Figure) -> Self {
        let amount = |value| Amount::of(&figure.limit.unit, value);
        Self {
            capacity: amount(figure.capacity),
            used: amount(figure.used),
            held: amount(figure.held),
            remaining: amount(figure.remaining()),
            over: amount(figure.over()),
            percentage: percentage(&figure),
            unit: UnitName(figure.limit.unit.clone()),
            mode: figure.limit.mode.into(),
            limit: LimitName(figure.limit),
            scope: Labels::Partition(figure.partition),
            reset_after_ms: figure.reset_after.map(headers::millis),
            status: figure.status.into(),
        }
    }
}

/// Where one counter stands, and what it counts.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct CounterUsage {
    /// Where it stands.
    #[oai(flatten)]
    #[serde(flatten)]
    pub counter: Counter,
    /// How it counts: `rate`, `budget` or `concurrency`.
    pub kind: String,
    /// Length of a rate's window, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// A budget's period: `hour`, `day`, `week` or `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Finally charged since the counter exists; grows until a reset.
    pub total: Amount,
}

impl From<Figure> for CounterUsage {
    fn from(figure: Figure) -> Self {
        let (window_ms, period) = match &figure.limit.kind {
            Kind::Rate { window_ms } => (Some(u64::from(*window_ms)), None),
            Kind::Budget { calendar } => (None, Some(calendar.length().as_str().to_owned())),
            Kind::Concurrency => (None, None),
        };
        let total = Amount::of(&figure.limit.unit, figure.total);
        Self { kind: figure.limit.kind.as_str().to_owned(), window_ms, period, total, counter: figure.into() }
    }
}
