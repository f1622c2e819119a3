//! From a request to what it takes: which limits apply, and how much of each.

use super::{limit::Limit, pool::Pool, scope::Scope, unit::Cost, unit::Unit};

/// What the caller knows of a call before it is sent; fills in costs that were not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The model, used as scope entry `model` where the scope has none.
    pub model: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// The most tokens that the answer may have.
    pub max_output_tokens: Option<u64>,
}

impl Estimate {
    /// The estimated cost in a unit, where the estimate says anything about it.
    pub fn cost_in(&self, unit: &Unit) -> Option<u64> {
        match unit.as_str() {
            "tokens" => match (self.input_tokens, self.max_output_tokens) {
                (None, None) => None,
                (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
            },
            "input_tokens" => self.input_tokens,
            "output_tokens" => self.max_output_tokens,
            _ => None,
        }
    }
}

/// Units asked of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Index into [`Pool::limits`].
    pub limit: usize,
    /// Units.
    pub amount: u64,
}

/// Why a request cannot be asked at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A unit that neither the standard list nor the pool knows.
    #[error("unit `{unit}` is not known in this pool; known are: {}", known.join(", "))]
    UnknownUnit {
        /// As given.
        unit: String,
        /// What would be accepted.
        known: Vec<String>,
    },
    /// A limit applies, and nothing says how much the request costs in its unit.
    #[error(
        "limit `{limit}` counts `{unit}`: give `cost.{unit}` or an `estimate`, or set `default_cost` or `optional` on the limit"
    )]
    MissingUnit {
        /// The limit's id.
        limit: String,
        /// Its unit.
        unit: String,
    },
}

impl Pool {
    /// The cost of a request in a limit's unit: the explicit cost, else one for `requests`, else the
    /// estimate, else the limit's default. `None` when nothing is known.
    fn cost_in(limit: &Limit, cost: &Cost, estimate: Option<&Estimate>) -> Option<u64> {
        cost.get(&limit.unit)
            .or_else(|| (limit.unit.as_str() == Unit::REQUESTS).then_some(1))
            .or_else(|| estimate.and_then(|e| e.cost_in(&limit.unit)))
            .or(limit.default_cost)
    }

    /// Refuses units that nobody knows.
    pub fn check_units(&self, cost: &Cost) -> Result<(), PlanError> {
        match cost.iter().find(|(unit, _)| !self.knows_unit(unit)) {
            None => Ok(()),
            Some((unit, _)) => Err(PlanError::UnknownUnit { unit: unit.to_string(), known: self.known_units() }),
        }
    }

    /// Indexes of the limits that apply to a scope, whatever the cost.
    pub fn applicable(&self, scope: &Scope) -> Vec<usize> {
        (0..self.limits.len()).filter(|at| self.limits[*at].applies_to(scope)).collect()
    }

    /// What a request takes of each limit in `applicable`.
    pub fn demands(&self, applicable: &[usize], cost: &Cost, estimate: Option<&Estimate>) -> Result<Vec<Demand>, PlanError> {
        self.check_units(cost)?;
        let mut demands = Vec::with_capacity(applicable.len());
        for &at in applicable {
            let limit = &self.limits[at];
            match Self::cost_in(limit, cost, estimate) {
                Some(amount) => demands.push(Demand { limit: at, amount }),
                None if limit.optional => {}
                None => {
                    return Err(PlanError::MissingUnit { limit: limit.id.to_string(), unit: limit.unit.to_string() });
                }
            }
        }
        Ok(demands)
    }
}
