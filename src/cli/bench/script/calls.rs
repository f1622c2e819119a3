//! Calls as a node would make them, packed for the wire.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    domain::{GroupId, Number, PoolId, Scope, Unit},
    store::{
        call::{Call, GroupSpec, HoldRule, Item, Op, RecordId, Settlement, Shape, SlotKind, SlotSpec},
        codec,
        keys::PoolKeys,
        redis::command,
        scripts::Composed,
    },
};

/// Plenty: nothing is ever refused.
pub const PLENTY: u64 = 1 << 50;

/// Limits of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many.
    pub count: u16,
    /// Each one's.
    pub capacity: u64,
    /// Each one's, ms.
    pub window_ms: u32,
}

impl Limits {
    /// So many, never full.
    pub fn plenty(count: u16) -> Self {
        Self { count, capacity: PLENTY, window_ms: 60_000 }
    }

    /// The group of one partition. Values of `key` tell partitions apart; none = the pool's own.
    pub fn group(self, key: &str, value: &str) -> Arc<GroupSpec> {
        let keys: &[Box<str>] = &[key.into()];
        let scope = Scope::new([(key, value)]).unwrap_or_default();
        let partition = if key.is_empty() { Scope::default().select(&[]) } else { scope.select(keys) };
        let slot = |at| SlotSpec {
            number: Number::of(&format!("{key}{at}")),
            kind: SlotKind::Rate(self.window_ms),
            shadow: false,
            silent: false,
            warning_at: 900,
            capacity: self.capacity,
        };
        Arc::new(GroupSpec {
            id: partition.group_id(),
            text: partition.to_text(),
            pool_wide: partition.is_pool_wide(),
            keep_us: u64::from(self.window_ms) * 1000,
            slots: (0..self.count).map(slot).collect(),
        })
    }
}

/// Every counter of these groups.
pub fn shape(groups: &[Arc<GroupSpec>]) -> Arc<Shape> {
    let unit = Unit::requests().number();
    let item = |group: usize, slot: usize| Item {
        group: u8::try_from(group).unwrap_or_default(),
        slot: u16::try_from(slot).unwrap_or_default(),
        ceiling: groups[group].slots[slot].capacity,
        unit,
        rule: HoldRule::default(),
    };
    let items = (0..groups.len()).flat_map(|group| (0..groups[group].slots.len()).map(move |slot| item(group, slot))).collect();
    Arc::new(Shape { groups: groups.to_vec(), items })
}

/// What a node keeps with a reservation.
fn blob() -> Bytes {
    Bytes::from_static(br#"{"s":{"model":"gpt-4o","workspace":"w1"},"p":"bench"}"#)
}

/// A record that nobody has used.
pub fn new_record() -> RecordId {
    GroupId::from_raw(rand::random())
}

/// A reserve of one unit from each counter.
pub fn reserve(shape: &Arc<Shape>, record: RecordId) -> Op {
    let costs = vec![1; shape.items.len()];
    // Longer than any measurement, so that no lease ends in the middle of one.
    let lease_us = 3_600_000_000;
    Op::Reserve { shape: shape.clone(), costs, record, nonce: 7, fingerprint: 7, lease_us, blob: blob() }
}

/// The commit of such a reserve at its cost.
pub fn commit(shape: &Shape, record: RecordId) -> Op {
    let groups = shape.groups.iter().map(|group| group.id).collect();
    let how = Settlement::Commit { costs: vec![(Unit::requests().number(), 1)], estimated: false };
    Op::Settle { record, nonce: Some(7), groups, how, fingerprint: 9 }
}

/// The pool that is measured in.
pub struct Pool {
    keys: PoolKeys,
}

impl Default for Pool {
    fn default() -> Self {
        let name = PoolId::new("bench").unwrap_or_else(|_| unreachable!("a plain name"));
        Self { keys: PoolKeys::new(&name) }
    }
}

impl Pool {
    /// Operations as one call.
    pub fn call(ops: Vec<Op>) -> Call {
        Call { config_version: 0, retention_us: 600_000_000, calendars: Arc::default(), about_us: 0, seed: rand::random(), ops }
    }

    /// A call as one packed command; what [`codec::decode`] needs to read its reply.
    pub fn pack(&self, to: &mut Vec<u8>, script: &Composed, ops: Vec<Op>) -> codec::Encoded {
        let encoded = codec::encode(&Self::call(ops));
        command(script, &self.keys, &encoded).write_packed_command(to);
        encoded
    }

    /// The key of a group.
    pub fn group_key(&self, group: &GroupSpec) -> String {
        self.keys.group(group.id)
    }
}
