//! What the exact log of a sliding window would have granted: the measure of how much of a limit is used.

use std::collections::VecDeque;

/// How many of these requests (instants in order, one unit each) fit.
pub fn granted(instants: impl IntoIterator<Item = u64>, window_us: u64, capacity: u64) -> u32 {
    let (mut log, mut granted) = (VecDeque::new(), 0);
    for at in instants {
        while log.front().is_some_and(|first| first + window_us <= at) {
            log.pop_front();
        }
        if (log.len() as u64) < capacity {
            log.push_back(at);
            granted += 1;
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_unit_comes_back_a_window_after_it_was_taken() {
        assert_eq!(super::granted([0, 1, 99, 100, 100, 101], 100, 2), 4);
    }
}
