//! Limits in force and their changes, as requests and answers show them.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{Amount, GivenAmount, Instant, LimitName, UnitName};
use crate::{
    coordinator::limits::{Alteration, LimitInForce, LimitOverride},
    domain::{Kind, Unit},
    http::body::JsonBody,
};

/// A capacity to be set.
#[derive(Clone, Debug, PartialEq, Object, Deserialize)]
#[oai(rename = "LimitRequest", deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct LimitBody {
    /// The ceiling, in the limit's unit.
    pub capacity: GivenAmount,
    /// What for; shown wherever the limit is listed.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub reason: Option<String>,
}

impl JsonBody for LimitBody {}

/// A capacity that an operator has set.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "LimitOverride", skip_serializing_if_is_none)]
pub struct OverrideBody {
    /// The ceiling.
    pub capacity: Amount,
    /// Name of the key that set it.
    pub by: String,
    /// When.
    pub at: Instant,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl OverrideBody {
    fn of(unit: &Unit, set: LimitOverride) -> Self {
        Self { capacity: Amount::of(unit, set.capacity), by: set.by, at: Instant(set.at_us), reason: set.reason }
    }
}

/// A limit as it acts now.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Limit", skip_serializing_if_is_none)]
pub struct LimitInForceBody {
    /// The limit.
    pub limit: LimitName,
    /// What is counted.
    pub unit: UnitName,
    /// How it counts: `rate`, `budget` or `concurrency`.
    pub kind: String,
    /// Length of a rate's window, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// The ceiling that acts.
    pub capacity: Amount,
    /// The ceiling of the configuration.
    pub configured: Amount,
    /// Where the ceiling that acts comes from: `configuration` or `override`.
    pub source: String,
    /// Who set it, where an operator did.
    #[oai(rename = "override")]
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub set: Option<OverrideBody>,
}

impl From<LimitInForce> for LimitInForceBody {
    fn from(limit: LimitInForce) -> Self {
        let unit = limit.configured.unit.clone();
        let window_ms = match limit.configured.kind {
            Kind::Rate { window_ms } => Some(u64::from(window_ms)),
            Kind::Budget { .. } | Kind::Concurrency => None,
        };
        Self {
            kind: limit.configured.kind.as_str().to_owned(),
            window_ms,
            capacity: Amount::of(&unit, limit.capacity),
            configured: Amount::of(&unit, limit.configured.capacity),
            source: if limit.set.is_some() { "override" } else { "configuration" }.to_owned(),
            set: limit.set.map(|set| OverrideBody::of(&unit, set)),
            limit: LimitName(limit.configured),
            unit: UnitName(unit),
        }
    }
}

/// The limits of a pool.
#[derive(Clone, Debug, Object, Serialize)]
pub struct LimitList {
    /// The pool.
    pub pool: String,
    /// In configuration order.
    pub limits: Vec<LimitInForceBody>,
}

/// One change that an operator made.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Alteration", skip_serializing_if_is_none)]
pub struct AlterationBody {
    /// When.
    pub at: Instant,
    /// Name of the key.
    pub by: String,
    /// What was done: `limit.set` or `limit.remove`.
    pub action: String,
    /// The limit.
    pub limit: String,
    /// What was set before; absent where the configuration ruled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<OverrideBody>,
    /// What is set since; absent where the configuration rules again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<OverrideBody>,
}

impl From<Alteration> for AlterationBody {
    fn from(alteration: Alteration) -> Self {
        let unit = Unit::new(&alteration.note.unit).unwrap_or_else(|_| Unit::requests());
        Self {
            at: Instant(alteration.at.0.saturating_mul(1000)),
            by: alteration.note.by,
            action: if alteration.after.is_some() { "limit.set" } else { "limit.remove" }.to_owned(),
            limit: alteration.note.limit,
            before: alteration.before.map(|set| OverrideBody::of(&unit, set)),
            after: alteration.after.map(|set| OverrideBody::of(&unit, set)),
        }
    }
}

/// Changes that operators made.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct AuditPage {
    /// The pool.
    pub pool: String,
    /// Newest first.
    pub entries: Vec<AlterationBody>,
    /// `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
