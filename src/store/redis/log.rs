//! The event log, and probes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Lane, evalsha, name_of, run_script};
use crate::{
    domain::{CounterStatus, GroupId, Number, PoolStatus, Position, QuotaEvent},
    store::{
        StoreError, codec,
        keys::PoolKeys,
        log::{LogPage, LogQuery, MOST_STANDING, Standing},
        scripts::Composed,
    },
};

type Raw = (Option<Vec<u8>>, u64, Vec<Vec<u8>>, Option<Vec<(Vec<u8>, u8)>>);

fn malformed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Protocol(error.to_string())
}

pub async fn log(lane: &Lane, script: &Composed, keys: Arc<PoolKeys>, query: LogQuery) -> Result<LogPage, StoreError> {
    let mut command = evalsha(script, 3);
    command.arg(&keys.meta).arg(&keys.log).arg(&keys.standing);
    command.arg(query.after).arg(query.most).arg(if query.standing { MOST_STANDING } else { 0 });
    let reply = run_script(lane, script, &command).await?;
    let (meta, oldest, entries, standing): Raw = redis::from_redis_value(reply).map_err(malformed)?;
    let header = meta.map(|raw| codec::decode_meta(&Bytes::from(raw))).transpose().map_err(malformed)?;
    let entries = entries.iter().map(|raw| QuotaEvent::from_entry(raw)).collect::<Result<_, _>>().map_err(malformed)?;
    let standing = standing.map(|list| list.iter().map(standing_of).collect::<Result<_, _>>()).transpose()?;
    Ok(LogPage {
        top: header.map_or(Position::UNBORN, |header| header.position),
        operations: header.map_or(0, |header| header.operations),
        pool_status: header.map_or(PoolStatus::Normal, |header| header.pool_status),
        oldest,
        entries,
        standing: standing.filter(|_| query.standing),
    })
}

/// A field is a group's name and then the limit's number in decimal.
fn standing_of((field, status): &(Vec<u8>, u8)) -> Result<Standing, StoreError> {
    let (name, number) = field.split_at_checked(GroupId::LEN).ok_or_else(|| malformed("a standing counter without a group"))?;
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| malformed("a standing counter without a number"))?;
    Ok(Standing { group: name_of(name)?, number: Number::from_u64(number), status: CounterStatus::from_byte(*status) })
}

pub async fn probe(lane: &Lane, script: &Composed, channel: &str, nonce: &str) -> Result<(), StoreError> {
    let mut command = evalsha(script, 0);
    command.arg(channel).arg(nonce);
    run_script(lane, script, &command).await.map(drop)
}
