//! Log output, and the metrics of what the coordinator and the hub count.

mod live;

use std::{collections::HashMap, io::IsTerminal};

use prometheus::{
    core::{Collector, Desc},
    proto::{self, LabelPair, Metric, MetricFamily, MetricType},
};
use tracing_subscriber::EnvFilter;

use crate::{
    config::{Log, LogFormat},
    coordinator::{CallCounts, Coordinator},
    store::health::Circuit,
};

pub use live::LiveMetrics;

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level does not parse; a checked configuration never has one.
    #[error("log level `{level}`: {source}")]
    Level {
        /// As given.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in the process has set up a log.
    #[error("the log was set up twice")]
    Twice,
}

/// Sends log lines to standard error, so that what a command prints can be piped. Call it once in a process.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.level).map_err(|source| TelemetryError::Level { level: log.level.clone(), source })?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let done = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    done.map_err(|_| TelemetryError::Twice)
}

/// The coordinator's counts of store calls, as Prometheus metrics by pool.
pub struct StoreMetrics {
    coordinator: Coordinator,
    descriptions: Vec<Desc>,
}

/// Name, help and reading of each metric.
type Reading = (&'static str, &'static str, fn(&CallCounts) -> u64);

const READINGS: [Reading; 4] = [
    ("store_calls_total", "Script calls sent to the store, by pool.", |counts| counts.calls),
    ("store_operations_total", "Operations in those calls, by pool.", |counts| counts.operations),
    ("store_failures_total", "Calls that the store did not answer, by pool.", |counts| counts.failures),
    ("local_denials_total", "Denials that needed no call, by pool.", |counts| counts.local_denials),
];

const LOSSES: (&str, &str) =
    ("store_losses_total", "Losses of a pool's data in the store that this node was the first to announce, by reason.");

impl StoreMetrics {
    /// Reads the counts of this coordinator's pools.
    pub fn new(coordinator: Coordinator) -> Self {
        let pools = READINGS.map(|(name, help, _)| description(name, help, &["pool"]));
        let losses = description(LOSSES.0, LOSSES.1, &["pool", "reason"]);
        Self { coordinator, descriptions: pools.into_iter().chain([losses]).collect() }
    }
}

impl Collector for StoreMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let of_pools = |(name, help, read): Reading| {
            let samples = self.coordinator.pools().iter().map(|pool| {
                let counts = self.coordinator.call_counts(&pool.id).unwrap_or_default();
                (vec![("pool", pool.id.to_string())], read(&counts))
            });
            family(name, help, MetricType::COUNTER, samples)
        };
        let losses = self.coordinator.pools().iter().flat_map(|pool| {
            let (emptied, went_back) = self.coordinator.losses(&pool.id).unwrap_or_default();
            [("empty", emptied), ("operations_went_back", went_back)]
                .map(|(reason, count)| (vec![("pool", pool.id.to_string()), ("reason", reason.to_owned())], count))
        });
        let losses = family(LOSSES.0, LOSSES.1, MetricType::COUNTER, losses);
        READINGS.map(of_pools).into_iter().chain([losses]).collect()
    }
}

/// The circuit breakers of the store's connections, as Prometheus metrics by connection.
pub struct BreakerMetrics {
    coordinator: Coordinator,
    descriptions: [Desc; 2],
}

const STATE: (&str, &str) =
    ("store_breaker_state", "0 = closed, 1 = half open, 2 = open: Redis is not asked. By connection of the node.");
const TRANSITIONS: (&str, &str) =
    ("store_breaker_transitions_total", "Times that a circuit breaker went to a state, by connection of the node.");

impl BreakerMetrics {
    /// Reads the breakers of this coordinator's store.
    pub fn new(coordinator: Coordinator) -> Self {
        let descriptions = [description(STATE.0, STATE.1, &["lane"]), description(TRANSITIONS.0, TRANSITIONS.1, &["lane", "to"])];
        Self { coordinator, descriptions }
    }
}

impl Collector for BreakerMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let lanes = self.coordinator.store_health();
        let number = |circuit: Circuit| (0..).zip(Circuit::ALL).find(|(_, other)| *other == circuit).map_or(0, |(at, _)| at);
        let states = lanes.iter().map(|lane| (vec![("lane", lane.lane.clone())], number(lane.circuit)));
        let transitions = lanes.iter().flat_map(|lane| {
            let counts = Circuit::ALL.into_iter().zip(lane.transitions);
            counts.map(|(to, count)| (vec![("lane", lane.lane.clone()), ("to", to.as_str().to_owned())], count))
        });
        vec![
            family(STATE.0, STATE.1, MetricType::GAUGE, states),
            family(TRANSITIONS.0, TRANSITIONS.1, MetricType::COUNTER, transitions),
        ]
    }
}

fn description(name: &str, help: &str, labels: &[&str]) -> Desc {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    // Names and labels are constants of this file, so this cannot fail at run time.
    Desc::new(name.into(), help.into(), labels, HashMap::new()).unwrap_or_else(|_| unreachable!("{name}"))
}

type Sample = (Vec<(&'static str, String)>, u64);

fn family(name: &str, help: &str, kind: MetricType, samples: impl Iterator<Item = Sample>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    for (labels, value) in samples {
        let label = |(name, value): (&str, String)| {
            let mut label = LabelPair::default();
            label.set_name(name.into());
            label.set_value(value);
            label
        };
        let mut metric = Metric::from_label(labels.into_iter().map(label).collect());
        #[expect(clippy::cast_precision_loss, reason = "the exposition format has doubles")]
        let value = value as f64;
        if kind == MetricType::GAUGE {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        } else {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        family.mut_metric().push(metric);
    }
    family
}
