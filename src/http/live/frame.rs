//! What clients are told, as JSON text.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::query::Target;
use crate::{
    domain::Position,
    events::{Reason, Snapshot, live::rfc3339},
    http::{
        HttpState,
        problem::{Problem, from_coordinator},
        status::outlook,
        wire::StatusBody,
    },
};

/// The status payload's `data`: made once for all who get this snapshot.
pub async fn status_data(state: &HttpState, target: &Target, snapshot: &Snapshot) -> Result<Arc<str>, Problem> {
    let write = |usage| async {
        let outlook = outlook(state.coordinator(), &target.pool, &target.scope).await;
        let (partitions, verdict) = outlook.map_err(|error| from_coordinator(error, ""))?;
        let body = StatusBody::new(&target.pool, target.workspace_id.clone(), usage, partitions, &verdict);
        serde_json::to_string(&body.data).map(Arc::from).map_err(Problem::internal)
    };
    if !target.reach.is_confined() {
        return snapshot.wire.get_or_try_init(|| write(snapshot.usage.clone())).await.cloned();
    }
    let mut veiled = snapshot.veiled.lock().await;
    let reach = target.reach.to_text();
    if let Some(text) = veiled.get(&reach) {
        return Ok(text.clone());
    }
    let mut usage = snapshot.usage.clone();
    target.reach.veil(&mut usage.figures);
    let text = write(usage).await?;
    veiled.insert(reach, text.clone());
    Ok(text)
}

#[derive(Serialize)]
struct Status<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    success: bool,
    pool: &'a str,
    workspace_id: Option<&'a str>,
    cursor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    timestamp: String,
    data: &'a RawValue,
}

/// How a run of events begins.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// With everything as it is.
    Snapshot(Reason),
    /// With what was missed.
    Replay,
}

/// `quota_initial` with a mode, `quota_update` without.
pub fn status(
    mode: Option<Mode>,
    (id, subscription): (Option<&Value>, Option<&str>),
    target: &Target,
    cursor: Position,
    at_us: u64,
    data: &str,
) -> String {
    let (mode_word, reason) = match mode {
        None => (None, None),
        Some(Mode::Replay) => (Some("replay"), None),
        Some(Mode::Snapshot(reason)) => (Some("snapshot"), Some(reason)),
    };
    let Ok(data) = serde_json::from_str(data) else { return String::new() };
    text(&Status {
        r#type: if mode.is_some() { "quota_initial" } else { "quota_update" },
        id,
        subscription,
        success: true,
        pool: target.pool.as_str(),
        workspace_id: target.workspace_id.as_deref(),
        cursor: cursor.to_cursor(),
        mode: mode_word,
        reason,
        timestamp: rfc3339(at_us),
        data,
    })
}

/// Continuity was lost; a snapshot follows.
pub fn reset(subscription: Option<&str>, target: &Target, reason: Reason) -> String {
    #[derive(Serialize)]
    struct Reset<'a> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription: Option<&'a str>,
        pool: &'a str,
        reason: Reason,
    }
    text(&Reset { r#type: "reset", subscription, pool: target.pool.as_str(), reason })
}

/// Something failed.
pub fn error(id: Option<&Value>, fatal: bool, problem: &Problem) -> String {
    #[derive(Serialize)]
    struct Error<'a> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        fatal: bool,
        problem: crate::http::problem::ProblemBody,
    }
    text(&Error { r#type: "error", id, fatal, problem: problem.body(None) })
}

/// Are you there? `stale`: what this node shows may be old.
pub fn ping(n: u64, stale: bool) -> String {
    format!(r#"{{"type":"ping","n":{n},"stale":{stale}}}"#)
}

/// I am.
pub fn pong(n: Option<&Value>) -> String {
    match n {
        Some(n) => format!(r#"{{"type":"pong","n":{n}}}"#),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

/// The answer to `unsubscribe` and `authenticate`.
pub fn done(word: &'static str, id: Option<&Value>, subscription: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Done<'a> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription: Option<&'a str>,
    }
    text(&Done { r#type: word, id, subscription })
}

/// The connection will be closed; come again with these cursors, after a pause from the range.
pub fn drain(reason: &'static str, reconnect: Duration, close: Duration, cursors: &[(Option<&str>, Position)]) -> String {
    let own = cursors.iter().find(|(name, _)| name.is_none()).map(|(_, cursor)| cursor.to_cursor());
    let named = cursors.iter().filter_map(|(name, cursor)| Some(((*name)?, Value::from(cursor.to_cursor()))));
    let named: serde_json::Map<String, Value> = named.map(|(name, cursor)| (name.to_owned(), cursor)).collect();
    text(&serde_json::json!({
        "type": "drain", "reason": reason, "cursor": own, "cursors": named,
        "reconnect_in_ms": {"min": 0, "max": reconnect.as_millis()}, "close_at_ms": close.as_millis(),
    }))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
