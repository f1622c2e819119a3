//! From a request to what it takes: which limits apply, and how much of each.

use super::{limit::Limit, pool::Pool, unit::Cost, unit::Unit};

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
    /// The same estimate always gives the same text: for fingerprints.
    pub fn to_text(&self) -> String {
        let tokens = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        format!("{},{},{}", tokens(self.input_tokens), tokens(self.max_output_tokens), self.model.as_deref().unwrap_or("-"))
    }

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
    /// The cost of a request in the unit of a limit that applies: the explicit cost, else one for
    /// `requests`, else the estimate, else the limit's default; `None` = the limit is optional and skipped.
    pub fn cost_for(&self, limit: &Limit, cost: &Cost, estimate: Option<&Estimate>) -> Result<Option<u64>, PlanError> {
        let known = cost
            .get(&limit.unit)
            .or_else(|| (limit.unit.as_str() == Unit::REQUESTS).then_some(1))
            .or_else(|| estimate.and_then(|e| e.cost_in(&limit.unit)))
            .or(limit.default_cost);
        match known {
            None if !limit.optional => Err(PlanError::MissingUnit { limit: limit.id.to_string(), unit: limit.unit.to_string() }),
            known => Ok(known),
        }
    }

    /// Refuses units that nobody knows.
    pub fn check_units(&self, cost: &Cost) -> Result<(), PlanError> {
        match cost.iter().find(|(unit, _)| !self.knows_unit(unit)) {
            None => Ok(()),
            Some((unit, _)) => Err(PlanError::UnknownUnit { unit: unit.to_string(), known: self.known_units() }),
        }
    }
}
