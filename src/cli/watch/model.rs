//! What is shown: everything that the messages said so far.

use std::collections::VecDeque;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    link::Signal,
    message::{Counter, Data, Event, Message, Status},
    resume::place,
};

/// Events that are kept for each pool.
const KEPT: usize = 500;

/// The present, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For differences.
    pub instant: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// How things stand with the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// It is being made.
    Connecting,
    /// It stands. `stale`: the node says that what it shows may be old.
    Live {
        /// See above.
        stale: bool,
    },
    /// It stands, and will be made anew.
    Leaving {
        /// When.
        at: Instant,
        /// Why.
        why: String,
    },
    /// It does not stand; the next attempt comes.
    Waiting {
        /// When.
        until: Instant,
        /// Why.
        why: String,
    },
}

/// A line of the log of changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A status changed.
    Change {
        /// When.
        at: Option<Timestamp>,
        /// The counter; `pool` for the pool's own status.
        name: String,
        /// Status before.
        from: String,
        /// Status after.
        to: String,
        /// What brought it about.
        cause: String,
    },
    /// Something about the connection that a reader of the log must know.
    Note {
        /// When it was noticed.
        at: Timestamp,
        /// What.
        text: String,
    },
}

/// One pool.
#[derive(Clone, Debug, Default)]
pub struct PoolView {
    /// Its id, as soon as it is known.
    pub pool: Option<String>,
    /// Its figures; none before the first have come.
    pub data: Option<Data>,
    /// When they came.
    pub received: Option<Instant>,
    /// What happened, newest first.
    pub lines: VecDeque<Line>,
    /// Why there is nothing to see.
    pub problem: Option<String>,
    last_seq: Option<u64>,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where.
    pub address: String,
    /// Only this workspace.
    pub workspace: Option<String>,
    /// The connection.
    pub connection: Connection,
    /// Each pool.
    pub pools: Vec<PoolView>,
}

/// The name of a counter, for people.
pub fn counter_name(limit: &str, scope: &std::collections::BTreeMap<String, String>) -> String {
    let mut name = limit.to_owned();
    for (key, value) in scope {
        name.push(' ');
        name.push_str(key);
        name.push('=');
        name.push_str(value);
    }
    name
}

impl Model {
    /// Before anything was said. `pools`: those that were asked for.
    pub fn new(address: String, workspace: Option<String>, pools: &[String]) -> Self {
        let mut views: Vec<_> = pools.iter().map(|pool| PoolView { pool: Some(pool.clone()), ..PoolView::default() }).collect();
        if views.is_empty() {
            views.push(PoolView::default());
        }
        Self { address, workspace, connection: Connection::Connecting, pools: views }
    }

    /// Takes note of something.
    pub fn apply(&mut self, signal: Signal, now: Now) {
        match signal {
            Signal::Connecting => self.connection = Connection::Connecting,
            Signal::Waiting { until, why } => {
                for view in &mut self.pools {
                    view.note(now, format!("not connected: {why}"));
                }
                self.connection = Connection::Waiting { until, why };
            }
            Signal::Leaving { at, why } => self.connection = Connection::Leaving { at, why },
            Signal::Said(message) => self.said(message, now),
        }
    }

    fn said(&mut self, message: Message, now: Now) {
        if let Connection::Connecting = self.connection
            && !matches!(message, Message::Error { .. })
        {
            self.connection = Connection::Live { stale: false };
        }
        match message {
            Message::QuotaInitial(status) => self.view(place(status.subscription.as_deref()), |view| view.begins(*status, now)),
            Message::QuotaUpdate(status) => self.view(place(status.subscription.as_deref()), |view| view.figures(*status, now)),
            Message::QuotaEvent(event) => self.view(place(event.subscription.as_deref()), |view| view.changed(*event)),
            Message::Ping { stale, .. } => {
                if let Connection::Live { stale: was } = &mut self.connection {
                    *was = stale;
                }
            }
            Message::Reset { subscription, reason } => self.view(place(subscription.as_deref()), |view| {
                view.note(now, format!("continuity lost ({}); a snapshot follows", reason.as_deref().unwrap_or("unknown")));
            }),
            Message::Error { id, problem } => {
                let name = id.as_ref().and_then(|id| id.as_str());
                self.view(place(name), |view| {
                    view.note(now, format!("error: {problem}"));
                    if view.data.is_none() {
                        view.problem = Some(problem.to_string());
                    }
                });
            }
            Message::TokenExpiring { in_ms } => {
                let when = in_ms.map_or_else(|| "soon".to_owned(), |ms| format!("in {} s", ms / 1000));
                self.view(0, |view| view.note(now, format!("the key expires {when}")));
            }
            Message::Drain { .. } | Message::Unknown => {}
        }
    }

    fn view(&mut self, place: usize, with: impl FnOnce(&mut PoolView)) {
        if let Some(view) = self.pools.get_mut(place) {
            with(view);
        }
    }

    /// True once every pool has figures or a reason why it has none.
    pub fn is_complete(&self) -> bool {
        self.pools.iter().all(|view| view.data.is_some() || view.problem.is_some())
    }
}

impl PoolView {
    fn begins(&mut self, status: Status, now: Now) {
        let first = self.data.is_none();
        let text = match (status.mode.as_deref(), status.reason.as_deref()) {
            (Some("replay"), _) => "connected again; nothing was missed".to_owned(),
            _ if first => "connected".to_owned(),
            (_, reason) => format!("a snapshot ({}); changes before it may be missing here", reason.unwrap_or("no reason given")),
        };
        if status.mode.as_deref() != Some("replay") {
            self.last_seq = None;
        }
        self.note(now, text);
        self.figures(status, now);
    }

    fn figures(&mut self, status: Status, now: Now) {
        self.pool = Some(status.pool);
        self.data = Some(status.data);
        self.received = Some(now.instant);
        self.problem = None;
    }

    fn changed(&mut self, event: Event) {
        // What was seen before the connection broke may come again.
        if self.last_seq.is_some_and(|last| event.seq <= last) {
            return;
        }
        self.last_seq = Some(event.seq);
        let name = event.limit.as_ref().map_or_else(|| "pool".to_owned(), |limit| counter_name(limit, &event.scope));
        if let Some(data) = &mut self.data {
            let counter = data.limits.iter_mut().find(|c| Some(&c.limit) == event.limit.as_ref() && c.scope == event.scope);
            if let Some(counter) = counter {
                counter.status.clone_from(&event.to);
                take_figures(counter, &event);
            }
            if !event.status.is_empty() {
                data.status.clone_from(&event.status);
            }
        }
        let Event { at, from, to, cause, .. } = event;
        self.push(Line::Change { at: at.parse().ok(), name, from, to, cause });
    }

    fn note(&mut self, now: Now, text: String) {
        // A node that stays away is one note, not one for each attempt.
        if let Some(Line::Note { at, text: last }) = self.lines.front_mut()
            && *last == text
        {
            *at = now.wall;
            return;
        }
        self.push(Line::Note { at: now.wall, text });
    }

    fn push(&mut self, line: Line) {
        self.lines.push_front(line);
        self.lines.truncate(KEPT);
    }

    /// Time until a counter is whole again, as far as that has passed since it was said.
    pub fn reset_after(&self, counter: &Counter, now: Now) -> Option<std::time::Duration> {
        let said = std::time::Duration::from_millis(counter.reset_after_ms?);
        let passed = self.received.map_or(std::time::Duration::ZERO, |at| now.instant.saturating_duration_since(at));
        Some(said.saturating_sub(passed))
    }
}

fn take_figures(counter: &mut Counter, event: &Event) {
    let new = [&event.capacity, &event.used, &event.held, &event.remaining];
    let old = [&mut counter.capacity, &mut counter.used, &mut counter.held, &mut counter.remaining];
    for (old, new) in old.into_iter().zip(new) {
        if new.is_some() {
            old.clone_from(new);
        }
    }
}
