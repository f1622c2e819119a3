//! A pool: the limits of one shared supply of quota, ready to be asked which of them apply.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    ids::{LimitId, PoolId},
    limit::{Limit, OnStoreFailure},
    price::Prices,
    unit::{STANDARD_UNITS, Unit},
};

/// Whose account the pool is: selects the charge model and the parser of the provider's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Provider {
    /// OpenAI.
    Openai,
    /// Azure OpenAI.
    Azure,
    /// Anthropic.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// AWS Bedrock.
    Bedrock,
    /// Anything else.
    #[default]
    Generic,
}

impl Provider {
    /// The word used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Generic => "generic",
        }
    }
}

/// One shared supply of quota.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Name, and the hash tag of all its keys.
    pub id: PoolId,
    /// Whose account it is.
    pub provider: Provider,
    /// Every limit, companions of `smooth` included.
    pub limits: Vec<Arc<Limit>>,
    /// Units of the operator's own that no limit counts but that requests may carry.
    pub units: BTreeSet<Unit>,
    /// What tokens cost here.
    pub prices: Arc<Prices>,
    /// How long the record of a reservation is kept after its lease ended (at most 24 h).
    pub record_retention: Duration,
    /// What requests are told while the store is away, where no limit applies to them.
    pub on_store_failure: OnStoreFailure,
}

impl Pool {
    /// The limit of that id.
    pub fn limit(&self, id: &LimitId) -> Option<&Arc<Limit>> {
        self.limits.iter().find(|limit| limit.id == *id)
    }

    /// Does any limit count money?
    pub fn counts_money(&self) -> bool {
        self.limits.iter().any(|limit| limit.unit.is_money())
    }

    /// May a request carry a cost in this unit? A typo must not pass for free.
    pub fn knows_unit(&self, unit: &Unit) -> bool {
        STANDARD_UNITS.contains(&unit.as_str()) || self.units.contains(unit) || self.limits.iter().any(|l| l.unit == *unit)
    }

    /// Every unit that a request may carry, in name order.
    pub fn known_units(&self) -> Vec<String> {
        let own = self.units.iter().map(Unit::as_str).chain(self.limits.iter().map(|l| l.unit.as_str()));
        STANDARD_UNITS.into_iter().chain(own).collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
    }
}
