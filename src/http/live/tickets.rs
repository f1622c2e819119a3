//! One-time tickets: for pages that cannot send a header and must not put a key into a URL.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::Live;
use crate::http::{
    HttpState,
    auth::{Principal, Role},
    problem::{Problem, from_coordinator},
};

/// Between the parts of what is kept: cannot stand in an origin or in the name of a key.
const SEPARATOR: char = '\n';

fn name(ticket: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(ticket.as_bytes()))
}

impl Live {
    /// Makes a ticket for whoever asks, good for one connection from the same origin through any node.
    pub(super) async fn issue_ticket(
        &self,
        state: &HttpState,
        principal: &Principal,
        origin: Option<&str>,
    ) -> Result<String, Problem> {
        let secret: [u8; 24] = rand::random();
        let ticket = URL_SAFE_NO_PAD.encode(secret);
        let value = format!("{}{SEPARATOR}{}", origin.unwrap_or_default(), principal.name());
        let kept = state.coordinator().keep_once(&name(&ticket), &value, self.0.settings.ticket).await;
        kept.map_err(|error| from_coordinator(error, ""))?;
        Ok(ticket)
    }

    /// Takes a ticket; what it was made for must still hold.
    pub(super) async fn redeem_ticket(
        &self,
        state: &HttpState,
        ticket: &str,
        origin: Option<&str>,
    ) -> Result<Principal, Problem> {
        let refused = || Problem::unauthorized("the ticket is not known, was used before, or has expired");
        let taken = state.coordinator().take_once(&name(ticket)).await;
        let value = taken.map_err(|error| from_coordinator(error, ""))?.ok_or_else(refused)?;
        let (made_for, holder) = value.split_once(SEPARATOR).ok_or_else(refused)?;
        if made_for != origin.unwrap_or_default() {
            return Err(Problem::unauthorized("the ticket was made for another origin"));
        }
        state.keyring().named(holder).filter(|principal| principal.has(Role::Read)).cloned().ok_or_else(refused)
    }
}
