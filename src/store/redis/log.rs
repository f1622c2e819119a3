//! The event log, and probes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Lane, evalsha, name_of, run_script};
use crate::{
    domain::{CounterStatus, GroupId, Number, PoolStatus, Position, QuotaEvent},
    store::{
        StoreError, codec,
        keys::PoolKeys,
        log::{LogPage, LogQuery, Loss, MOST_STANDING, Standing},
        scripts::Composed,
    },
};

type Raw = (Option<Vec<u8>>, u64, Vec<Vec<u8>>, Option<Vec<(Vec<u8>, String)>>, u64);

fn malformed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Protocol(error.to_string())
}

pub async fn log(lane: &Lane, script: &Composed, keys: Arc<PoolKeys>, query: LogQuery) -> Result<LogPage, StoreError> {
    let mut command = evalsha(script, 4, 0);
    command.arg(&keys.meta).arg(&keys.log).arg(&keys.standing).arg(&keys.groups);
    command.arg(query.after).arg(query.most).arg(if query.standing { MOST_STANDING } else { 0 });
    let reply = run_script(lane, script, &command).await?;
    let (meta, oldest, entries, standing, groups): Raw = redis::from_redis_value(reply).map_err(malformed)?;
    let header = meta.map(|raw| codec::decode_meta(&Bytes::from(raw))).transpose().map_err(malformed)?;
    let entries = entries.iter().map(|raw| QuotaEvent::from_entry(raw)).collect::<Result<_, _>>().map_err(malformed)?;
    let is_pool = |(field, _): &&(Vec<u8>, String)| field == b"pool";
    let pool = standing.iter().flatten().find(is_pool).map(|(_, value)| status_of(value)).transpose()?;
    let standing =
        standing.map(|list| list.iter().filter(|row| !is_pool(row)).map(standing_of).collect::<Result<_, _>>()).transpose()?;
    Ok(LogPage {
        top: header.map_or(Position::UNBORN, |header| header.position),
        operations: header.map_or(0, |header| header.operations),
        pool_status: header.map_or(PoolStatus::Normal, |header| header.pool_status),
        oldest,
        entries,
        standing: standing.filter(|_| query.standing),
        pool_since_us: pool.map(|(_, since)| since),
        groups,
    })
}

/// A field is a group's name and then the limit's number in decimal.
fn standing_of((field, value): &(Vec<u8>, String)) -> Result<Standing, StoreError> {
    let (name, number) = field.split_at_checked(GroupId::LEN).ok_or_else(|| malformed("a standing counter without a group"))?;
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| malformed("a standing counter without a number"))?;
    let (status, since_us) = status_of(value)?;
    Ok(Standing { group: name_of(name)?, number: Number::from_u64(number), status: CounterStatus::from_byte(status), since_us })
}

/// A status and the instant at which it began.
fn status_of(value: &str) -> Result<(u8, u64), StoreError> {
    let parsed = value.split_once(' ').and_then(|(status, since)| Some((status.parse().ok()?, since.parse().ok()?)));
    parsed.ok_or_else(|| malformed("a standing status without its beginning"))
}

pub async fn probe(lane: &Lane, script: &Composed, channel: &str, nonce: &str) -> Result<(), StoreError> {
    let mut command = evalsha(script, 0, 64);
    command.arg(channel).arg(nonce);
    run_script(lane, script, &command).await.map(drop)
}

pub async fn announce(lane: &Lane, script: &Composed, keys: Arc<PoolKeys>, loss: Loss) -> Result<bool, StoreError> {
    let mut command = evalsha(script, 3, 64);
    command.arg(&keys.meta).arg(&keys.log).arg(&keys.losses);
    command.arg(rand::random::<u32>().max(1)).arg(format!("{:016x}", rand::random::<u64>())).arg(&keys.channel);
    command.arg(loss.epoch).arg(loss.seen).arg(loss.found.map_or(-1, u64::cast_signed));
    let reply = run_script(lane, script, &command).await?;
    redis::from_redis_value(reply).map_err(malformed)
}
