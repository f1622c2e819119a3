//! Bodies that ask for units or say that they were used.

use poem_openapi::Object;
use serde::Deserialize;

use super::{CostMap, Entries, Priority, ProviderUsage};
use crate::{
    coordinator::types::{Ask, Record, Reserve, Reset},
    domain::{Estimate, Scope},
    http::{
        auth::Caller,
        body::JsonBody,
        checks::Checks,
        problem::{FieldError, Problem, from_coordinator},
    },
};

/// What the caller knows of a call before it is sent.
#[derive(Clone, Debug, Default, PartialEq, Object, Deserialize)]
#[oai(rename = "Estimate", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct EstimateBody {
    /// The model; stands for the scope's `model` where the scope has none.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub model: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// The most tokens that the answer may have.
    pub max_output_tokens: Option<u64>,
}

/// Units to be held before a call.
#[derive(Clone, Debug, Default, PartialEq, Object, Deserialize)]
#[oai(rename = "ReserveRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ReserveBody {
    /// The pool; may be left out where the key sees one pool only.
    pub pool: Option<String>,
    /// Who asks and for what, such as `{"workspace": "w1", "model": "gpt-4o"}`.
    pub scope: Option<Entries>,
    /// Explicit costs; `requests` is 1 where it is not named.
    pub cost: Option<CostMap>,
    /// Fills in what `cost` leaves out.
    pub estimate: Option<EstimateBody>,
    /// For how long the hold stands, ms: 1 s to 1 h, 60000 where it is not named.
    #[oai(validator(minimum(value = "1000"), maximum(value = "3600000")))]
    pub lease_ms: Option<u64>,
    /// Decides which share of a capacity may be filled; `normal` where it is not named.
    pub priority: Option<Priority>,
    /// How long to wait for room, ms. This version answers at once: 0 is the only value.
    #[oai(validator(maximum(value = "0")))]
    pub wait_ms: Option<u64>,
    /// The same key and body give the same reservation. Also a header.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub idempotency_key: Option<String>,
    /// Kept with the reservation.
    pub metadata: Option<Entries>,
}

impl JsonBody for ReserveBody {}

/// A use that was not reserved.
#[derive(Clone, Debug, Default, PartialEq, Object, Deserialize)]
#[oai(rename = "RecordRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct RecordBody {
    /// The pool; may be left out where the key sees one pool only.
    pub pool: Option<String>,
    /// Who used it and for what.
    pub scope: Option<Entries>,
    /// What was used; `requests` is 1 where it is not named.
    pub cost: Option<CostMap>,
    /// Fills in what `cost` leaves out.
    pub estimate: Option<EstimateBody>,
    /// What the provider said that the call used; `cost` wins, unit by unit, and this wins over `estimate`. Where prices are
    /// configured it gives `cost_usd`, too, at the price of the estimate's or the scope's `model`.
    pub usage: Option<ProviderUsage>,
    /// The same key and body count once. Also a header.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub idempotency_key: Option<String>,
}

impl JsonBody for RecordBody {}

/// Counters to be cleared.
#[derive(Clone, Debug, Default, PartialEq, Object, Deserialize)]
#[oai(rename = "ResetRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ResetBody {
    /// The pool; may be left out where the key sees one pool only.
    pub pool: Option<String>,
    /// Only this limit.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub limit: Option<String>,
    /// Only counters whose scope contains these entries.
    pub scope: Option<Entries>,
}

impl JsonBody for ResetBody {}

/// The part that reserve, check and record have in common.
struct UncheckedAsk {
    pool: Option<String>,
    scope: Option<Entries>,
    cost: Option<CostMap>,
    estimate: Option<EstimateBody>,
    priority: Option<Priority>,
}

impl UncheckedAsk {
    /// Checks the values and finds the pool.
    fn into_ask(self, caller: &Caller, checks: &mut Checks) -> Result<Ask, Problem> {
        let scope = checks.scope(self.scope);
        let estimate = self.estimate.map(|estimate| estimate.checked(checks));
        let cost = self.cost.unwrap_or_default().0;
        let pool = caller.pool(self.pool.as_deref(), |detail| FieldError::at("/pool", detail))?;
        Ok(Ask { pool, scope, cost, estimate, priority: self.priority.map(Into::into).unwrap_or_default() })
    }
}

impl EstimateBody {
    /// Checks the values.
    fn checked(self, checks: &mut Checks) -> Estimate {
        let model = checks.text("/estimate/model", self.model);
        if let Some(Err(error)) = model.as_ref().map(|model| Scope::new([("model", model.as_str())])) {
            checks.refuse("/estimate/model", error);
        }
        Estimate {
            model,
            input_tokens: checks.count("/estimate/input_tokens", self.input_tokens),
            max_output_tokens: checks.count("/estimate/max_output_tokens", self.max_output_tokens),
            used: None,
        }
    }
}

impl ReserveBody {
    /// What the coordinator is asked. `header` is the key of the header `Idempotency-Key`.
    pub fn into_reserve(self, caller: &Caller, header: Option<String>, mut checks: Checks) -> Result<Reserve, Problem> {
        let Self { pool, scope, cost, estimate, lease_ms, priority, wait_ms, idempotency_key, metadata } = self;
        if wait_ms.unwrap_or(0) != 0 {
            checks.refuse("/wait_ms", "must be 0: this version answers at once");
        }
        let lease = checks.lease(lease_ms);
        let idempotency_key = checks.idempotency_key(header, idempotency_key);
        let metadata = checks.metadata(metadata);
        let ask = UncheckedAsk { pool, scope, cost, estimate, priority }.into_ask(caller, &mut checks);
        checks.finish(())?;
        Ok(Reserve { ask: ask?, lease, idempotency_key, metadata, principal: caller.principal.name().clone() })
    }
}

impl RecordBody {
    /// What the coordinator is asked. `header` is the key of the header `Idempotency-Key`.
    pub fn into_record(self, caller: &Caller, header: Option<String>, mut checks: Checks) -> Result<Record, Problem> {
        let Self { pool, scope, cost, estimate, usage, idempotency_key } = self;
        let idempotency_key = checks.idempotency_key(header, idempotency_key);
        let mut ask = UncheckedAsk { pool, scope, cost, estimate, priority: None }.into_ask(caller, &mut checks);
        if let (Ok(ask), Some(usage)) = (&mut ask, usage) {
            let pool = caller.state.coordinator().pool(&ask.pool).map_err(|error| from_coordinator(error, ""))?;
            let said = usage.read(pool.provider, &mut checks);
            ask.cost.fill(&said.cost);
            ask.estimate.get_or_insert_default().used = said.billed;
        }
        checks.finish(())?;
        Ok(Record { ask: ask?, idempotency_key, principal: caller.principal.name().clone() })
    }
}

impl ResetBody {
    /// What the coordinator is asked.
    pub fn into_reset(self, caller: &Caller) -> Result<Reset, Problem> {
        let mut checks = Checks::default();
        let limit = checks.text("/limit", self.limit);
        let scope = checks.scope(self.scope);
        checks.finish(())?;
        let pool = caller.pool(self.pool.as_deref(), |detail| FieldError::at("/pool", detail))?;
        Ok(Reset { pool, limit, scope, principal: caller.principal.name().clone() })
    }
}
