//! Answers to a reserve.

use poem_openapi::Object;
use serde::Serialize;

use super::{
    Authority, Charged, Counter, Instant, LimitName, Reason, ReservationState, Status,
    schema::{documented, one_of},
    shown,
    words::{DeniedTag, GrantedTag},
};
use crate::{
    coordinator::types::{Decision, Denial, Figure, Obstacles, Outcome},
    http::headers::{self, LimitHeaders},
};

/// Units are held.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Granted {
    /// Says `granted`.
    pub decision: GrantedTag,
    /// The reservation's id: opaque, at most 128 characters of `A-Z a-z 0-9 _ -`.
    pub reservation: String,
    /// When the lease ends.
    pub expires_at: Instant,
    /// Status of the request's scope.
    pub status: Status,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Who decided; `none` = Redis is away, the limits say `on_store_failure = "allow"`, and nothing was counted.
    pub authority: Authority,
    /// What was taken, by unit.
    pub charged: Charged,
    /// Every counter that the request touches; empty in a replay.
    pub limits: Vec<Counter>,
    /// Shadow limits that would have denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_violated: Option<Vec<LimitName>>,
    /// An earlier reserve with the same idempotency key was found; this is its reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<bool>,
    /// State of the reservation that was found; absent for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ReservationState>,
}

/// Nothing was taken.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Denied {
    /// Says `denied`.
    pub decision: DeniedTag,
    /// Time until this very cost could be granted if nobody else came, ms; absent = never as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Status of the request's scope.
    pub status: Status,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Who decided.
    pub authority: Authority,
    /// Limits in the way.
    pub violated: Vec<LimitName>,
    /// Shadow limits that would have been in the way.
    pub shadow_violated: Vec<LimitName>,
    /// Why.
    pub reason: Reason,
    /// Every counter that the request touches.
    pub limits: Vec<Counter>,
    /// Fields for a gateway to copy into its own answer.
    pub headers: LimitHeaders,
}

/// Answer to a reserve.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum DecisionBody {
    /// Units are held.
    Granted(Box<Granted>),
    /// Nothing was taken.
    Denied(Box<Denied>),
}

one_of!(
    DecisionBody,
    "Decision",
    "Granted or denied. A denial is an answer too, so its status is 200 unless another was asked for.",
    by "decision": "granted" => Granted, "denied" => Denied
);

/// The limits at these places.
pub fn names(figures: &[Figure], places: &[usize]) -> Vec<LimitName> {
    places.iter().filter_map(|at| figures.get(*at)).map(|figure| LimitName(figure.limit.clone())).collect()
}

impl From<Decision> for DecisionBody {
    fn from(decision: Decision) -> Self {
        let Decision { outcome, obstacles, figures, status, cursor, authority } = decision;
        let Obstacles { violated, shadow_violated } = obstacles;
        let shadow = names(&figures, &shadow_violated);
        match outcome {
            Outcome::Granted(grant) => Self::Granted(Box::new(Granted {
                decision: GrantedTag::Granted,
                reservation: grant.reservation,
                expires_at: Instant(grant.expires_at_us),
                status: status.into(),
                cursor,
                authority: authority.into(),
                charged: Charged(grant.charged),
                limits: shown(figures),
                shadow_violated: (!shadow.is_empty()).then_some(shadow),
                replayed: grant.replayed.then_some(true),
                state: grant.replayed.then(|| grant.state.into()),
            })),
            Outcome::Denied(Denial { reason, retry_after }) => Self::Denied(Box::new(Denied {
                decision: DeniedTag::Denied,
                retry_after_ms: retry_after.map(headers::millis),
                status: status.into(),
                cursor,
                authority: authority.into(),
                violated: names(&figures, &violated),
                shadow_violated: shadow,
                reason: reason.into(),
                headers: headers::of_denial(&figures, &violated, retry_after),
                limits: shown(figures),
            })),
        }
    }
}
