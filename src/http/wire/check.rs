//! Answer to a check.

use poem_openapi::Object;
use serde::Serialize;

use super::{Counter, LimitName, Reason, Status, decision::names, shown};
use crate::{
    coordinator::types::{Denial, Verdict},
    http::headers,
};

/// Would this cost be granted now? Nothing was taken.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Check {
    /// True when it would.
    pub can_make_request: bool,
    /// Time until this very cost could be granted if nobody else came, ms; absent when it could now, or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The same in whole seconds, rounded up; 0 when it could be granted now, absent when never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u64>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Limits in the way.
    pub violated: Vec<LimitName>,
    /// Shadow limits that would be in the way.
    pub shadow_violated: Vec<LimitName>,
    /// Status of the request's scope.
    pub status: Status,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Every counter that the request would touch.
    pub limits: Vec<Counter>,
}

/// Whole seconds to wait: 0 when there is no denial, `None` when waiting does not help.
pub fn wait_seconds(denial: Option<&Denial>) -> Option<u64> {
    match denial {
        None => Some(0),
        Some(denial) => denial.retry_after.map(headers::seconds_up),
    }
}

impl From<Verdict> for Check {
    fn from(verdict: Verdict) -> Self {
        let Verdict { denial, obstacles, figures, status, cursor } = verdict;
        Self {
            can_make_request: denial.is_none(),
            retry_after_ms: denial.as_ref().and_then(|denial| denial.retry_after).map(headers::millis),
            wait_seconds: wait_seconds(denial.as_ref()),
            reason: denial.map(|denial| denial.reason.into()),
            violated: names(&figures, &obstacles.violated),
            shadow_violated: names(&figures, &obstacles.shadow_violated),
            status: status.into(),
            cursor,
            limits: shown(figures),
        }
    }
}
