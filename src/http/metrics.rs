//! The edge's own metrics, and the page that shows all of them.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use poem::{Response, handler, web::Data};
use prometheus::{Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use super::{Api, edge::Context, problem::Problem, routes::Routes};

/// Statuses that are counted without looking their label up.
const STATUSES: [u16; 15] = [200, 202, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, 101];

/// Bounds of the latency histogram, seconds: a decision takes a millisecond or less when all is well.
const BUCKETS: [f64; 13] = [0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0];

/// Counters and histograms of the edge. An operation's children are resolved once.
pub struct HttpMetrics {
    requests: IntCounterVec,
    decisions: IntCounterVec,
    operations: HashMap<&'static str, Operation>,
    other: Operation,
}

struct Operation {
    name: &'static str,
    duration: Histogram,
    /// By status; made at the first answer, so that statuses that never happen make no series.
    answers: [OnceLock<IntCounter>; STATUSES.len()],
}

/// How a decision went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Units are held.
    Granted,
    /// Redis was away, and the limits let it go uncounted.
    Allowed,
    /// There was no room.
    Denied,
}

impl HttpMetrics {
    /// Adds the metrics to a registry. Fails when one of that name is there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Requests answered, by operation and status."),
            &["operation", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new("http_request_duration_seconds", "Time from a request's head to its answer, by operation.")
                .buckets(BUCKETS.into()),
            &["operation"],
        )?;
        let decisions = IntCounterVec::new(
            Opts::new("decisions_total", "Reserves that were decided, by pool and outcome."),
            &["pool", "outcome"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(decisions.clone()))?;
        let of = |name| Operation {
            name,
            duration: durations.with_label_values(&[name]),
            answers: [const { OnceLock::new() }; STATUSES.len()],
        };
        let operations = Routes::of::<Api>().operations().map(|name| (name, of(name))).collect();
        Ok(Self { requests, decisions, operations, other: of("other") })
    }

    /// Counts an answer. `None` = nothing of the document answered.
    pub fn observe(&self, operation: Option<&str>, status: u16, elapsed: Duration) {
        let operation = operation.and_then(|name| self.operations.get(name)).unwrap_or(&self.other);
        operation.duration.observe(elapsed.as_secs_f64());
        let count = || self.requests.with_label_values(&[operation.name, status.to_string().as_str()]);
        match STATUSES.iter().position(|known| *known == status) {
            Some(at) => operation.answers[at].get_or_init(count).inc(),
            None => count().inc(),
        }
    }

    /// Counts a decision of a configured pool (never of one that a caller made up: labels must stay few).
    pub fn decided(&self, pool: &str, outcome: Decided) {
        let outcome = match outcome {
            Decided::Granted => "granted",
            Decided::Allowed => "allowed",
            Decided::Denied => "denied",
        };
        self.decisions.with_label_values(&[pool, outcome]).inc();
    }
}

/// `GET /metrics`.
#[handler]
pub fn page(Data(context): Data<&Context>) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(16 * 1024);
    let encoder = TextEncoder::new();
    encoder.encode(&context.state.registry().gather(), &mut body).map_err(Problem::internal)?;
    Ok(Response::builder().content_type(encoder.format_type()).body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_decisions_are_counted() {
        let registry = Registry::new();
        let metrics = HttpMetrics::register(&registry).unwrap();
        metrics.observe(Some("reserve"), 200, Duration::from_micros(700));
        metrics.observe(Some("reserve"), 200, Duration::from_micros(700));
        metrics.observe(Some("reserve"), 418, Duration::from_micros(700));
        metrics.observe(None, 404, Duration::from_micros(70));
        metrics.decided("openai", Decided::Denied);
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"http_requests_total{operation="reserve",status="200"} 2"#,
            r#"http_requests_total{operation="reserve",status="418"} 1"#,
            r#"http_requests_total{operation="other",status="404"} 1"#,
            r#"http_request_duration_seconds_bucket{operation="reserve",le="0.001"} 3"#,
            r#"decisions_total{pool="openai",outcome="denied"} 1"#,
        ] {
            let other = line.replace(r#"pool="openai",outcome="denied""#, r#"outcome="denied",pool="openai""#);
            assert!(text.contains(line) || text.contains(&other), "{line} is not in\n{text}");
        }
        assert!(HttpMetrics::register(&registry).is_err(), "twice in one registry");
    }
}
