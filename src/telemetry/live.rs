//! What happened to live updates, as Prometheus metrics.

use std::collections::HashMap;

use prometheus::{
    core::{Collector, Desc},
    proto::{Counter, Gauge, Metric, MetricFamily, MetricType},
};

use crate::events::{Hub, counts::Counted};

/// Name, help and reading of each counter.
type Reading = (&'static str, &'static str, fn(&Counted) -> u64);

const READINGS: [Reading; 11] = [
    ("live_events_total", "Status changes taken over from the pools' logs.", |counts| counts.events),
    ("live_gaps_total", "Messages that did not continue a log: at least one before them was not heard.", |counts| counts.gaps),
    ("live_repaired_total", "Status changes read from a log because their message was not heard.", |counts| counts.repaired),
    ("live_resets_total", "Times that a log could not be continued and subscribers got a snapshot.", |counts| counts.resets),
    ("live_dropped_total", "Messages left out because a pool's inbox was full; repaired from the log.", |counts| counts.dropped),
    ("live_disconnects_total", "Connections of the subscription that ended.", |counts| counts.disconnects),
    ("live_probes_lost_total", "Probes that were sent and not heard.", |counts| counts.probes_lost),
    ("live_overflows_total", "Subscribers that read too slowly and were closed.", |counts| counts.overflows),
    ("live_ring_resumes_total", "Cursors continued from memory.", |counts| counts.ring_resumes),
    ("live_log_resumes_total", "Cursors continued from the log in Redis.", |counts| counts.log_resumes),
    ("live_snapshots_total", "Subscriptions that began with a snapshot.", |counts| counts.snapshots),
];
const READY: (&str, &str) = ("live_ready", "1 while this node hears of changes; 0 makes it not ready.");

/// A hub's counts.
pub struct LiveMetrics {
    hub: Hub,
    descriptions: Vec<Desc>,
}

impl LiveMetrics {
    /// Reads the counts of this hub. Fails when a name of this file is none.
    pub fn new(hub: Hub) -> Result<Self, prometheus::Error> {
        let names = READINGS.iter().map(|(name, help, _)| (*name, *help)).chain([READY]);
        let description = |(name, help): (&str, &str)| Desc::new(name.into(), help.into(), Vec::new(), HashMap::new());
        Ok(Self { hub, descriptions: names.map(description).collect::<Result<_, _>>()? })
    }
}

impl Collector for LiveMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counts = self.hub.counts().read();
        let counters = READINGS.map(|(name, help, read)| {
            #[expect(clippy::cast_precision_loss, reason = "the exposition format has doubles")]
            let value = read(&counts) as f64;
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = Metric::default();
            metric.set_counter(counter);
            family(name, help, MetricType::COUNTER, metric)
        });
        let mut gauge = Gauge::default();
        gauge.set_value(f64::from(u8::from(self.hub.freshness().is_ready())));
        let mut metric = Metric::default();
        metric.set_gauge(gauge);
        counters.into_iter().chain([family(READY.0, READY.1, MetricType::GAUGE, metric)]).collect()
    }
}

fn family(name: &str, help: &str, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.mut_metric().push(metric);
    family
}
