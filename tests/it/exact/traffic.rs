//! How requests come.

use proptest::prelude::*;
use rand::{Rng, rngs::StdRng};

/// A pattern of arrivals.
#[derive(Clone, Copy, Debug)]
pub enum Traffic {
    /// Independent of each other, at about this multiple (in tenths) of what fits.
    Poisson(u8),
    /// Silence, then many at once.
    Bursts,
    /// All around multiples of the window.
    WindowEdges,
    /// Far more than fits, all the time.
    Greedy,
}

pub fn traffic() -> impl Strategy<Value = Traffic> {
    prop_oneof![(8..30u8).prop_map(Traffic::Poisson), Just(Traffic::Bursts), Just(Traffic::WindowEdges), Just(Traffic::Greedy)]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn thousandths(value: f64) -> u64 {
    (value * 1000.0) as u64
}

/// µs until the next request.
pub fn gap(traffic: Traffic, random: &mut StdRng, now: u64, window: u64, capacity: u64) -> u64 {
    match traffic {
        Traffic::Poisson(tenths) => {
            let mean = window / capacity * 10 / u64::from(tenths);
            // Exponential by inversion, in thousandths.
            let u: f64 = random.random_range(0.000_1..1.0);
            thousandths(u.ln().abs()) * mean / 1000
        }
        Traffic::Bursts if random.random_ratio(1, 40) => random.random_range(0..window * 5 / 4),
        Traffic::Bursts => random.random_range(0..200),
        Traffic::WindowEdges if random.random_ratio(1, 30) => {
            let edge = (now / window + random.random_range(1..3)) * window;
            (edge - now).saturating_sub(random.random_range(0..window / 50))
        }
        Traffic::WindowEdges => random.random_range(0..window / 2000 + 2),
        Traffic::Greedy => random.random_range(0..window / capacity / 20 + 2),
    }
}
