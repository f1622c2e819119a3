//! Limits and figures for the tests of this folder.

use std::{sync::Arc, time::Duration};

use crate::{
    coordinator::types::Figure,
    domain::{
        CounterStatus, Kind, Limit, LimitId, Mode, OnLeaseEnd, Scope, Settle, Unit,
        limit::PriorityShare,
        period::{Calendar, PeriodLength},
    },
};

fn limit(id: &str, unit: &str, capacity: u64, kind: Kind) -> Limit {
    Limit {
        id: LimitId::new(id).unwrap(),
        unit: Unit::new(unit).unwrap(),
        kind,
        capacity,
        per: vec![],
        when: vec![],
        overrides: vec![],
        warning_at: 900,
        mode: Mode::Enforce,
        on_lease_end: OnLeaseEnd::Charge,
        settle: Settle::Actual,
        on_store_failure: crate::domain::OnStoreFailure::Deny,
        priority_share: PriorityShare::default(),
        default_cost: None,
        optional: false,
        events: true,
        companion: false,
    }
}

/// A rate limit over that many seconds.
pub fn rate(id: &str, unit: &str, capacity: u64, seconds: u32) -> Limit {
    limit(id, unit, capacity, Kind::Rate { window_ms: seconds * 1000 })
}

/// A monthly budget.
pub fn budget(id: &str, unit: &str, capacity: u64) -> Limit {
    limit(id, unit, capacity, Kind::Budget { calendar: Arc::new(Calendar::new(PeriodLength::Month, "UTC").unwrap()) })
}

/// A concurrency limit.
pub fn concurrency(id: &str, unit: &str, capacity: u64) -> Limit {
    limit(id, unit, capacity, Kind::Concurrency)
}

/// A counter's figure: a pool-wide one, or the workspace's where the limit is per workspace.
pub fn figure(limit: Limit, used: u64, reset_after_ms: Option<u64>) -> Figure {
    let scope = Scope::new([("workspace", "w1")]).unwrap();
    Figure {
        partition: Arc::new(scope.select(&limit.per)),
        capacity: limit.capacity,
        used,
        held: 0,
        total: used,
        reset_after: reset_after_ms.map(Duration::from_millis),
        status: CounterStatus::Normal,
        limit: Arc::new(limit),
        shown: true,
    }
}
