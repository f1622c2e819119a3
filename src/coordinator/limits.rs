//! Limits in force, and what operators change of them while nodes run.
//!
//! An override replaces the capacity that a limit is configured with; capacities for particular values of `per` stay.
//! It is stored with a version that each call names, so the very next decision of any node knows it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Coordinator, queue, store_error,
    types::{CoordinatorError, Principal},
};
use crate::{
    domain::{Kind, Limit, PoolId},
    store::{AuditEntry, Overrides},
};

/// A capacity that an operator has set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitOverride {
    /// In units.
    pub capacity: u64,
    /// Name of the key.
    #[serde(default)]
    pub by: String,
    /// About when, µs since 1970.
    #[serde(default)]
    pub at_us: u64,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One limit as it acts now.
#[derive(Clone, Debug)]
pub struct LimitInForce {
    /// As configured.
    pub configured: Arc<Limit>,
    /// The capacity that acts.
    pub capacity: u64,
    /// The override that makes it so.
    pub set: Option<LimitOverride>,
}

/// What was done to a limit.
#[derive(Clone, Debug)]
pub struct Alteration {
    /// Where it stands: later ones are greater. The first number is the instant, ms since 1970.
    pub at: (u64, u64),
    /// Who and what.
    pub note: AlterationNote,
    /// Set before; `None` = as configured.
    pub before: Option<LimitOverride>,
    /// Set since; `None` = as configured.
    pub after: Option<LimitOverride>,
}

/// Who changed what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlterationNote {
    /// Name of the key.
    pub by: String,
    /// The limit.
    pub limit: String,
    /// Its unit, for showing amounts when the limit is not configured any more.
    pub unit: String,
}

fn read(json: &str) -> Option<LimitOverride> {
    serde_json::from_str(json).ok()
}

/// The limit whose override a limit takes: its own, else (for a companion) that of the limit that it accompanies.
fn source<'a>(limits: &'a [Arc<Limit>], at: usize, overrides: &Overrides) -> Option<(&'a Arc<Limit>, LimitOverride)> {
    let limit = &limits[at];
    let of = |limit: &'a Arc<Limit>| Some((limit, read(overrides.entries.get(limit.id.as_str())?)?));
    let parent = || limit.id.as_str().split_once('/').and_then(|(id, _)| limits.iter().find(|l| l.id.as_str() == id));
    of(limit).or_else(|| of(parent().filter(|_| limit.companion)?))
}

/// The capacity that an override gives a limit: a companion takes its share of the other's.
pub(super) fn capacity_in_force(limits: &[Arc<Limit>], at: usize, overrides: &Overrides) -> Option<u64> {
    let (of, set) = source(limits, at, overrides)?;
    match (&of.kind, &limits[at].kind) {
        (Kind::Rate { window_ms: whole }, Kind::Rate { window_ms: slice }) => Some(Limit::share(set.capacity, *slice, *whole)),
        _ => Some(set.capacity),
    }
}

fn in_force(limits: &[Arc<Limit>], at: usize, overrides: &Overrides) -> LimitInForce {
    let configured = limits[at].clone();
    let capacity = capacity_in_force(limits, at, overrides).unwrap_or(configured.capacity);
    LimitInForce { capacity, set: source(limits, at, overrides).map(|(_, set)| set), configured }
}

fn alteration(entry: &AuditEntry) -> Result<Alteration, CoordinatorError> {
    let note = serde_json::from_str(&entry.note).map_err(|error| CoordinatorError::Internal(error.to_string()))?;
    let set = |json: &Option<String>| json.as_deref().and_then(read);
    Ok(Alteration { at: entry.at, note, before: set(&entry.before), after: set(&entry.after) })
}

impl Coordinator {
    /// A limit as configured.
    pub fn configured_limit(&self, pool: &PoolId, limit: &str) -> Result<Arc<Limit>, CoordinatorError> {
        let limits = &self.queue(pool)?.configured.limits;
        let found = limits.iter().find(|known| known.id.as_str() == limit && !known.companion).cloned();
        found.ok_or_else(|| CoordinatorError::UnknownLimit { pool: pool.to_string(), limit: limit.to_owned() })
    }

    /// Every limit of a pool as it acts now.
    pub async fn limits(&self, pool: &PoolId) -> Result<Vec<LimitInForce>, CoordinatorError> {
        let queue = self.queue(pool)?;
        let overrides = self.0.store.overrides(pool).await.map_err(store_error)?;
        let limits = &queue.configured.limits;
        Ok((0..limits.len()).map(|at| in_force(limits, at, &overrides)).collect())
    }

    /// Sets the capacity of a limit, or (`None`) takes away what was set.
    pub async fn alter_limit(
        &self,
        pool: &PoolId,
        limit: &str,
        capacity: Option<u64>,
        reason: Option<String>,
        by: &Principal,
    ) -> Result<LimitInForce, CoordinatorError> {
        let (queue, configured) = (self.queue(pool)?, self.configured_limit(pool, limit)?);
        let internal = |error: serde_json::Error| CoordinatorError::Internal(error.to_string());
        let note = AlterationNote { by: by.to_string(), limit: limit.to_owned(), unit: configured.unit.to_string() };
        let note = serde_json::to_string(&note).map_err(internal)?;
        let at_us = queue.clock.about_us();
        let set = capacity.map(|capacity| LimitOverride { capacity, by: by.to_string(), at_us, reason });
        let json = set.as_ref().map(serde_json::to_string).transpose().map_err(internal)?;
        self.0.store.configure(pool, limit, json.as_deref(), &note).await.map_err(store_error)?;
        // Done already; should this fail, the next call finds out that its version is old.
        let _ = queue::reload(queue, self.0.store.as_ref()).await;
        tracing::warn!(%pool, limit, %by, capacity, "the capacity of a limit was changed");
        Ok(LimitInForce { capacity: capacity.unwrap_or(configured.capacity), configured, set })
    }

    /// What was changed in a pool, newest first: before a place, at most `max`.
    pub async fn alterations(
        &self,
        pool: &PoolId,
        before: Option<(u64, u64)>,
        max: usize,
    ) -> Result<Vec<Alteration>, CoordinatorError> {
        self.queue(pool)?;
        let entries = self.0.store.audit(pool, before, max).await.map_err(store_error)?;
        entries.iter().map(alteration).collect()
    }
}
