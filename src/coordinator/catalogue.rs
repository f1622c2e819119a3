//! A pool's configuration as the store needs it: limits sorted into counter groups, numbers instead
//! of names, and for each scope the shape of what it asks.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use quick_cache::sync::Cache;

use super::{limits, types::Figure};
use crate::{
    domain::{
        Cost, Kind, Limit, Mode, Number, OnLeaseEnd, Partition, PlanError, Pool, PoolStatus, Priority, Scope, Settle, Unit,
        period::{Calendar, PeriodLength},
        plan::Priced,
    },
    store::{
        Overrides,
        call::{GroupSpec, HoldRule, Item, Shape, SlotKind, SlotSpec},
        reply::{CounterFigure, Header},
    },
};

/// Scopes whose plan is remembered, per pool.
const PLANS: usize = 10_000;

/// Limits that share their `per` keys, and so their groups.
#[derive(Debug)]
pub struct Partitioning {
    /// The keys, sorted.
    pub per: Vec<Box<str>>,
    /// Indexes into the pool's limits, in slot order.
    pub limits: Vec<usize>,
}

/// One limit in a scope's way.
#[derive(Debug)]
struct PlanItem {
    limit: usize,
    group: u8,
    slot: u16,
    capacity: u64,
}

/// Priority, and a bit for each item that is left out.
type ShapeKey = (Priority, u64);

/// Everything that applies to a scope.
#[derive(Debug)]
pub struct Plan {
    groups: Vec<Arc<GroupSpec>>,
    partitions: Vec<Arc<Partition>>,
    items: Vec<PlanItem>,
    shapes: RwLock<Vec<(ShapeKey, Arc<Shape>)>>,
}

/// A request made ready for the store.
#[derive(Debug)]
pub struct Prepared {
    /// The scope's plan.
    pub plan: Arc<Plan>,
    /// What to ask.
    pub shape: Arc<Shape>,
    /// How much, by item of the shape.
    pub costs: Vec<u64>,
    /// Limit of each item, as index into the pool's limits.
    pub limits: Vec<usize>,
    /// Echoed to the caller, by unit.
    pub charged: Vec<(Unit, u64)>,
}

/// One version of a pool's configuration.
#[derive(Debug)]
pub struct Catalogue {
    /// The pool, overrides applied.
    pub pool: Arc<Pool>,
    /// Version of the overrides.
    pub version: u64,
    /// Limits by `per` keys; the pool-wide ones first.
    pub partitionings: Vec<Partitioning>,
    /// Calendars of the budgets.
    pub calendars: Arc<Vec<(Number, Arc<Calendar>)>>,
    numbers: Vec<Number>,
    units: HashMap<Number, Unit>,
    plans: Cache<Scope, Arc<Plan>>,
}

fn slot_kind(kind: &Kind) -> SlotKind {
    match kind {
        Kind::Rate { window_ms } => SlotKind::Rate(*window_ms),
        Kind::Budget { calendar } => SlotKind::Budget(calendar.clone()),
        Kind::Concurrency => SlotKind::Concurrency,
    }
}

/// How long a counter needs its group after its last use, µs.
fn keep_us(kind: &Kind) -> u64 {
    const HOUR: u64 = 3_600_000_000;
    match kind {
        Kind::Rate { window_ms } => u64::from(*window_ms) * 1000,
        Kind::Budget { calendar } => match calendar.length() {
            PeriodLength::Hour => 2 * HOUR,
            PeriodLength::Day => 26 * HOUR,
            PeriodLength::Week => 8 * 24 * HOUR,
            PeriodLength::Month => 32 * 24 * HOUR,
        },
        Kind::Concurrency => 0,
    }
}

fn hold_rule(limit: &Limit) -> HoldRule {
    HoldRule {
        settle_admitted: limit.settle == Settle::Admitted,
        refund_on_lease_end: limit.on_lease_end == OnLeaseEnd::Refund,
        concurrency: limit.kind == Kind::Concurrency,
    }
}

/// The pool with runtime overrides in place of configured capacities.
fn overridden(pool: &Arc<Pool>, overrides: &Overrides) -> Arc<Pool> {
    if overrides.entries.is_empty() {
        return pool.clone();
    }
    let mut pool = Pool::clone(pool);
    for at in 0..pool.limits.len() {
        if let Some(capacity) = limits::capacity_in_force(&pool.limits, at, overrides) {
            pool.limits[at] = Arc::new(Limit { capacity, ..Limit::clone(&pool.limits[at]) });
        }
    }
    Arc::new(pool)
}

impl Catalogue {
    /// Sorts a pool's limits.
    pub fn new(pool: &Arc<Pool>, overrides: &Overrides) -> Self {
        let pool = overridden(pool, overrides);
        let mut partitionings = vec![Partitioning { per: Vec::new(), limits: Vec::new() }];
        for (at, limit) in pool.limits.iter().enumerate() {
            match partitionings.iter_mut().find(|p| p.per == limit.per) {
                Some(known) => known.limits.push(at),
                None => partitionings.push(Partitioning { per: limit.per.clone(), limits: vec![at] }),
            }
        }
        let budgets = pool.limits.iter().filter_map(|limit| match &limit.kind {
            Kind::Budget { calendar } => Some((limit.number(), calendar.clone())),
            Kind::Rate { .. } | Kind::Concurrency => None,
        });
        let calendars = Arc::new(budgets.collect());
        let numbers = pool.limits.iter().map(|limit| limit.number()).collect();
        let names = pool.known_units();
        let units = names.iter().filter_map(|name| Unit::new(name).ok()).map(|unit| (unit.number(), unit)).collect();
        Self { pool, version: overrides.version, partitionings, calendars, numbers, units, plans: Cache::new(PLANS) }
    }

    /// Numbers of limits and units, with what they stand for.
    pub fn names(&self) -> Vec<(u64, String)> {
        let limits = self.pool.limits.iter().zip(&self.numbers).map(|(limit, number)| (number.get(), limit.identity()));
        let units = self.units.iter().map(|(number, unit)| (number.get(), format!("unit:{unit}")));
        limits.chain(units).collect()
    }

    /// The unit of a number, as far as this node's configuration knows it.
    pub fn unit(&self, number: Number) -> Option<&Unit> {
        self.units.get(&number)
    }

    /// The limit of a number, as far as this node's configuration knows it.
    pub fn limit(&self, number: Number) -> Option<&Arc<Limit>> {
        self.numbers.iter().position(|known| *known == number).map(|at| &self.pool.limits[at])
    }

    /// The group of one partition.
    pub fn group(&self, partitioning: &Partitioning, partition: &Partition) -> Arc<GroupSpec> {
        let slot = |at: &usize| {
            let limit = &self.pool.limits[*at];
            SlotSpec {
                number: self.numbers[*at],
                kind: slot_kind(&limit.kind),
                shadow: limit.mode == Mode::Shadow,
                silent: !limit.events,
                warning_at: limit.warning_at,
                capacity: limit.capacity_for(partition),
            }
        };
        let keep = partitioning.limits.iter().map(|at| keep_us(&self.pool.limits[*at].kind)).max().unwrap_or(0);
        Arc::new(GroupSpec {
            id: partition.group_id(),
            text: partition.to_text(),
            pool_wide: partition.is_pool_wide(),
            keep_us: keep,
            slots: partitioning.limits.iter().map(slot).collect(),
        })
    }

    /// Everything that applies to a scope; remembered.
    pub fn plan(&self, scope: &Scope) -> Arc<Plan> {
        if let Some(plan) = self.plans.get(scope) {
            return plan;
        }
        let plan = Arc::new(self.make_plan(scope));
        self.plans.insert(scope.clone(), plan.clone());
        plan
    }

    fn make_plan(&self, scope: &Scope) -> Plan {
        let mut plan = Plan { groups: Vec::new(), partitions: Vec::new(), items: Vec::new(), shapes: RwLock::default() };
        for partitioning in &self.partitionings {
            let mut group = None;
            for (slot, at) in partitioning.limits.iter().enumerate() {
                if !self.pool.limits[*at].applies_to(scope) {
                    continue;
                }
                let group = *group.get_or_insert_with(|| {
                    let partition = scope.select(&partitioning.per);
                    plan.groups.push(self.group(partitioning, &partition));
                    plan.partitions.push(Arc::new(partition));
                    plan.groups.len() - 1
                });
                let capacity = plan.groups[group].slots[slot].capacity;
                plan.items.push(PlanItem { limit: *at, group: narrow8(group), slot: narrow16(slot), capacity });
            }
        }
        plan
    }

    /// Makes a request ready: explicit costs, estimates and defaults become amounts by counter.
    /// `opens` is false for a use that is only recorded: it opens nothing, so concurrency is left out.
    pub fn prepare(
        &self,
        scope: &Scope,
        cost: &Cost,
        estimate: Option<&Priced<'_>>,
        priority: Priority,
        opens: bool,
    ) -> Result<Prepared, PlanError> {
        self.pool.check_units(cost)?;
        let plan = self.plan(scope);
        let (mut costs, mut limits) = (Vec::with_capacity(plan.items.len()), Vec::with_capacity(plan.items.len()));
        let (mut charged, mut left_out) = (Vec::<(Unit, u64)>::new(), 0u64);
        for (at, item) in plan.items.iter().enumerate() {
            let limit = &self.pool.limits[item.limit];
            match self.pool.cost_for(limit, cost, estimate)? {
                Some(amount) if opens || limit.kind != Kind::Concurrency => {
                    costs.push(amount);
                    limits.push(item.limit);
                    if !charged.iter().any(|(unit, _)| *unit == limit.unit) {
                        charged.push((limit.unit.clone(), amount));
                    }
                }
                _ => left_out |= 1 << at,
            }
        }
        for (unit, amount) in cost.iter() {
            if !charged.iter().any(|(known, _)| known == unit) {
                charged.push((unit.clone(), amount));
            }
        }
        Ok(Prepared { shape: self.shape(&plan, (priority, left_out)), plan, costs, limits, charged })
    }

    /// Like [`Self::prepare`], for units that are added to a reservation: only units that are named count.
    pub fn prepare_more(&self, scope: &Scope, cost: &Cost, priority: Priority) -> Result<Prepared, PlanError> {
        self.pool.check_units(cost)?;
        let plan = self.plan(scope);
        let (mut costs, mut limits, mut left_out) = (Vec::new(), Vec::new(), 0);
        for (at, item) in plan.items.iter().enumerate() {
            match cost.get(&self.pool.limits[item.limit].unit) {
                Some(amount) => {
                    costs.push(amount);
                    limits.push(item.limit);
                }
                None => left_out |= 1 << at,
            }
        }
        let charged = cost.iter().map(|(unit, amount)| (unit.clone(), amount)).collect();
        Ok(Prepared { shape: self.shape(&plan, (priority, left_out)), plan, costs, limits, charged })
    }

    fn shape(&self, plan: &Plan, key: ShapeKey) -> Arc<Shape> {
        let known = plan.shapes.read().ok().and_then(|list| list.iter().find(|(k, _)| *k == key).map(|(_, shape)| shape.clone()));
        if let Some(shape) = known {
            return shape;
        }
        let (priority, left_out) = key;
        let kept = plan.items.iter().enumerate().filter(|(at, _)| left_out & (1 << at) == 0);
        let item = |(_, item): (usize, &PlanItem)| {
            let limit = &self.pool.limits[item.limit];
            Item {
                group: item.group,
                slot: item.slot,
                ceiling: limit.priority_share.ceiling(priority, item.capacity),
                unit: limit.unit.number(),
                rule: hold_rule(limit),
            }
        };
        let shape = Arc::new(Shape { groups: plan.groups.clone(), items: kept.map(item).collect() });
        if let Ok(mut list) = plan.shapes.write()
            && list.len() < 16
        {
            list.push((key, shape.clone()));
        }
        shape
    }

    /// Figures of a prepared request's counters.
    pub fn figures(&self, prepared: &Prepared, counters: &[CounterFigure], clock_us: u64) -> Vec<Figure> {
        counters.iter().enumerate().map(|(item, counter)| self.item_figure(prepared, item, counter, clock_us)).collect()
    }

    /// One item of a prepared request, for people.
    pub fn item_figure(&self, prepared: &Prepared, item: usize, counter: &CounterFigure, clock_us: u64) -> Figure {
        let group = usize::from(prepared.shape.items[item].group);
        let slot = &prepared.shape.groups[group].slots[usize::from(prepared.shape.items[item].slot)];
        figure(&self.pool.limits[prepared.limits[item]], &prepared.plan.partitions[group], slot.capacity, counter, clock_us)
    }

    /// Does an item's limit enforce?
    pub fn mode(&self, prepared: &Prepared, item: usize) -> Mode {
        self.pool.limits[prepared.limits[item]].mode
    }

    /// Status of a scope: the worse of the pool's and its own counters'.
    pub fn scope_status(&self, header: &Header, figures: &[Figure]) -> PoolStatus {
        let own = figures.iter().filter(|figure| figure.limit.mode == Mode::Enforce).map(|figure| {
            let is_budget = matches!(figure.limit.kind, Kind::Budget { .. });
            PoolStatus::of_counter(figure.status, is_budget)
        });
        own.max().unwrap_or_default().max(header.pool_status)
    }
}

/// One counter for people.
pub fn figure(limit: &Arc<Limit>, partition: &Arc<Partition>, capacity: u64, counter: &CounterFigure, clock_us: u64) -> Figure {
    let whole_in = counter.whole_at_us.saturating_sub(clock_us);
    Figure {
        limit: limit.clone(),
        partition: partition.clone(),
        capacity,
        used: counter.total.saturating_sub(counter.held),
        held: counter.held,
        total: counter.charged,
        reset_after: (counter.total > 0).then(|| std::time::Duration::from_micros(whole_in)),
        status: counter.status,
        shown: true,
    }
}

/// Configuration admits at most 64 limits in a pool.
fn narrow8(value: usize) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn narrow16(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
