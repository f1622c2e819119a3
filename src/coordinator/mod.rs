//! The use cases, knowing the store but neither Redis nor HTTP.

pub mod types;

use std::sync::Arc;

use types::*;

use crate::domain::{Pool, PoolId, Scope};

/// One node's use cases over all configured pools. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator(Arc<()>);

#[expect(unused_variables, clippy::unused_async, reason = "signatures agreed before the bodies")]
impl Coordinator {
    /// For tests of requests that are refused before they get here.
    #[cfg(test)]
    pub(crate) fn absent() -> Self {
        Self(Arc::new(()))
    }
    /// The configured pools, in configuration order.
    pub fn pools(&self) -> &[Arc<Pool>] {
        unimplemented!()
    }
    /// The pool of that id.
    pub fn pool(&self, id: &PoolId) -> Result<&Arc<Pool>, CoordinatorError> {
        unimplemented!()
    }
    /// Hold units, or deny.
    pub async fn reserve(&self, request: Reserve) -> Result<Decision, CoordinatorError> {
        unimplemented!()
    }
    /// Would this be granted now?
    pub async fn check(&self, ask: Ask) -> Result<Verdict, CoordinatorError> {
        unimplemented!()
    }
    /// Count a use that was not reserved.
    pub async fn record(&self, request: Record) -> Result<Recorded, CoordinatorError> {
        unimplemented!()
    }
    /// Settle at the true cost.
    pub async fn commit(&self, request: Commit) -> Result<Settled, CoordinatorError> {
        unimplemented!()
    }
    /// Give everything back.
    pub async fn release(&self, request: Release) -> Result<Settled, CoordinatorError> {
        unimplemented!()
    }
    /// Prolong.
    pub async fn extend(&self, request: Extend) -> Result<Extended, CoordinatorError> {
        unimplemented!()
    }
    /// One reservation.
    pub async fn reservation(&self, id: &str) -> Result<ReservationView, CoordinatorError> {
        unimplemented!()
    }
    /// Open reservations whose scope contains `scope` and whose metadata contains `metadata`, oldest first;
    /// with the cursor for the next page.
    pub async fn reservations(
        &self,
        pool: &PoolId,
        scope: &Scope,
        metadata: &Metadata,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<ReservationView>, Option<String>), CoordinatorError> {
        unimplemented!()
    }
    /// Counters whose partition fits the scope (all of the pool when the scope is empty), a page at a time.
    pub async fn usage(
        &self,
        pool: &PoolId,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Usage, CoordinatorError> {
        unimplemented!()
    }
    /// Counters that a request of this scope would touch (pool-wide and its own).
    pub async fn usage_of(&self, pool: &PoolId, scope: &Scope) -> Result<Usage, CoordinatorError> {
        unimplemented!()
    }
    /// Clear counters. Returns how many.
    pub async fn reset(&self, request: Reset) -> Result<u64, CoordinatorError> {
        unimplemented!()
    }
    /// Does the store answer? For readiness.
    pub async fn ready(&self) -> Result<(), CoordinatorError> {
        unimplemented!()
    }
}
