//! The packed form of calls and replies. Twin: `lua/lib/layout.lua` and `lua/lib/call.lua`.
//!
//! Nothing else in the crate knows an offset or a byte order.

mod reader;
mod record;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use reader::{Malformed, Reader};
pub use record::{decode_record, record_body};
use writer::Writer;

use super::{
    call::{Call, GroupSpec, HoldRule, Item, Op, RecordId, Settlement, Shape, SlotKind},
    reply::{Answer, CounterFigure, EventId, Header, Outcome, Position, Reply, Wait},
};
use crate::domain::{CounterStatus, GroupId, Number, PoolStatus, period::Calendar};

const ANY_NONCE: u8 = 2;
const VOID_WHEN_UNKNOWN: u8 = 4;

/// A call ready to be sent: names of its keys, and its arguments.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Groups, in key order.
    pub groups: Vec<GroupId>,
    /// Records, in key order, after the groups.
    pub records: Vec<RecordId>,
    /// Header, groups, templates, periods, operations.
    pub args: [Vec<u8>; 5],
    /// Texts of the groups.
    pub texts: Vec<u8>,
    counters: Vec<(GroupId, usize)>,
    waits: Vec<usize>,
}

struct Encoder<'a> {
    call: &'a Call,
    out: Encoded,
    specs: Vec<Option<Arc<GroupSpec>>>,
    /// Index of the first counter of each group among all counters of the call.
    bases: Vec<u16>,
    calendars: Vec<Arc<Calendar>>,
    shapes: Vec<Arc<Shape>>,
}

/// Packs a call.
pub fn encode(call: &Call) -> Encoded {
    let mut encoder = Encoder {
        call,
        out: Encoded::default(),
        specs: Vec::new(),
        bases: Vec::new(),
        calendars: Vec::new(),
        shapes: Vec::new(),
    };
    encoder.collect();
    encoder.groups();
    encoder.templates();
    for op in &call.ops {
        encoder.operation(op);
    }
    encoder.periods();
    encoder.header();
    encoder.out
}

impl Encoder<'_> {
    fn group_index(&self, id: GroupId) -> usize {
        self.out.groups.iter().position(|known| *known == id).unwrap_or(0)
    }

    fn record_index(&mut self, id: RecordId) -> u16 {
        let at = self.out.records.iter().position(|r| *r == id).unwrap_or_else(|| {
            self.out.records.push(id);
            self.out.records.len() - 1
        });
        index16(at + 1)
    }

    fn collect(&mut self) {
        let call = self.call;
        for (id, spec) in call.groups() {
            self.out.groups.push(id);
            self.specs.push(spec);
        }
        for op in &call.ops {
            let shape = match op {
                Op::Reserve { shape, .. }
                | Op::Check { shape, .. }
                | Op::Record { shape, .. }
                | Op::Extend { add: Some((shape, _)), .. } => shape,
                _ => continue,
            };
            if !self.shapes.iter().any(|known| Arc::ptr_eq(known, shape)) {
                self.shapes.push(shape.clone());
            }
        }
    }

    fn groups(&mut self) {
        let mut heads = Writer::default();
        let mut counters = Writer::default();
        let mut texts = Writer::default();
        let mut base = 0;
        for at in 0..self.out.groups.len() {
            let spec = self.specs[at].clone();
            self.bases.push(index16(base));
            self.out.counters.push((self.out.groups[at], base));
            let (pool_wide, slots, keep, text) = match &spec {
                Some(spec) => (spec.pool_wide, spec.slots.as_slice(), spec.keep_us, spec.text.as_str()),
                None => (self.out.groups[at] == GroupId::pool_wide(), [].as_slice(), 0, ""),
            };
            heads.u8(u8::from(pool_wide)).u8(index8(slots.len())).f64(keep);
            texts.bytes16(text.as_bytes());
            for slot in slots {
                let (kind, window_ms, period) = match &slot.kind {
                    SlotKind::Rate(window_ms) => (0, *window_ms, 0),
                    SlotKind::Budget(calendar) => (1, 0, self.calendar_index(calendar)),
                    SlotKind::Concurrency => (2, 0, 0),
                };
                let flags = kind | u8::from(slot.shadow) << 2 | u8::from(slot.silent) << 3;
                counters.u48(slot.number.get()).u8(flags).u16(slot.warning_at).u32(window_ms).f64(slot.capacity).u8(period);
            }
            base += slots.len();
        }
        heads.0.extend_from_slice(&counters.0);
        self.out.args[1] = heads.0;
        self.out.texts = texts.0;
    }

    /// Index (from 1) of a calendar among those of the call.
    fn calendar_index(&mut self, calendar: &Arc<Calendar>) -> u8 {
        let at = self.calendars.iter().position(|c| Arc::ptr_eq(c, calendar) || c == calendar).unwrap_or_else(|| {
            self.calendars.push(calendar.clone());
            self.calendars.len() - 1
        });
        index8(at + 1)
    }

    fn templates(&mut self) {
        let mut counts = Writer::default();
        let mut items = Writer::default();
        for shape in self.shapes.clone() {
            counts.u8(index8(shape.items.len()));
            for item in &shape.items {
                let group = self.group_index(shape.groups[usize::from(item.group)].id);
                items.u16(self.bases[group] + item.slot + 1).f64(item.ceiling);
            }
        }
        counts.0.extend_from_slice(&items.0);
        self.out.args[2] = counts.0;
    }

    fn template(&self, shape: &Arc<Shape>) -> u16 {
        index16(self.shapes.iter().position(|s| Arc::ptr_eq(s, shape)).map_or(0, |at| at + 1))
    }

    fn operation(&mut self, op: &Op) {
        let mut w = Writer(std::mem::take(&mut self.out.args[4]));
        let mut waits = 0;
        match op {
            Op::Reserve { shape, costs, record, nonce, fingerprint, lease_us, blob } => {
                waits = costs.len();
                w.u8(1).u16(self.template(shape)).u16(self.record_index(*record)).f64(*lease_us);
                w.bytes16(&record_body(shape, costs, *fingerprint, *nonce, blob)).f64s(costs);
            }
            Op::Check { shape, costs } => {
                waits = costs.len();
                w.u8(2).u16(self.template(shape)).f64s(costs);
            }
            Op::Record { shape, costs, record, fingerprint } => {
                w.u8(3).u16(self.template(shape)).u16(self.record_index(*record)).u64(*fingerprint).f64s(costs);
            }
            Op::Settle { record, nonce, groups, how, fingerprint } => {
                let (code, flags, costs) = match how {
                    Settlement::Commit { costs, estimated } => (0, u8::from(*estimated), costs.as_slice()),
                    Settlement::Release { void_when_unknown } => {
                        (1, if *void_when_unknown { VOID_WHEN_UNKNOWN } else { 0 }, [].as_slice())
                    }
                    Settlement::Expire => (2, 0, [].as_slice()),
                };
                let flags = flags | if nonce.is_none() { ANY_NONCE } else { 0 };
                w.u8(4).u16(0).u16(self.record_index(*record)).u8(code).u8(flags).u32(nonce.unwrap_or(0)).u64(*fingerprint);
                w.u8(index8(groups.len()));
                for id in groups {
                    w.u16(index16(self.group_index(*id) + 1));
                }
                w.u8(index8(costs.len()));
                for (unit, amount) in costs {
                    w.u48(unit.get()).f64(*amount);
                }
            }
            Op::Extend { record, nonce, groups, lease_us, attempt, add } => {
                let mut named = groups.clone();
                let (template, costs, holds) = match add {
                    None => (0, [].as_slice(), Vec::new()),
                    Some((shape, costs)) => {
                        waits = costs.len();
                        (self.template(shape), costs.as_slice(), new_holds(shape, &mut named))
                    }
                };
                w.u8(5).u16(template).u16(self.record_index(*record)).f64(*lease_us).u32(*nonce).u64(*attempt);
                w.u8(index8(named.len())).u8(index8(holds.len())).f64s(costs);
                for id in named {
                    w.u16(index16(self.group_index(id) + 1));
                }
                for (number, flags, group, unit) in holds {
                    w.u48(number.get()).u8(flags).u8(group).u48(unit.get());
                }
            }
            Op::Touch { group } => {
                w.u8(6).u16(0).u16(index16(self.group_index(group.id()) + 1));
            }
            Op::Reset { group, numbers } => {
                w.u8(7).u16(0).u16(index16(self.group_index(group.id()) + 1)).u8(index8(numbers.len()));
                for number in numbers {
                    w.u48(number.get());
                }
            }
            // A read is the description of its group; there is nothing to do.
            Op::Read { .. } => {}
        }
        if !matches!(op, Op::Read { .. }) {
            self.out.waits.push(waits);
        }
        self.out.args[4] = w.0;
    }

    fn periods(&mut self) {
        let calendars = self.call.calendars.clone();
        let settles = self.call.ops.iter().any(|op| !matches!(op, Op::Reserve { .. } | Op::Check { .. } | Op::Read { .. }));
        let numbers: Vec<(Number, u8)> = match settles {
            true => calendars.iter().map(|(number, calendar)| (*number, self.calendar_index(calendar))).collect(),
            false => Vec::new(),
        };
        let mut w = Writer::default();
        for calendar in &self.calendars {
            w.f64s(&calendar.around(self.call.about_us).0);
        }
        for (number, index) in &numbers {
            w.u48(number.get()).u8(*index);
        }
        self.out.args[3] = w.0;
        let mut header = Writer::default();
        header.u16(index16(self.calendars.len())).u16(index16(numbers.len()));
        self.out.args[0] = header.0;
    }

    fn header(&mut self) {
        let counts = std::mem::take(&mut self.out.args[0]);
        let mut w = Writer::default();
        w.f64(self.call.config_version).f64(self.call.retention_us).f64((self.call.seed & 0xffff_ffff_ffff).max(1));
        w.u16(index16(self.out.groups.len())).u16(index16(self.shapes.len()));
        w.0.extend_from_slice(&counts);
        w.0.extend_from_slice(format!("{:016x}", self.call.seed).as_bytes());
        self.out.args[0] = w.0;
    }
}

/// The holds that an extension adds; groups that only they need are appended to `named`.
fn new_holds(shape: &Shape, named: &mut Vec<GroupId>) -> Vec<(Number, u8, u8, Number)> {
    let hold = |item: &Item| {
        let spec = &shape.groups[usize::from(item.group)];
        let group = named.iter().position(|id| *id == spec.id).unwrap_or_else(|| {
            named.push(spec.id);
            named.len() - 1
        });
        (spec.slots[usize::from(item.slot)].number, rule_bits(item.rule), index8(group), item.unit)
    };
    shape.items.iter().map(hold).collect()
}

/// The flags of a hold.
fn rule_bits(rule: HoldRule) -> u8 {
    u8::from(rule.settle_admitted) | u8::from(rule.refund_on_lease_end) << 1 | u8::from(rule.concurrency) << 2
}

/// Counts are bounded far below these by configuration and [`Call::MAX_OPS`].
fn index16(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn index8(value: usize) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// The config version in a pool's meta record.
pub fn decode_version(meta: &Bytes) -> Result<u64, Malformed> {
    let mut r = Reader::new(meta);
    r.f64()?;
    r.f64()?;
    r.f64()
}

/// Unpacks a pool's meta record.
pub fn decode_meta(meta: &Bytes) -> Result<Header, Malformed> {
    read_header(&mut Reader::new(meta))
}

fn read_header(r: &mut Reader<'_>) -> Result<Header, Malformed> {
    let (clock_us, operations, config_version) = (r.f64()?, r.f64()?, r.f64()?);
    let (epoch, seq, pool_status) = (r.f64()?, r.f64()?, PoolStatus::from_byte(r.u8()?));
    let position = Position { epoch, seq, event: EventId(r.array()?) };
    Ok(Header { clock_us, operations, config_version, position, pool_status })
}

/// Unpacks the reply to a call.
pub fn decode(encoded: &Encoded, reply: &Bytes) -> Result<Outcome, Malformed> {
    let mut r = Reader::new(reply);
    let outcome = r.u8()?;
    let header = read_header(&mut r)?;
    match outcome {
        0 => {}
        1 => return Ok(Outcome::StaleConfig(header)),
        2 => return Ok(Outcome::RetryPeriod(header)),
        _ => return Err(Malformed),
    }
    let count = r.u16()?;
    let mut counters = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        counters.push(CounterFigure {
            total: r.f64()?,
            held: r.f64()?,
            whole_at_us: r.f64()?,
            charged: r.f64()?,
            status: CounterStatus::from_byte(r.u8()?),
        });
    }
    let mut answers = Vec::with_capacity(encoded.waits.len());
    for waits in &encoded.waits {
        answers.push(answer(&mut r, *waits)?);
    }
    if r.remaining() > 0 {
        return Err(Malformed);
    }
    Ok(Outcome::Done(Reply { header, counters, bases: encoded.counters.clone(), answers }))
}

fn answer(r: &mut Reader<'_>, waits: usize) -> Result<Answer, Malformed> {
    Ok(match r.u8()? {
        0 => Answer::Granted { figure: r.f64()?, shadow: Vec::new() },
        1 => Answer::Denied(read_waits(r, waits)?),
        2 => Answer::Granted { figure: r.f64()?, shadow: read_waits(r, waits)? },
        3 => Answer::Replay(r.record()?),
        4 => Answer::Mismatch,
        5 => Answer::Voided,
        6 => Answer::Settled(r.record()?),
        8 => Answer::Unknown,
        9 => Answer::NeedGroups(r.record()?),
        10 => Answer::Conflict(r.record()?),
        11 => Answer::Noop,
        12 => Answer::LeaseEnded,
        13 => Answer::TooLong,
        _ => return Err(Malformed),
    })
}

fn read_waits(r: &mut Reader<'_>, count: usize) -> Result<Vec<Wait>, Malformed> {
    (0..count)
        .map(|_| {
            Ok(match r.raw_f64()? {
                0.0 => Wait::No,
                never if never < 0.0 => Wait::Never,
                wait => Wait::For(reader::whole(wait)?),
            })
        })
        .collect()
}
