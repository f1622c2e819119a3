//! Status changes on the wire, as a list shows them.

use std::sync::Arc;

use poem_openapi::Object;
use serde::Serialize;

use super::{Amount, Instant, Labels, UnitName};
use crate::{
    domain::{Partition, PoolId, QuotaEvent, Unit, event::Change},
    events::filter::View,
};

/// One status change.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none, rename = "StatusChange")]
pub struct ChangeBody {
    /// Always `quota_event`, as in live updates.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The pool.
    pub pool: String,
    /// Seq of the change before it in this list, or of the cursor that was asked for: with a filter, seqs have holes.
    pub prev: u64,
    /// Its place in the pool's log.
    pub seq: u64,
    /// The position after it.
    pub cursor: String,
    /// When it happened.
    pub at: Instant,
    /// The limit; absent when the pool itself changed. The number of a limit that this node does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Which instance of the limit.
    pub scope: Labels,
    /// Status before.
    pub from: String,
    /// Status after.
    pub to: String,
    /// What brought it about.
    pub cause: String,
    /// What the limit counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitName>,
    /// The ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Amount>,
    /// Committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Amount>,
    /// Reserved and not yet settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Amount>,
    /// What is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Amount>,
}

impl ChangeBody {
    /// Of an event whose limit is named, as much of it as is shown.
    pub fn new(pool: &PoolId, prev: u64, event: &QuotaEvent, view: View) -> Self {
        let mut body = Self {
            kind: "quota_event".to_owned(),
            pool: pool.to_string(),
            prev,
            seq: event.position.seq,
            cursor: event.position.to_cursor(),
            at: Instant(event.at_us),
            limit: None,
            scope: Labels::Partition(Arc::new(Partition::default())),
            from: String::new(),
            to: String::new(),
            cause: event.cause.as_str().to_owned(),
            unit: None,
            capacity: None,
            used: None,
            held: None,
            remaining: None,
        };
        match &event.change {
            Change::Pool { from, to } => (body.from, body.to) = (from.as_str().to_owned(), to.as_str().to_owned()),
            Change::Counter(counter) => {
                let limit = counter.limit.as_ref();
                let unit = limit.map_or_else(Unit::requests, |limit| limit.unit.clone());
                let amount = |value| (view == View::Full).then(|| Amount::of(&unit, value));
                body.limit = Some(limit.map_or_else(|| counter.number.get().to_string(), |limit| limit.id.to_string()));
                body.scope = Labels::Partition(Arc::new(counter.partition.clone()));
                (body.from, body.to) = (counter.from.as_str().to_owned(), counter.to.as_str().to_owned());
                body.capacity = amount(counter.capacity);
                body.used = amount(counter.total.saturating_sub(counter.held));
                body.held = amount(counter.held);
                body.remaining = amount(counter.capacity.saturating_sub(counter.total));
                body.unit = limit.filter(|_| view == View::Full).map(|limit| UnitName(limit.unit.clone()));
            }
        }
        body
    }
}

/// Status changes of a pool after a cursor, oldest first.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "StatusChanges")]
pub struct ChangeList {
    /// The changes.
    pub events: Vec<ChangeBody>,
    /// Where to go on.
    pub cursor: String,
    /// There are more than the page holds.
    pub has_more: bool,
}

/// A ticket for one live connection.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "WebSocketTicket")]
pub struct TicketBody {
    /// Goes into the URL as `ticket`; good once.
    pub ticket: String,
    /// How long it is good, ms.
    pub expires_in_ms: u64,
}
