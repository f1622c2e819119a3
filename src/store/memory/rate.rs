//! The segment log. Twin: `lua/lib/rate.lua`.

use std::collections::VecDeque;

/// Units taken up to an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segment {
    /// The last admission in it, µs.
    pub at: u64,
    /// Units.
    pub amount: u64,
    /// Of these, held.
    pub held: u64,
}

/// Content of one rate counter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segments {
    /// Oldest first.
    pub closed: VecDeque<Segment>,
    /// Still taking; its instant is the counter's last admission.
    pub open: Segment,
}

const TICKS: f64 = 128.0;
const QUARTERS: f64 = 4.0;
const SHARE: u64 = 32;

impl Segments {
    /// Lets what is a window old leave. Returns the instant up to which everything has left, if anything has.
    pub fn expire(&mut self, window_us: u64, now: u64) -> Option<u64> {
        if self.open.at + window_us <= now {
            let any = self.total() > 0 || !self.closed.is_empty();
            let last = self.open.at;
            *self = Self { closed: VecDeque::new(), open: Segment { at: last, ..Segment::default() } };
            return any.then_some(last);
        }
        let mut left = None;
        while let Some(oldest) = self.closed.front().filter(|s| s.at + window_us <= now) {
            left = Some(oldest.at);
            self.closed.pop_front();
        }
        left
    }

    /// Adds units now.
    pub fn take(&mut self, window_us: u64, capacity: u64, now: u64, amount: u64, held: u64) {
        if self.is_cut_due(window_us, capacity, now) {
            self.closed.push_back(self.open);
            self.open = Segment::default();
        }
        self.open.amount += amount;
        self.open.held += held;
        self.open.at = now;
    }

    #[expect(clippy::cast_precision_loss, reason = "instants and windows are below 2^53")]
    fn is_cut_due(&self, window_us: u64, capacity: u64, now: u64) -> bool {
        let crosses = |parts: f64| {
            let tick = window_us as f64 / parts;
            (now as f64 / tick).floor() > (self.open.at as f64 / tick).floor()
        };
        self.open.amount > 0 && crosses(TICKS) && (self.open.amount * SHARE >= capacity || crosses(QUARTERS))
    }

    /// Gives back, and un-holds, of the segment that holds what was taken at `since`.
    pub fn give_back(&mut self, since: u64, amount: u64, held: u64) {
        let segment = self.closed.iter_mut().find(|s| s.at >= since).unwrap_or(&mut self.open);
        segment.amount -= amount;
        segment.held -= held;
    }

    /// Used + held.
    pub fn total(&self) -> u64 {
        self.closed.iter().map(|s| s.amount).sum::<u64>() + self.open.amount
    }

    /// Held.
    pub fn held(&self) -> u64 {
        self.closed.iter().map(|s| s.held).sum::<u64>() + self.open.held
    }

    /// µs until `excess` units have left.
    pub fn wait(&self, window_us: u64, now: u64, mut excess: u64) -> u64 {
        for segment in self.closed.iter().chain([&self.open]) {
            if segment.amount >= excess {
                return segment.at + window_us - now;
            }
            excess -= segment.amount;
        }
        self.open.at + window_us - now
    }
}
