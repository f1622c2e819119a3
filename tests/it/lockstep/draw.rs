//! Limits and steps as the generator draws them, and what two nodes' configurations make of the limits.

use std::sync::Arc;

use proptest::prelude::*;
use quota_coordinator::{
    domain::{
        Number, Partition, Scope,
        period::{Calendar, PeriodLength},
    },
    store::call::{GroupSpec, HoldRule, Item, Shape, SlotKind, SlotSpec},
};

/// A limit as the generator draws it.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub kind: u8,
    pub window_ms: u32,
    pub capacity: u64,
    pub other_capacity: u64,
    pub per_workspace: bool,
    /// For each of the two configurations.
    pub shadow: [bool; 2],
    pub silent: bool,
    pub refund: bool,
    pub admitted: bool,
    pub share: u64,
    pub only_first: bool,
}

impl Drawn {
    /// µs, for rates.
    pub fn window_us(&self) -> Option<u64> {
        (self.kind <= 2).then_some(u64::from(self.window_ms) * 1000)
    }
}

/// Small ones, where each unit counts, and large ones, where shares and percentages of them are whole.
fn capacity() -> impl Strategy<Value = u64> {
    prop_oneof![2 => 1..200u64, 1 => 200..5000u64, 1 => (1..25u64).prop_map(|n| n * 200)]
}

pub fn drawn() -> impl Strategy<Value = Drawn> {
    (
        0..6u8,
        prop::sample::select(vec![1_000u32, 1_500, 10_000, 60_000, 3_600_000]),
        capacity(),
        capacity(),
        any::<[bool; 6]>(),
        0..4u8,
    )
        .prop_map(|(kind, window_ms, capacity, other_capacity, flags, share)| Drawn {
            kind,
            window_ms,
            capacity,
            other_capacity,
            per_workspace: flags[0],
            shadow: [flags[1] && flags[2], flags[1] && flags[5]],
            silent: flags[3] && flags[2],
            refund: flags[4],
            admitted: flags[5],
            share: if share == 0 { 500 } else { 1000 },
            only_first: flags[3] && flags[4],
        })
}

/// One step of a run; numbers pick among what exists.
#[derive(Clone, Debug)]
pub enum Step {
    Reserve {
        scope: u8,
        config: bool,
        costs: [u16; 3],
        lease_ms: u32,
        again: bool,
    },
    Commit {
        which: u16,
        costs: [u16; 3],
        partial: bool,
        forget_groups: bool,
    },
    Release {
        which: u16,
        by_key: bool,
    },
    Expire {
        which: u16,
    },
    Extend {
        which: u16,
        scope: u8,
        config: bool,
        costs: Option<[u16; 3]>,
        lease_ms: u32,
    },
    Record {
        scope: u8,
        config: bool,
        costs: [u16; 3],
    },
    Check {
        scope: u8,
        config: bool,
        costs: [u16; 3],
    },
    Touch {
        scope: u8,
    },
    Reset {
        scope: u8,
        config: bool,
        one: Option<u8>,
    },
    Sweep,
    Pass {
        us: u64,
    },
    /// To just before, at or just after the next border between so many parts of a limit's window.
    Border {
        limit: u8,
        parts: u8,
        aside: i8,
    },
    Back {
        us: u64,
    },
}

pub fn costs() -> impl Strategy<Value = [u16; 3]> {
    prop_oneof![3 => [0..3u16, 0..60u16, 0..9u16], 1 => [0..300u16, 0..300u16, 0..300u16], 1 => [0..2000u16, 0..2000u16, 0..160u16]]
}

pub fn lease() -> impl Strategy<Value = u32> {
    prop_oneof![1_000..5_000u32, 5_000..120_000u32, Just(3_600_000u32)]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..3u8, any::<bool>(), costs(), lease(), prop::bool::weighted(0.1))
            .prop_map(|(scope, config, costs, lease_ms, again)| Step::Reserve { scope, config, costs, lease_ms, again }),
        6 => (any::<u16>(), costs(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(which, costs, partial, forget_groups)| Step::Commit { which, costs, partial, forget_groups }),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(which, by_key)| Step::Release { which, by_key }),
        1 => any::<u16>().prop_map(|which| Step::Expire { which }),
        2 => (any::<u16>(), 0..3u8, any::<bool>(), prop::option::of(costs()), lease())
            .prop_map(|(which, scope, config, costs, lease_ms)| Step::Extend { which, scope, config, costs, lease_ms }),
        2 => (0..3u8, any::<bool>(), costs()).prop_map(|(scope, config, costs)| Step::Record { scope, config, costs }),
        1 => (0..3u8, any::<bool>(), costs()).prop_map(|(scope, config, costs)| Step::Check { scope, config, costs }),
        1 => (0..3u8).prop_map(|scope| Step::Touch { scope }),
        1 => (0..3u8, any::<bool>(), prop::option::of(0..4u8)).prop_map(|(scope, config, one)| Step::Reset { scope, config, one }),
        2 => Just(Step::Sweep),
        8 => prop_oneof![1..2_000u64, 1..400_000u64, 1..20_000_000u64, 1..200_000_000u64, 1..90_000_000_000u64].prop_map(|us| Step::Pass { us }),
        2 => (0..6u8, prop::sample::select(vec![128u8, 4, 1]), -1..=1i8)
            .prop_map(|(limit, parts, aside)| Step::Border { limit, parts, aside }),
        1 => (1..3_000_000u64).prop_map(|us| Step::Back { us }),
    ]
}

/// What one node's configuration makes of the drawn limits.
pub struct Node {
    pub shapes: Vec<Arc<Shape>>,
    pub groups: Vec<Arc<GroupSpec>>,
}

pub fn partition(scope: u8) -> Partition {
    let name = if scope == 1 { "a_b" } else { "a" };
    Scope::new([("workspace", name)]).unwrap().select(&["workspace".into()])
}

/// The calendar of every budget.
pub fn calendar() -> Arc<Calendar> {
    Arc::new(Calendar::new(PeriodLength::Hour, "Asia/Kolkata").unwrap())
}

pub fn node(limits: &[Drawn], other: bool) -> Node {
    let calendar = calendar();
    let mut all: Vec<(bool, SlotSpec, Item)> = limits
        .iter()
        .enumerate()
        .filter(|(_, limit)| !(other && limit.only_first))
        .map(|(at, limit)| {
            let capacity = if other { limit.other_capacity } else { limit.capacity };
            let kind = match limit.kind {
                0..=2 => SlotKind::Rate(limit.window_ms),
                3 => SlotKind::Budget(calendar.clone()),
                _ => SlotKind::Concurrency,
            };
            let concurrency = kind == SlotKind::Concurrency;
            let slot = SlotSpec {
                number: Number::of(&format!("limit {at}")),
                kind,
                shadow: limit.shadow[usize::from(other)],
                silent: limit.silent,
                warning_at: 800,
                capacity,
            };
            let rule =
                HoldRule { settle_admitted: limit.admitted, refund_on_lease_end: limit.refund || concurrency, concurrency };
            let unit = Number::of(&format!("unit {}", at % 3));
            let item = Item { group: 0, slot: 0, ceiling: capacity * limit.share / 1000, unit, rule };
            (limit.per_workspace, slot, item)
        })
        .collect();
    if other {
        all.reverse();
    }
    let spec = |partition: Partition, per_workspace: bool| {
        Arc::new(GroupSpec {
            id: partition.group_id(),
            text: partition.to_text(),
            pool_wide: partition.is_pool_wide(),
            keep_us: 3_600_000_000,
            slots: all.iter().filter(|(own, ..)| *own == per_workspace).map(|(_, slot, _)| slot.clone()).collect(),
        })
    };
    let pool_wide = spec(Partition::default(), false);
    let groups: Vec<Arc<GroupSpec>> =
        (0..3).map(|scope| if scope == 2 { pool_wide.clone() } else { spec(partition(scope), true) }).collect();
    let shapes = (0..3)
        .map(|scope| {
            let own = if scope == 2 { vec![pool_wide.clone()] } else { vec![pool_wide.clone(), groups[scope].clone()] };
            let mut next = [0u16; 2];
            let mut items = Vec::new();
            for (per_workspace, _, item) in &all {
                let group = usize::from(*per_workspace);
                let slot = next[group];
                next[group] += 1;
                if group < own.len() {
                    items.push(Item { group: u8::try_from(group).unwrap(), slot, ..item.clone() });
                }
            }
            Arc::new(Shape { groups: own, items })
        })
        .collect();
    Node { shapes, groups }
}

/// The same shape without its concurrency items (a use that was not reserved opens nothing).
pub fn for_record(shape: &Shape) -> Arc<Shape> {
    Arc::new(Shape {
        groups: shape.groups.clone(),
        items: shape.items.iter().filter(|item| !item.rule.concurrency).cloned().collect(),
    })
}

pub fn amounts(shape: &Shape, costs: [u16; 3]) -> Vec<u64> {
    let unit = |k: usize| Number::of(&format!("unit {k}"));
    shape.items.iter().map(|item| u64::from(costs[(0..3).find(|k| unit(*k) == item.unit).unwrap()])).collect()
}
