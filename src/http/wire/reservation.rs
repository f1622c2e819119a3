//! Reservations, read.

use poem_openapi::Object;
use serde::Serialize;

use super::{Charged, Instant, Labels, ReservationState};
use crate::coordinator::types::ReservationView;

/// One reservation.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Reservation {
    /// Its id.
    pub reservation: String,
    /// The pool.
    pub pool: String,
    /// Its state.
    pub state: ReservationState,
    /// Who asked and for what.
    pub scope: Labels,
    /// What the caller attached.
    pub metadata: Labels,
    /// When it was granted.
    pub created_at: Instant,
    /// When its lease ends or ended.
    pub expires_at: Instant,
    /// Held while it is open, else finally charged.
    pub charged: Charged,
}

impl From<ReservationView> for Reservation {
    fn from(view: ReservationView) -> Self {
        let ReservationView { reservation, pool, state, scope, metadata, created_at_us, expires_at_us, charged } = view;
        Self {
            reservation,
            pool: pool.into(),
            state: state.into(),
            scope: Labels::Scope(scope),
            metadata: Labels::Metadata(metadata),
            created_at: Instant(created_at_us),
            expires_at: Instant(expires_at_us),
            charged: Charged(charged),
        }
    }
}

/// Open reservations, oldest first.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct ReservationPage {
    /// This page.
    pub reservations: Vec<Reservation>,
    /// Give this as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
