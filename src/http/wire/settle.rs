//! Bodies and answers of commit, release and extend.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    Authority, CallOutcome, Charged, CostMap, DecisionBody, Denied, Instant, ProviderUsage, ReservationState,
    schema::{documented, one_of},
};
use crate::{
    coordinator::types::{self, Commit, Extend, Release, Used},
    domain::Provider,
    http::{
        auth::Caller,
        body::JsonBody,
        checks::Checks,
        problem::{FieldError, Problem, from_coordinator},
    },
};

/// The true cost of a reservation.
#[derive(Clone, Debug, Default, PartialEq, Object, Deserialize)]
#[oai(rename = "CommitRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct CommitBody {
    /// True costs; a unit that neither this nor `usage` tells keeps its hold.
    pub cost: Option<CostMap>,
    /// What the provider said that the call used; `cost` wins, unit by unit. Not counted when the outcome is `unknown`:
    /// then it is not the whole use. Where prices are configured, and a limit in `cost_usd` holds some, it gives that, too;
    /// a model without a price is charged its hold, marked as estimated.
    pub usage: Option<ProviderUsage>,
    /// The model that answered, whose price `usage` is charged at; the one that was reserved for where it is not named.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub model: Option<String>,
    /// How the call went; `ok` where it is not named. `unknown` charges the hold, except for what `cost` names, and marks
    /// it as estimated.
    pub outcome: Option<CallOutcome>,
}

impl JsonBody for CommitBody {
    /// Everything that was held is charged.
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl CommitBody {
    /// What the coordinator is asked.
    pub fn into_commit(self, caller: &Caller, reservation: String, mut checks: Checks) -> Result<Commit, Problem> {
        let Self { cost, usage, model, outcome } = self;
        let model = checks.text("/model", model);
        let mut used = None;
        let (mut cost, estimated) = (cost.unwrap_or_default().0, outcome == Some(CallOutcome::Unknown));
        if let Some(usage) = usage {
            let said = usage.read(provider_of(caller, &reservation)?, &mut checks);
            if !estimated {
                cost.fill(&said.cost);
                used = said.billed.map(|tokens| Used { tokens, model });
            }
        }
        checks.finish(Commit { reservation, cost, used, estimated })
    }
}

/// Whose account a reservation was made on.
fn provider_of(caller: &Caller, reservation: &str) -> Result<Provider, Problem> {
    let coordinator = caller.state.coordinator();
    let pool = coordinator.pool_of(reservation).and_then(|pool| coordinator.pool(pool));
    pool.map(|pool| pool.provider).map_err(|error| from_coordinator(error, ""))
}

/// A reservation to be released by the key that it was, or will be, reserved with.
#[derive(Clone, Debug, PartialEq, Object, Deserialize)]
#[oai(rename = "ReleaseByKeyRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ReleaseByKeyBody {
    /// The pool; may be left out where the key sees one pool only.
    pub pool: Option<String>,
    /// The key of the reserve.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub idempotency_key: String,
}

impl JsonBody for ReleaseByKeyBody {}

impl ReleaseByKeyBody {
    /// What the coordinator is asked.
    pub fn into_release(self, caller: &Caller, mut checks: Checks) -> Result<Release, Problem> {
        let key = checks.idempotency_key(None, Some(self.idempotency_key)).unwrap_or_default();
        checks.finish(())?;
        let pool = caller.pool(self.pool.as_deref(), |detail| FieldError::at("/pool", detail))?;
        Ok(Release::IdempotencyKey { pool, key, principal: caller.principal.name().clone() })
    }
}

/// A lease to be prolonged.
#[derive(Clone, Debug, Default, PartialEq, Object, Deserialize)]
#[oai(rename = "ExtendRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ExtendBody {
    /// The lease from now on, ms: 1 s to 1 h, 24 h in total; 60000 where it is not named.
    #[oai(validator(minimum(value = "1000"), maximum(value = "3600000")))]
    pub lease_ms: Option<u64>,
    /// More units, which can be denied; then the lease is not prolonged either.
    pub add_cost: Option<CostMap>,
    /// Makes a repetition of `add_cost` harmless. Also a header.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub idempotency_key: Option<String>,
}

impl JsonBody for ExtendBody {
    /// A lease of the usual length.
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl ExtendBody {
    /// What the coordinator is asked. `header` is the key of the header `Idempotency-Key`.
    pub fn into_extend(self, reservation: String, header: Option<String>, mut checks: Checks) -> Result<Extend, Problem> {
        let lease = checks.lease(self.lease_ms);
        let idempotency_key = checks.idempotency_key(header, self.idempotency_key);
        let add_cost = self.add_cost.unwrap_or_default().0;
        checks.finish(Extend { reservation, lease, add_cost, idempotency_key })
    }
}

/// Answer to commit and release.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Settled {
    /// The reservation's id.
    pub reservation: String,
    /// Its state now.
    pub state: ReservationState,
    /// Finally charged.
    pub charged: Charged,
    /// Limits whose counter was reset or removed since: nothing was given back there. With authority `none`, all limits:
    /// the use was counted nowhere.
    pub skipped: Vec<String>,
    /// The lease had ended before.
    pub late: bool,
    /// The true cost was not known.
    pub estimated: bool,
    /// When it was settled.
    pub settled_at: Instant,
    /// The same was said before; this is the first answer again.
    pub replayed: bool,
    /// Position in the pool's event log.
    pub cursor: String,
    /// Who settled it. `none` = Redis is away and the reservation was granted without it: nothing was counted, and the
    /// status is 202. The same commit, sent again when Redis is back, is counted in full, once.
    pub authority: Authority,
}

impl From<types::Settled> for Settled {
    fn from(settled: types::Settled) -> Self {
        let types::Settled { reservation, state, charged, skipped, late, estimated, settled_at_us, replayed, cursor, authority } =
            settled;
        Self {
            reservation,
            state: state.into(),
            charged: Charged(charged),
            skipped,
            late,
            estimated,
            settled_at: Instant(settled_at_us),
            replayed,
            cursor,
            authority: authority.into(),
        }
    }
}

/// Answer to an extend that prolonged the lease.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Extended")]
pub struct Extended {
    /// The reservation's id.
    pub reservation: String,
    /// When the lease ends.
    pub expires_at: Instant,
    /// Position in the pool's event log.
    pub cursor: String,
}

/// Answer to extend.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ExtendedBody {
    /// The lease stands until then.
    Prolonged(Extended),
    /// `add_cost` has no room; nothing changed.
    Denied(Box<Denied>),
}

one_of!(
    ExtendedBody,
    "ExtendAnswer",
    "The lease was prolonged, or `add_cost` has no room and nothing changed.",
    Extended,
    Denied
);

impl From<types::Extended> for ExtendedBody {
    fn from(extended: types::Extended) -> Self {
        match extended {
            types::Extended::Prolonged { reservation, expires_at_us, cursor } => {
                Self::Prolonged(Extended { reservation, expires_at: Instant(expires_at_us), cursor })
            }
            types::Extended::Denied(decision) => match DecisionBody::from(*decision) {
                DecisionBody::Denied(denied) => Self::Denied(denied),
                // The type allows a grant here, the coordinator does not; read literally it is a prolonged lease.
                DecisionBody::Granted(granted) => Self::Prolonged(Extended {
                    reservation: granted.reservation,
                    expires_at: granted.expires_at,
                    cursor: granted.cursor,
                }),
            },
        }
    }
}
