//! From a request to what it takes: which limits apply, and how much of each.

use super::{
    limit::Limit,
    pool::{Pool, Provider},
    price::{NoQuote, TokenUse},
    unit::{Cost, MAX_AMOUNT, Unit, format_money},
};

/// What the caller knows of a call; fills in costs that were not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The model, used as scope entry `model` where the scope has none.
    pub model: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// The most tokens that the answer may have.
    pub max_output_tokens: Option<u64>,
    /// What the call used, where it is over; this is priced, and not what was expected.
    pub used: Option<TokenUse>,
}

/// An estimate, with what it comes to in money: nothing where it names no tokens or the pool counts no money.
#[derive(Clone, Debug)]
pub struct Priced<'a> {
    /// The estimate.
    pub estimate: &'a Estimate,
    /// Its cost, nano-dollars.
    pub money: Option<Result<u64, NoQuote>>,
}

impl Estimate {
    /// The same estimate always gives the same text: for fingerprints.
    pub fn to_text(&self) -> String {
        let tokens = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let model = self.model.as_deref().unwrap_or("-");
        let used = self.used.map_or_else(String::new, |used| format!(",{}", used.to_text()));
        format!("{},{},{model}{used}", tokens(self.input_tokens), tokens(self.max_output_tokens))
    }

    /// The tokens that a price applies to: those that were used, else all that were estimated, the prompt as not cached.
    pub fn billed(&self) -> Option<TokenUse> {
        let (input, output) = (self.input_tokens, self.max_output_tokens);
        let estimated = || TokenUse { input: input.unwrap_or(0), output: output.unwrap_or(0), ..TokenUse::default() };
        self.used.or_else(|| input.or(output).map(|_| estimated()))
    }

    /// With its cost, for a request of that scope at that instant (µs since 1970).
    pub fn priced(&self, pool: &Pool, scope: &super::Scope, at_us: u64) -> Priced<'_> {
        let model = self.model.as_deref().or_else(|| scope.get("model"));
        let billed = self.billed().filter(|_| pool.counts_money());
        Priced { estimate: self, money: billed.map(|tokens| pool.prices.quote(model, &tokens, at_us)) }
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
    /// A limit in money applies, there are tokens, and nothing says what they cost. They are never free.
    #[error(
        "limit `{limit}` counts `cost_usd`, and {what}: give `cost.cost_usd`, or add to [[prices]] one for that model (or for \
         `*`) whose `provider` is `{provider}` or left out, or set `default_cost` on the limit",
        what = match model {
            Some(model) => format!("no price is configured for model `{model}`"),
            None => "neither `estimate.model` nor the scope names the model that has to be priced".to_owned(),
        }
    )]
    UnknownPrice {
        /// The limit's id.
        limit: String,
        /// The model, where one was named.
        model: Option<String>,
        /// The pool's.
        provider: &'static str,
    },
    /// The tokens cost more than can be counted.
    #[error("the tokens cost more than {} dollars", format_money(MAX_AMOUNT))]
    CostTooLarge,
}

impl Pool {
    /// The cost of a request in the unit of a limit that applies: the explicit cost, else one for
    /// `requests`, else the estimate, else the limit's default; `None` = the limit is optional and skipped.
    pub fn cost_for(&self, limit: &Limit, cost: &Cost, estimate: Option<&Priced<'_>>) -> Result<Option<u64>, PlanError> {
        let named = cost.get(&limit.unit).or_else(|| (limit.unit.as_str() == Unit::REQUESTS).then_some(1));
        let known = match estimate {
            Some(priced) if named.is_none() && limit.unit.is_money() => return self.money_for(limit, priced),
            Some(priced) => named.or_else(|| priced.estimate.cost_in(&limit.unit)),
            None => named,
        };
        match known.or(limit.default_cost) {
            None if !limit.optional => Err(PlanError::MissingUnit { limit: limit.id.to_string(), unit: limit.unit.to_string() }),
            known => Ok(known),
        }
    }

    fn money_for(&self, limit: &Limit, priced: &Priced<'_>) -> Result<Option<u64>, PlanError> {
        let missing = || PlanError::MissingUnit { limit: limit.id.to_string(), unit: limit.unit.to_string() };
        match (&priced.money, limit.default_cost) {
            (Some(Ok(cost)), _) => Ok(Some(*cost)),
            (Some(Err(NoQuote::TooMuch)), _) => Err(PlanError::CostTooLarge),
            (_, Some(default)) => Ok(Some(default)),
            // Where nothing has a price, an optional limit waits for explicit costs; with prices, a model without is an error.
            (Some(Err(NoQuote::Unknown(model))), None) if !(limit.optional && self.prices.is_empty()) => {
                let provider = Provider::as_str(self.provider);
                Err(PlanError::UnknownPrice { limit: limit.id.to_string(), model: model.clone(), provider })
            }
            _ if limit.optional => Ok(None),
            _ => Err(missing()),
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
