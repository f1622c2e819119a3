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
    descriptions: [Desc; 4],
}

/// Name, help and reading of each metric.
type Reading = (&'static str, &'static str, fn(&CallCounts) -> u64);

const READINGS: [Reading; 4] = [
    ("store_calls_total", "Script calls sent to the store, by pool.", |counts| counts.calls),
    ("store_operations_total", "Operations in those calls, by pool.", |counts| counts.operations),
    ("store_failures_total", "Calls that the store did not answer, by pool.", |counts| counts.failures),
    ("local_denials_total", "Denials that needed no call, by pool.", |counts| counts.local_denials),
];

impl StoreMetrics {
    /// Reads the counts of this coordinator's pools.
    pub fn new(coordinator: Coordinator) -> Self {
        let description = |(name, help, _): Reading| {
            // Names and labels are constants of this file, so this cannot fail at run time.
            Desc::new(name.into(), help.into(), vec!["pool".into()], HashMap::new()).unwrap_or_else(|_| unreachable!("{name}"))
        };
        Self { coordinator, descriptions: READINGS.map(description) }
    }
}

impl Collector for StoreMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let family = |(name, help, read): Reading| {
            let mut family = MetricFamily::default();
            family.set_name(name.into());
            family.set_help(help.into());
            family.set_field_type(MetricType::COUNTER);
            for pool in self.coordinator.pools() {
                let mut label = LabelPair::default();
                label.set_name("pool".into());
                label.set_value(pool.id.to_string());
                let mut counter = proto::Counter::default();
                let counts = self.coordinator.call_counts(&pool.id).unwrap_or_default();
                #[expect(clippy::cast_precision_loss, reason = "the exposition format has doubles")]
                counter.set_value(read(&counts) as f64);
                let mut metric = Metric::from_label(vec![label]);
                metric.set_counter(counter);
                family.mut_metric().push(metric);
            }
            family
        };
        READINGS.map(family).into()
    }
}
