//! The packed form of a reservation's record. Twin: `lua/lib/record.lua`.

use bytes::Bytes;

use super::{
    reader::{Malformed, Reader},
    rule_bits,
    writer::Writer,
};
use crate::{
    domain::{GroupId, Number},
    store::{
        call::{HoldRule, Shape},
        reply::{Hold, Record, RecordState},
    },
};

const LATE: u8 = 1;
const ESTIMATED: u8 = 2;
const SKIPPED: u8 = 8;
const GIVEN_BACK: u8 = 16;

/// What a reserve puts behind the header that the script writes: fingerprint, nonce, groups, holds, blob.
pub fn record_body(shape: &Shape, costs: &[u64], fingerprint: u64, nonce: u32, blob: &[u8]) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(16 + shape.groups.len() * GroupId::LEN + costs.len() * 30 + blob.len()));
    w.u64(fingerprint).u32(nonce).u8(super::index8(shape.groups.len()));
    for group in &shape.groups {
        w.0.extend_from_slice(group.id.as_str().as_bytes());
    }
    w.u8(super::index8(costs.len()));
    for (item, cost) in shape.items.iter().zip(costs) {
        let number = shape.groups[usize::from(item.group)].slots[usize::from(item.slot)].number;
        w.u48(number.get()).u8(rule_bits(item.rule)).u8(item.group).u48(item.unit.get()).f64(0).f64(*cost);
    }
    w.0.extend_from_slice(blob);
    w.0
}

/// Unpacks a record.
pub fn decode_record(raw: &Bytes) -> Result<Record, Malformed> {
    let mut r = Reader::new(raw);
    let state = match r.u8()? {
        1 => RecordState::Open,
        2 => RecordState::Committed,
        3 => RecordState::Released,
        4 => RecordState::Expired,
        5 => RecordState::Void,
        6 => RecordState::Recorded,
        _ => return Err(Malformed),
    };
    let flags = r.u8()?;
    let (since_us, deadline_us, bucket_us, settled_at_us) = (r.f64()?, r.f64()?, r.f64()?, r.f64()?);
    let (settlement, attempt, fingerprint, nonce) = (r.u64()?, r.u64()?, r.u64()?, r.u32()?);
    let count = r.u8()?;
    let groups = (0..count)
        .map(|_| r.array::<{ GroupId::LEN }>().and_then(|name| GroupId::from_bytes(&name).ok_or(Malformed)))
        .collect::<Result<Vec<_>, _>>()?;
    let count = r.u8()?;
    let holds = (0..count).map(|_| hold(&mut r)).collect::<Result<Vec<_>, _>>()?;
    Ok(Record {
        state,
        late: flags & LATE != 0,
        estimated: flags & ESTIMATED != 0,
        since_us,
        deadline_us,
        bucket_us,
        settled_at_us,
        settlement,
        attempt,
        fingerprint,
        nonce,
        groups,
        holds,
        blob: r.rest(),
    })
}

fn hold(r: &mut Reader<'_>) -> Result<Hold, Malformed> {
    let number = Number::from_u64(r.u48()?);
    let flags = r.u8()?;
    let rule = HoldRule { settle_admitted: flags & 1 != 0, refund_on_lease_end: flags & 2 != 0, concurrency: flags & 4 != 0 };
    Ok(Hold {
        number,
        rule,
        skipped: flags & SKIPPED != 0,
        given_back: flags & GIVEN_BACK != 0,
        group: r.u8()?,
        unit: Number::from_u64(r.u48()?),
        since_us: r.f64()?,
        amount: r.f64()?,
    })
}
