//! Is the limit exact? Traces of requests, replayed in simulated time and compared with an exact log.

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{
    calls::{Limits, shape},
    simulated::Simulated,
};
use crate::{
    cli::{
        CliError,
        bench::{
            exact_log, progress,
            table::{Table, Target},
        },
    },
    private_redis::PrivateRedis,
    store::reply::Wait,
    trace::{Count, Entry, worst},
};

const CAPACITY: u64 = 1000;
const WINDOW_US: u64 = 60_000_000;
const START_US: u64 = 1_800_000_000_000_000;
const WINDOWS: u64 = 6;
/// Denials whose wait is tried out.
const WAITS: usize = 20;

/// Instants of requests, in order, µs after the start.
type Trace = (&'static str, Vec<u64>);

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "simulated instants")]
fn traces() -> Vec<Trace> {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut exponential = |load: f64| {
        let (mean, mut at, mut list) = (WINDOW_US as f64 / (CAPACITY as f64 * load), 0.0, Vec::new());
        while at < (WINDOWS * WINDOW_US) as f64 {
            at -= mean * (1.0 - rng.random::<f64>()).ln();
            list.push(at as u64);
        }
        list
    };
    let (busy, crowded) = (exponential(0.9), exponential(1.2));
    let uniform = (0..WINDOWS * CAPACITY * 2).map(|n| n * WINDOW_US / (CAPACITY * 2)).collect();
    let bursts_at = |places: &[u64]| {
        // A little more than a window apart, as callers with a timer are: within the millisecond in which a burst
        // leaves the window, an exact log frees unit by unit what a segment frees at its end.
        let one = |window: u64| {
            places.iter().flat_map(move |place| (0..CAPACITY).map(move |n| window * (WINDOW_US + 10_000) + place + n))
        };
        (0..WINDOWS).flat_map(one).collect()
    };
    let drip = |window: u64| {
        let base = window * 2 * WINDOW_US;
        (0..CAPACITY).map(move |n| base + n).chain((1..CAPACITY).map(move |n| base + CAPACITY + n * WINDOW_US * 2 / CAPACITY))
    };
    vec![
        ("evenly, 2 × the limit", uniform),
        ("Poisson, 0.9 ×", busy),
        ("Poisson, 1.2 ×", crowded),
        ("bursts around the edges of windows", bursts_at(&[1_000_000, WINDOW_US - 1_000_000])),
        ("a burst, then a drip", (0..WINDOWS / 2).flat_map(drip).collect()),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub async fn run(redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    let mut simulated = Simulated::start(redis).await?;
    let (mut most, mut least, mut tried, mut right) = (0.0f64, f64::MAX, 0u32, 0u32);
    for (name, trace) in traces() {
        progress(format_args!("script, exactness: {name}"));
        simulated.flush().await?;
        let mut left = WAITS;
        let group = Limits { count: 1, capacity: CAPACITY, window_ms: 60_000 }.group("workspace", "w1");
        let shape = shape(&[group]);
        let (mut grants, mut offered) = (Vec::new(), Vec::new());
        for at in &trace {
            let at_us = START_US + at;
            offered.push(*at);
            match simulated.reserve(&shape, at_us).await? {
                None => grants.push(Entry { line: 1, at_us, cost: 1, settled: None, settled_at_us: None }),
                Some(waits) if left > 0 && is_next_quiet(&trace, *at, &waits) => {
                    let Some(Wait::For(wait)) = waits.first() else { continue };
                    left -= 1;
                    tried += 1;
                    let early = simulated.reserve(&shape, at_us + wait - 1).await?.is_some();
                    let granted_at = at_us + wait;
                    let granted = simulated.reserve(&shape, granted_at).await?.is_none();
                    if granted {
                        grants.push(Entry { line: 1, at_us: granted_at, cost: 1, settled: None, settled_at_us: None });
                    }
                    offered.extend([at + wait - 1, at + wait]);
                    right += u32::from(early && granted);
                }
                Some(_) => {}
            }
        }
        let over = worst(&grants, WINDOW_US, CAPACITY, Count::Charged).worst as f64 / CAPACITY as f64;
        let kept = grants.len() as f64 / f64::from(exact_log::granted(offered, WINDOW_US, CAPACITY));
        (most, least) = (most.max(over), least.min(kept));
        table.figure(format!("{name}: worst window ÷ limit, granted ÷ exact log"), over, "");
        table.note(format!("{kept:.3}"));
    }
    simulated.flush().await?;
    table.row("15  worst window ÷ limit, all traces", most, "", Target::AtMost(1.0));
    table.row("16  granted ÷ exact log, worst trace", least, "", Target::AtLeast(0.96));
    table.row(
        "17  waits exact to the µs (denied just before, granted then)",
        f64::from(right) / f64::from(tried),
        "",
        Target::AtLeast(1.0),
    );
    table.note(format!("{tried} tried"));
    table.row("18  units held in advance by a node: worst window ÷ limit", f64::NAN, "", Target::AtMost(1.0));
    table.note("not built yet");
    Ok(())
}

/// A wait can be tried out where no other request comes before its end; also, the clock must not go back.
fn is_next_quiet(trace: &[u64], at: u64, waits: &[Wait]) -> bool {
    let next = trace.get(trace.partition_point(|other| *other <= at));
    matches!((waits.first(), next), (Some(Wait::For(wait)), Some(next)) if at + wait < *next)
}
