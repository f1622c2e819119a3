//! What a settlement by usage costs in money.

use super::{
    Coordinator,
    ids::ReservationId,
    queue::PoolQueue,
    reservations, store_error,
    types::{Commit, CoordinatorError},
};
use crate::domain::{
    Cost, PlanError, Scope, Unit,
    price::{NoQuote, TokenUse},
};

/// The costs that a commit is settled at.
pub(super) struct TrueCost {
    /// By unit.
    pub cost: Cost,
    /// Something of it is not known: its hold is charged.
    pub estimated: bool,
}

impl Coordinator {
    /// Adds what the tokens cost, where the reservation holds money and the commit does not name any.
    ///
    /// The model is the commit's, else the reservation's, and the price is the one that was valid when the reservation was
    /// made: it is the same on every node, and in every repetition. A model without a price keeps its hold: a call that
    /// happened must not become free by an error, which its lease end would make of it.
    pub(super) async fn true_cost(
        &self,
        queue: &PoolQueue,
        id: &ReservationId,
        request: &Commit,
    ) -> Result<TrueCost, CoordinatorError> {
        let mut known = TrueCost { cost: request.cost.clone(), estimated: request.estimated };
        let (money, pool) = (Unit::money(), queue.catalogue.load().pool.clone());
        let Some(used) = request.used.as_ref().filter(|_| known.cost.get(&money).is_none()) else { return Ok(known) };
        if pool.prices.is_empty() || !pool.counts_money() {
            return Ok(known);
        }
        let records = self.0.store.records(queue.id(), &[id.record]).await.map_err(store_error)?;
        let holds_money = |record: &crate::store::reply::Record| {
            record.nonce == id.nonce && record.holds.iter().any(|hold| hold.unit == money.number())
        };
        let Some(record) = records.into_iter().next().flatten().filter(holds_money) else { return Ok(known) };
        let model = used.model.clone().or_else(|| reservations::model_of(&record));
        price(&mut known, queue, model.as_deref(), &used.tokens, record.since_us)?;
        Ok(known)
    }
}

/// The same for a grant that nobody decided: scope and hold are what its id says, and the price is today's.
pub(super) fn allowed_cost(
    queue: &PoolQueue,
    scope: &Scope,
    held: &Cost,
    request: &Commit,
) -> Result<TrueCost, CoordinatorError> {
    let mut known = TrueCost { cost: request.cost.clone(), estimated: request.estimated };
    let money = Unit::money();
    if let Some(used) = request.used.as_ref().filter(|_| known.cost.get(&money).is_none() && held.get(&money).is_some()) {
        let model = used.model.as_deref().or_else(|| scope.get("model"));
        price(&mut known, queue, model, &used.tokens, queue.clock.about_us())?;
    }
    Ok(known)
}

fn price(
    known: &mut TrueCost,
    queue: &PoolQueue,
    model: Option<&str>,
    tokens: &TokenUse,
    at_us: u64,
) -> Result<(), CoordinatorError> {
    match queue.catalogue.load().pool.prices.quote(model, tokens, at_us) {
        Ok(cost) => known.cost.set(Unit::money(), cost),
        Err(NoQuote::TooMuch) => return Err(PlanError::CostTooLarge.into()),
        Err(NoQuote::Unknown(model)) => {
            tracing::warn!(pool = %queue.id(), ?model, "no price for the model of a commit; what was held is charged");
            known.estimated = true;
        }
    }
    Ok(())
}
