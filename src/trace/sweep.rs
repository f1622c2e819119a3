//! Sweeps once over everything that changes the sum, in the order of time.

use super::{Count, Entry, Overrun, Report};

/// What happens to the sum. At one instant, what leaves goes first, then what is given back, then
/// what is granted, so that the sum after a grant is the sum of the interval that ends there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A grant leaves the window with what is left of it.
    Leave(u64),
    /// A settlement gives units back.
    GiveBack(u64),
    /// A grant of these units enters, at this instant.
    Grant(u64, u64),
}

/// Finds the sliding interval of length `window_us` (at least 1) with the greatest sum.
pub fn worst(entries: &[Entry], window_us: u64, capacity: u64, count: Count) -> Report {
    let window_us = window_us.max(1);
    let mut steps = steps(entries, window_us, count);
    steps.sort_unstable();
    let mut report = Report {
        worst: 0,
        from_us: -i128::from(window_us),
        to_us: 0,
        grants: 0,
        holds: true,
        overruns: entries.iter().filter_map(overrun).collect(),
    };
    let (mut sum, mut grants) = (0u128, 0usize);
    for (_, step) in steps {
        match step {
            Step::Leave(units) => (sum, grants) = (sum - u128::from(units), grants - 1),
            Step::GiveBack(units) => sum -= u128::from(units),
            Step::Grant(units, to_us) => {
                (sum, grants) = (sum + u128::from(units), grants + 1);
                // Grants of one instant enter one by one: the sum is the interval's after the last of
                // them, and no greater before.
                if sum > report.worst || (sum, to_us) == (report.worst, report.to_us) {
                    let from_us = i128::from(to_us) - i128::from(window_us);
                    report = Report { worst: sum, from_us, to_us, grants, ..report };
                }
            }
        }
    }
    report.holds = report.worst <= u128::from(capacity);
    report
}

/// Every change of the sum with its instant, µs since 1970 (which may pass `u64` by a window).
fn steps(entries: &[Entry], window_us: u64, count: Count) -> Vec<(u128, Step)> {
    let mut steps = Vec::with_capacity(entries.len() * 3);
    for entry in entries {
        let (at, charged) = (u128::from(entry.at_us), entry.charged());
        let leaves_at = at + u128::from(window_us);
        let held_until = match count {
            Count::Charged => at,
            Count::Held => entry.settled_at_us.map_or(u128::MAX, u128::from),
        };
        let (entering, leaving) = if held_until <= at {
            (charged, charged)
        } else if held_until < leaves_at {
            steps.push((held_until, Step::GiveBack(entry.cost - charged)));
            (entry.cost, charged)
        } else {
            (entry.cost, entry.cost)
        };
        steps.push((at, Step::Grant(entering, entry.at_us)));
        steps.push((leaves_at, Step::Leave(leaving)));
    }
    steps
}

fn overrun(entry: &Entry) -> Option<Overrun> {
    let amount = entry.overrun();
    (amount > 0).then_some(Overrun { line: entry.line, at_us: entry.at_us, amount })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(line: usize, at_us: u64, cost: u64, settled: Option<u64>) -> Entry {
        Entry { line, at_us, cost, settled, settled_at_us: None }
    }

    #[test]
    fn the_interval_is_open_at_its_start() {
        let entries = [entry(1, 0, 5, None), entry(2, 100, 5, None)];
        assert_eq!(worst(&entries, 100, 5, Count::Charged).worst, 5);
        let report = worst(&entries, 101, 5, Count::Charged);
        assert_eq!((report.worst, report.from_us, report.to_us, report.grants, report.holds), (10, -1, 100, 2, false));
    }

    #[test]
    fn the_first_of_equal_intervals_is_shown_with_all_its_grants() {
        let entries = [entry(1, 50, 3, None), entry(2, 50, 2, None), entry(3, 50, 0, None), entry(4, 500, 5, None)];
        let report = worst(&entries, 10, 5, Count::Charged);
        assert_eq!((report.worst, report.from_us, report.to_us, report.grants, report.holds), (5, 40, 50, 3, true));
    }

    #[test]
    fn what_was_given_back_does_not_count_and_overruns_stand_apart() {
        let entries = [entry(1, 1, 10, Some(4)), entry(2, 2, 10, Some(15))];
        let report = worst(&entries, 10, 14, Count::Charged);
        assert_eq!((report.worst, report.holds), (14, true));
        assert_eq!(report.overruns, [Overrun { line: 2, at_us: 2, amount: 5 }]);
    }

    #[test]
    fn held_counts_the_whole_cost_until_it_was_settled() {
        let settled = |at_us, settled_at_us| Entry { settled: Some(1), settled_at_us, ..entry(1, at_us, 10, None) };
        for (settled_at_us, total) in [(None, 11), (Some(6), 11), (Some(5), 2), (Some(1), 2), (Some(3), 2)] {
            let entries = [settled(1, settled_at_us), entry(2, 5, 1, None)];
            let grant_of_the_first = if settled_at_us == Some(1) { 1 } else { 10 };
            assert_eq!(worst(&entries, 100, 0, Count::Held).worst, u128::max(total, grant_of_the_first), "{settled_at_us:?}");
        }
    }

    #[test]
    fn an_empty_trace_holds_and_extremes_do_not_overflow() {
        assert!(worst(&[], 1, 0, Count::Charged).holds);
        let entries = [entry(1, u64::MAX, u64::MAX, None), entry(2, u64::MAX, u64::MAX, Some(0)), entry(3, 0, u64::MAX, None)];
        let report = worst(&entries, u64::MAX, u64::MAX, Count::Held);
        assert_eq!((report.worst, report.to_us), (2 * u128::from(u64::MAX), u64::MAX));
    }

    /// The definition, taken literally: O(n²).
    fn brute_force(entries: &[Entry], window_us: u64, count: Count) -> u128 {
        let counted = |entry: &Entry, t: u64| match count {
            Count::Held if entry.settled_at_us.is_none_or(|at| at > t) => entry.cost,
            _ => entry.charged(),
        };
        let inside = |entry: &Entry, t: u64| entry.at_us <= t && i128::from(entry.at_us) > i128::from(t) - i128::from(window_us);
        let total = |t: u64| entries.iter().filter(|e| inside(e, t)).map(|e| u128::from(counted(e, t))).sum();
        entries.iter().map(|entry| total(entry.at_us)).max().unwrap_or(0)
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        (0u64..60, 0u64..8, proptest::option::of(0u64..10), proptest::option::of(0u64..30)).prop_map(
            |(at_us, cost, settled, later)| Entry {
                line: 1,
                at_us,
                cost,
                settled,
                settled_at_us: later.map(|later| at_us + later),
            },
        )
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(entries in proptest::collection::vec(any_entry(), 0..40), window_us in 1u64..30) {
            for count in [Count::Charged, Count::Held] {
                let report = worst(&entries, window_us, 20, count);
                prop_assert_eq!(report.worst, brute_force(&entries, window_us, count));
                prop_assert_eq!(report.holds, report.worst <= 20);
                if report.worst > 0 && count == Count::Charged {
                    let inside = |e: &&Entry| i128::from(e.at_us) > report.from_us && e.at_us <= report.to_us;
                    let sum: u128 = entries.iter().filter(inside).map(|e| u128::from(e.charged())).sum();
                    prop_assert_eq!(sum, report.worst);
                    prop_assert_eq!(entries.iter().filter(inside).count(), report.grants);
                }
            }
        }
    }
}
