//! One counter of any kind. Twin: `lua/lib/counter.lua`, `lua/lib/lease.lua`, `lua/lib/status.lua`.

use std::collections::BTreeMap;

use super::rate::Segments;
use crate::{
    domain::{CounterStatus, Number, unit::MAX_AMOUNT},
    store::{
        call::{SlotKind, SlotSpec},
        reply::{CounterFigure, Wait},
    },
};

/// What a counter holds, by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Sliding window.
    Rate {
        /// µs.
        window_us: u64,
        /// What is in it.
        segments: Segments,
    },
    /// Calendar period.
    Budget {
        /// Start and end; none before the first use.
        period: Option<(u64, u64)>,
        /// Used + held.
        total: u64,
        /// Held.
        held: u64,
    },
    /// What is open, by the bucket in which its lease ends.
    Concurrency {
        /// Bucket → units.
        buckets: BTreeMap<u64, u64>,
    },
}

/// One counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    /// Name.
    pub number: Number,
    /// Only reports.
    pub shadow: bool,
    /// Emits no events.
    pub silent: bool,
    /// Thousandths.
    pub warning_at: u16,
    /// Units.
    pub capacity: u64,
    /// What was taken at or before this instant is no longer in it.
    pub floor: u64,
    /// See [`Content`].
    pub content: Content,
    /// Ever charged, less what came back.
    pub charged: u64,
    /// Status.
    pub status: CounterStatus,
}

/// Deadlines are rounded up to a power of two of about a sixteenth of the lease.
pub fn lease_bucket(deadline: u64, lease: u64) -> u64 {
    let mut grain = 131_072;
    while grain * 16 < lease {
        grain *= 2;
    }
    deadline.div_ceil(grain) * grain
}

impl Counter {
    /// An empty counter that begins at `now`.
    pub fn new(spec: &SlotSpec, now: u64) -> Self {
        let content = match &spec.kind {
            SlotKind::Rate(window_ms) => Content::Rate { window_us: u64::from(*window_ms) * 1000, segments: Segments::default() },
            SlotKind::Budget(_) => Content::Budget { period: None, total: 0, held: 0 },
            SlotKind::Concurrency => Content::Concurrency { buckets: BTreeMap::new() },
        };
        Self {
            number: spec.number,
            shadow: spec.shadow,
            silent: spec.silent,
            warning_at: spec.warning_at,
            capacity: spec.capacity,
            floor: now - 1,
            content,
            charged: 0,
            status: CounterStatus::Normal,
        }
    }

    /// Used + held.
    pub fn total(&self) -> u64 {
        match &self.content {
            Content::Rate { segments, .. } => segments.total(),
            Content::Budget { total, .. } => *total,
            Content::Concurrency { buckets } => buckets.values().sum(),
        }
    }

    /// Held.
    pub fn held(&self) -> u64 {
        match &self.content {
            Content::Rate { segments, .. } => segments.held(),
            Content::Budget { held, .. } => *held,
            Content::Concurrency { .. } => self.total(),
        }
    }

    /// Lets go what time has ended. False when a budget's present period is not known.
    pub fn refresh(&mut self, now: u64, present: Option<(u64, u64)>) -> bool {
        match &mut self.content {
            Content::Rate { window_us, segments } => {
                if let Some(left) = segments.expire(*window_us, now) {
                    self.floor = self.floor.max(left);
                }
            }
            Content::Budget { period, total, held } => {
                if !period.is_some_and(|(start, end)| start <= now && now < end) {
                    // Without a calendar, all that is known is that the old period is over.
                    let ended = period.map(|(_, end)| (end, end)).filter(|(end, _)| *end <= now);
                    let Some(present) = present.or(ended) else { return false };
                    if period.is_some() {
                        self.floor = self.floor.max(present.0 - 1);
                    }
                    (*period, *total, *held) = (Some(present), 0, 0);
                }
            }
            Content::Concurrency { .. } => {}
        }
        true
    }

    /// When a cost fits under a ceiling.
    pub fn wait(&self, now: u64, cost: u64, ceiling: u64) -> Wait {
        let needed = self.total() + cost;
        if cost == 0 || needed <= ceiling {
            return Wait::No;
        }
        if cost > ceiling {
            return Wait::Never;
        }
        let mut excess = needed - ceiling;
        Wait::For(match &self.content {
            Content::Rate { window_us, segments } => segments.wait(*window_us, now, excess),
            Content::Budget { period, .. } => period.map_or(0, |(_, end)| end - now),
            Content::Concurrency { buckets } => {
                let last = buckets.keys().next_back().copied().unwrap_or(0);
                let enough = buckets.iter().find(|(_, amount)| {
                    let covers = **amount >= excess;
                    excess = excess.saturating_sub(**amount);
                    covers
                });
                enough.map_or(last, |(bucket, _)| *bucket).saturating_sub(now).max(1)
            }
        })
    }

    /// Adds units.
    pub fn take(&mut self, now: u64, amount: u64, held: u64, bucket: u64) {
        let amount = if held == 0 { amount.min(MAX_AMOUNT - self.total()) } else { amount };
        if amount == 0 {
            return;
        }
        match &mut self.content {
            Content::Rate { window_us, segments } => segments.take(*window_us, self.capacity, now, amount, held),
            Content::Budget { total, held: all_held, .. } => {
                *total += amount;
                *all_held += held;
            }
            Content::Concurrency { buckets } => *buckets.entry(bucket).or_default() += amount,
        }
        self.charged = (self.charged + amount) % (MAX_AMOUNT + 1);
    }

    /// Settles a hold to `cost`; true when it was still here, or had left by time alone.
    pub fn settle(&mut self, now: u64, since: u64, amount: u64, held: u64, cost: u64, bucket: u64) -> bool {
        let stands = since > self.floor;
        if matches!(self.content, Content::Concurrency { .. }) {
            if stands {
                self.end_lease(bucket, held);
            }
            return stands || held == 0;
        }
        let back = amount.saturating_sub(cost);
        let (turned, overrun) = (self.has_turned(now, since), cost.saturating_sub(amount));
        if stands && (held > 0 || back > 0) {
            match &mut self.content {
                Content::Rate { segments, .. } => segments.give_back(since, back, held),
                Content::Budget { total, held: all_held, .. } => {
                    *total -= back;
                    *all_held -= held;
                }
                Content::Concurrency { .. } => {}
            }
            self.charged = (self.charged + MAX_AMOUNT + 1 - back) % (MAX_AMOUNT + 1);
        }
        self.take(now, overrun, 0, 0);
        stands || turned
    }

    fn has_turned(&self, now: u64, since: u64) -> bool {
        match &self.content {
            Content::Rate { window_us, .. } => since + window_us <= now,
            Content::Budget { period, .. } => since < period.map_or(0, |(start, _)| start),
            Content::Concurrency { .. } => false,
        }
    }

    fn end_lease(&mut self, bucket: u64, amount: u64) {
        if let Content::Concurrency { buckets } = &mut self.content
            && let Some(open) = buckets.get_mut(&bucket)
        {
            *open -= amount;
            if *open == 0 {
                buckets.remove(&bucket);
            }
        }
    }

    /// Moves open units to the bucket of a new deadline.
    pub fn move_lease(&mut self, since: u64, from: u64, to: u64, amount: u64) {
        if since > self.floor {
            self.end_lease(from, amount);
            if let Content::Concurrency { buckets } = &mut self.content {
                *buckets.entry(to).or_default() += amount;
            }
        }
    }

    /// Empties the counter.
    pub fn reset(&mut self, now: u64) {
        self.floor = now;
        self.charged = 0;
        match &mut self.content {
            Content::Rate { segments, .. } => *segments = Segments::default(),
            Content::Budget { total, held, .. } => (*total, *held) = (0, 0),
            Content::Concurrency { buckets } => buckets.clear(),
        }
    }

    /// The status that the figures say; `refused` = a small request was refused just now.
    pub fn level(&self, refused: bool) -> CounterStatus {
        let (total, capacity) = (self.total(), self.capacity);
        let concurrency = matches!(self.content, Content::Concurrency { .. });
        let warning = u64::from(self.warning_at);
        if self.shadow {
            return CounterStatus::Normal;
        }
        if total >= capacity || refused {
            return CounterStatus::Exhausted;
        }
        if self.status == CounterStatus::Exhausted && !concurrency && total * 100 >= capacity * 95 {
            return CounterStatus::Exhausted;
        }
        let stays = self.status != CounterStatus::Normal && total > 0;
        if total * 1000 >= capacity * warning || (stays && total * 1000 >= capacity * warning.saturating_sub(50)) {
            return CounterStatus::Warning;
        }
        CounterStatus::Normal
    }

    /// Does refusing this cost exhaust the counter?
    pub fn refusal_exhausts(&self, cost: u64) -> bool {
        let concurrency = matches!(self.content, Content::Concurrency { .. });
        !concurrency && cost * 20 <= self.capacity && self.total() + cost > self.capacity
    }

    /// The next instant at which time alone may change the status; none while normal.
    pub fn next_look(&self) -> Option<u64> {
        if self.status == CounterStatus::Normal || self.total() == 0 {
            return None;
        }
        match &self.content {
            Content::Rate { window_us, segments } => Some(segments.closed.front().unwrap_or(&segments.open).at + window_us),
            Content::Budget { period, .. } => period.map(|(_, end)| end),
            Content::Concurrency { .. } => None,
        }
    }

    /// What the reply says of it.
    pub fn figure(&self) -> CounterFigure {
        let total = self.total();
        let whole_at_us = match &self.content {
            _ if total == 0 => 0,
            Content::Rate { window_us, segments } => segments.open.at + window_us,
            Content::Budget { period, .. } => period.map_or(0, |(_, end)| end),
            Content::Concurrency { buckets } => buckets.keys().next_back().copied().unwrap_or(0),
        };
        CounterFigure { total, held: self.held(), whole_at_us, charged: self.charged, status: self.status }
    }
}
