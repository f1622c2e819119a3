//! `smooth`: a second limit on the same units in shorter slices, for providers that judge a
//! per-minute limit in slices of some seconds.

use std::time::Duration;

use super::{path::KeyPath, reader::Reader, reader::span, scalar::Scalar};
use crate::domain::{Kind, Limit, limit::Override};

/// The companion of a limit: the same in everything but its id, its window, and its share of the capacity.
pub(super) fn companion(reader: &mut Reader<'_>, path: &KeyPath, slice: &Scalar, limit: &Limit) -> Option<Limit> {
    let Kind::Rate { window_ms } = limit.kind else {
        reader.refuse(path, "is for a limit with a `window` only");
        return None;
    };
    let window = Duration::from_millis(window_ms.into());
    let slice = reader.duration(path, slice, Duration::from_secs(1)..=window)?;
    if slice == window {
        reader.refuse(path, format!("must be shorter than the window ({})", span(window)));
        return None;
    }
    let slice_ms = u32::try_from(slice.as_millis()).ok()?;
    let share = |capacity| Limit::share(capacity, slice_ms, window_ms);
    let scaled = |o: &Override| Override { matches: o.matches.clone(), capacity: share(o.capacity) };
    Some(Limit {
        id: limit.id.companion(&span(slice)),
        kind: Kind::Rate { window_ms: slice_ms },
        capacity: share(limit.capacity),
        overrides: limit.overrides.iter().map(scaled).collect(),
        companion: true,
        ..limit.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_never_nothing() {
        assert_eq!(Limit::share(500, 10_000, 60_000), 83);
        assert_eq!(Limit::share(3, 10_000, 60_000), 1);
        assert_eq!(Limit::share(0, 10_000, 60_000), 0);
        assert_eq!(Limit::share((1 << 53) - 1, 1000, 2_678_400_000), ((1 << 53) - 1) / 2_678_400);
    }
}
