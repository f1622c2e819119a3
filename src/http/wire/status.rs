//! The status payload: a shape that existing clients parse, so its optional values are `null`, not absent.

use poem_openapi::Object;
use serde::Serialize;

use super::{Amount, CounterUsage, Instant, Status, UnitName, check::wait_seconds, percentage, shown};
use crate::{
    coordinator::types::{Figure, Partitions, Usage, Verdict},
    domain::{Kind, PoolId, Unit, period::PeriodLength},
};

const MINUTE_MS: u32 = 60_000;
const DAY_MS: u32 = 86_400_000;

/// One figure, for a bar on a screen.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Gauge {
    /// Used + held.
    pub current: Amount,
    /// The ceiling.
    pub limit: Amount,
    /// `current` in percent of `limit`, one decimal; may pass 100.
    pub percentage: f64,
    /// What is counted.
    pub unit: UnitName,
}

impl From<&Figure> for Gauge {
    fn from(figure: &Figure) -> Self {
        let unit = &figure.limit.unit;
        Self {
            current: Amount::of(unit, figure.used + figure.held),
            limit: Amount::of(unit, figure.capacity),
            percentage: percentage(figure),
            unit: UnitName(unit.clone()),
        }
    }
}

/// How many partitions of a pool are in which status.
#[derive(Clone, Copy, Debug, Object, Serialize)]
pub struct PartitionCounts {
    /// None of its counters is near its capacity.
    pub normal: u64,
    /// At least one counter is at its warning threshold.
    pub warning: u64,
    /// At least one counter is exhausted.
    pub exhausted: u64,
}

impl From<Partitions> for PartitionCounts {
    fn from(Partitions { normal, warning, exhausted }: Partitions) -> Self {
        Self { normal, warning, exhausted }
    }
}

/// What the provider answered with errors.
#[derive(Clone, Debug, Default, Object, Serialize)]
pub struct Errors {
    /// How many.
    pub count: u64,
    /// The last one.
    #[oai(nullable)]
    pub last_error: Option<String>,
    /// When it came.
    #[oai(nullable)]
    pub last_error_at: Option<String>,
}

/// The figures of a status.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct StatusData {
    /// Status of the pool, or of the workspace.
    pub status: Status,
    /// Requests in the last minute, where such a limit exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<Gauge>,
    /// Requests in the last 24 hours or this day, where such a limit exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<Gauge>,
    /// Tokens in the last minute, where such a limit exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<Gauge>,
    /// How many partitions (such as workspaces) are in which status; left out for a workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<PartitionCounts>,
    /// Every counter in view.
    pub limits: Vec<CounterUsage>,
    /// What the provider answered with errors.
    pub errors: Errors,
    /// Would one small request be granted now?
    pub can_make_request: bool,
    /// Whole seconds until it would be, rounded up; 0 when it would be now, null when waiting does not help.
    #[oai(nullable)]
    pub wait_seconds: Option<u64>,
    /// When the figures were read, by the store's clock.
    pub last_updated: Instant,
}

/// Status of a pool, or of a workspace in it.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "StatusAnswer")]
pub struct StatusBody {
    /// Always true: failures are problem objects.
    pub success: bool,
    /// The pool.
    pub pool: String,
    /// The workspace that was asked for.
    #[oai(nullable)]
    pub workspace_id: Option<String>,
    /// Position in the pool's event log.
    pub cursor: String,
    /// The figures.
    pub data: StatusData,
}

impl StatusBody {
    /// From the counters in view, and the verdict on one small request.
    pub fn new(
        pool: &PoolId,
        workspace_id: Option<String>,
        usage: Usage,
        partitions: Option<Partitions>,
        verdict: &Verdict,
    ) -> Self {
        let Usage { figures, status, cursor, at_us, next: _ } = usage;
        let data = StatusData {
            status: status.into(),
            requests_per_minute: gauge(&figures, Unit::REQUESTS, is_minute),
            requests_per_day: gauge(&figures, Unit::REQUESTS, is_day),
            tokens_per_minute: gauge(&figures, "tokens", is_minute),
            partitions: partitions.map(Into::into),
            errors: Errors::default(),
            can_make_request: verdict.denial.is_none(),
            wait_seconds: wait_seconds(verdict.denial.as_ref()),
            last_updated: Instant(at_us),
            limits: shown(figures),
        };
        Self { success: true, pool: pool.as_str().to_owned(), workspace_id, cursor, data }
    }
}

/// The figure for a bar: the pool's own where there is one, else the fullest of the counters in view.
fn gauge(figures: &[Figure], unit: &str, window: fn(&Kind) -> bool) -> Option<Gauge> {
    let fits = |figure: &&Figure| {
        figure.shown && figure.limit.unit.as_str() == unit && window(&figure.limit.kind) && !figure.limit.companion
    };
    let order = |figure: &&Figure| (figure.partition.is_pool_wide(), figure.per_mille());
    figures.iter().filter(fits).max_by_key(order).map(Into::into)
}

fn is_minute(kind: &Kind) -> bool {
    matches!(kind, Kind::Rate { window_ms: MINUTE_MS })
}

fn is_day(kind: &Kind) -> bool {
    match kind {
        Kind::Rate { window_ms } => *window_ms == DAY_MS,
        Kind::Budget { calendar } => calendar.length() == PeriodLength::Day,
        Kind::Concurrency => false,
    }
}
