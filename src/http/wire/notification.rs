//! Notifications, as answers show them.

use std::sync::Arc;

use poem_openapi::Object;
use serde::Serialize;

use super::{CounterUsage, Instant, Labels, Level, Status, shown};
use crate::coordinator::notifications::{Acknowledgement, Notification};

/// That somebody has seen it.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Acknowledgement")]
pub struct AcknowledgementBody {
    /// Name of the key.
    pub by: String,
    /// When.
    pub at: Instant,
}

impl From<Acknowledgement> for AcknowledgementBody {
    fn from(seen: Acknowledgement) -> Self {
        Self { by: seen.by, at: Instant(seen.at_us) }
    }
}

/// The figures behind a notification.
#[derive(Clone, Debug, Object, Serialize)]
pub struct StatusCause {
    /// The status that stands.
    pub status: Status,
    /// Whose: values of the scope's keys. Empty = the whole pool.
    pub scope: Labels,
    /// The counters that make it so.
    pub limits: Vec<CounterUsage>,
}

/// One thing that a person should know.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Notification", skip_serializing_if_is_none)]
pub struct NotificationBody {
    /// The same on every node: scope, status and episode.
    pub id: String,
    /// False once somebody has acknowledged it.
    pub show_notification: bool,
    /// How urgent it is.
    pub level: Level,
    /// One line.
    pub title: String,
    /// What has happened, and when it ends.
    pub message: String,
    /// What a person can do.
    pub suggested_actions: Vec<String>,
    /// The figures behind it.
    pub status_data: StatusCause,
    /// When it began.
    pub created_at: Instant,
    /// Has somebody seen it?
    pub acknowledged: bool,
    /// Who has, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<AcknowledgementBody>,
}

impl From<Notification> for NotificationBody {
    fn from(n: Notification) -> Self {
        let acknowledged = n.acknowledged.is_some();
        let status_data =
            StatusCause { status: n.status.into(), scope: Labels::Partition(Arc::new(n.partition)), limits: shown(n.figures) };
        Self {
            id: n.id,
            show_notification: !acknowledged,
            level: n.level.into(),
            title: n.title,
            message: n.message,
            suggested_actions: n.suggested_actions,
            status_data,
            created_at: Instant(n.created_at_us),
            acknowledged,
            acknowledgement: n.acknowledged.map(Into::into),
        }
    }
}

/// What stands in a pool.
#[derive(Clone, Debug, Object, Serialize)]
pub struct NotificationList {
    /// The pool.
    pub pool: String,
    /// The worst first.
    pub notifications: Vec<NotificationBody>,
}
