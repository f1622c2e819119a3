//! What a settlement by usage costs in money.

use super::{
    Coordinator,
    ids::ReservationId,
    queue::PoolQueue,
    reservations, store_error,
    types::{Commit, CoordinatorError},
};
use crate::domain::{Cost, PlanError, Unit, price::NoQuote};

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
        match pool.prices.quote(model.as_deref(), &used.tokens, record.since_us) {
            Ok(cost) => known.cost.set(money, cost),
            Err(NoQuote::TooMuch) => return Err(PlanError::CostTooLarge.into()),
            Err(NoQuote::Unknown(model)) => {
                tracing::warn!(pool = %queue.id(), ?model, "no price for the model of a commit; what was held is charged");
                known.estimated = true;
            }
        }
        Ok(known)
    }
}
