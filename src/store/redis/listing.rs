//! Plain commands and small scripts off the hot path: listings, sweeps, registry.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use redis::Value;

use super::{Lane, evalsha, name_of, run, run_script, unexpected};
use crate::{
    domain::GroupId,
    store::{
        Due, GroupPage, StoreError,
        call::RecordId,
        codec,
        keys::{PoolKeys, once},
        reply::Record,
        scripts::Composed,
    },
};

/// Most records read with one command.
const CHUNK: usize = 256;

pub async fn due(lane: &Lane, script: &Composed, keys: Arc<PoolKeys>, max: usize) -> Result<Due, StoreError> {
    let mut command = evalsha(script, 2, 64);
    command.arg(&keys.open).arg(&keys.due).arg(max);
    let reply = run_script(lane, script, &command).await?;
    let (clock, leases, groups): (u64, Vec<Vec<u8>>, Vec<Vec<u8>>) =
        redis::from_redis_value(reply).map_err(|error| StoreError::Protocol(error.to_string()))?;
    Ok(Due {
        clock_us: clock,
        leases: leases.iter().map(|raw| name_of(raw)).collect::<Result<_, _>>()?,
        groups: groups.iter().map(|raw| name_of(raw)).collect::<Result<_, _>>()?,
    })
}

pub async fn trim(lane: &Lane, keys: Arc<PoolKeys>, clock_us: u64) -> Result<(), StoreError> {
    run(lane, async |connection| {
        redis::cmd("ZREMRANGEBYSCORE").arg(&keys.groups).arg("-inf").arg(clock_us).query_async::<u64>(connection).await
    })
    .await
    .map(drop)
}

pub async fn records(lane: &Lane, keys: Arc<PoolKeys>, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
    let mut records = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let names: Vec<String> = chunk.iter().map(|id| keys.record(*id)).collect();
        let raws: Vec<Option<Vec<u8>>> =
            run(lane, async |connection| redis::cmd("MGET").arg(&names).query_async(connection).await).await?;
        for raw in raws {
            let record = raw.map(|raw| codec::decode_record(&Bytes::from(raw))).transpose();
            records.push(record.map_err(|error| StoreError::Protocol(error.to_string()))?);
        }
    }
    Ok(records)
}

pub async fn open(lane: &Lane, keys: Arc<PoolKeys>, max: usize) -> Result<Vec<RecordId>, StoreError> {
    let names: Vec<Vec<u8>> = run(lane, async |connection| {
        redis::cmd("ZRANGE").arg(&keys.open).arg(0).arg(max.saturating_sub(1)).query_async(connection).await
    })
    .await?;
    names.iter().map(|raw| name_of(raw)).collect()
}

/// Groups in the order of their keys' expiry (which a group only ever moves up) and of their names, as
/// many groups have the same: a reader that pages through meets each group at least once.
pub async fn groups(lane: &Lane, keys: Arc<PoolKeys>, after: Option<&str>, max: usize) -> Result<GroupPage, StoreError> {
    let (from, name) = after.and_then(|after| after.split_once('.')).unwrap_or(("-inf", ""));
    let mut rows: Vec<(Vec<u8>, f64)> = Vec::new();
    let mut seen = 0;
    while rows.len() < max {
        let portion: Vec<(Vec<u8>, f64)> = run(lane, async |connection| {
            let mut command = redis::cmd("ZRANGE");
            command.arg(&keys.groups).arg(from).arg("+inf").arg("BYSCORE").arg("LIMIT").arg(seen).arg(max).arg("WITHSCORES");
            command.query_async(connection).await
        })
        .await?;
        seen += portion.len();
        let last = portion.len() < max;
        rows.extend(portion.into_iter().filter(|(row, score)| format!("{score:.0}") != from || row.as_slice() > name.as_bytes()));
        if last {
            break;
        }
    }
    rows.truncate(max);
    let place = |(name, score): &(Vec<u8>, f64)| format!("{score:.0}.{}", String::from_utf8_lossy(name));
    let next = rows.last().filter(|_| rows.len() == max).map(place);
    let ids = rows.iter().map(|(raw, _)| name_of(raw)).collect::<Result<Vec<GroupId>, _>>()?;
    let texts = texts(lane, keys, &ids).await?;
    let groups = ids.into_iter().zip(texts).filter_map(|(id, text)| text.map(|text| (id, text))).collect();
    Ok(GroupPage { groups, next })
}

/// Reads what each group's partition is called.
pub async fn texts(lane: &Lane, keys: Arc<PoolKeys>, ids: &[GroupId]) -> Result<Vec<Option<String>>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.cmd("HGET").arg(keys.group(*id)).arg("t");
    }
    run(lane, async |connection| pipe.query_async(connection).await).await
}

pub async fn register(lane: &Lane, script: &Composed, keys: Arc<PoolKeys>, names: &[(u64, String)]) -> Result<(), StoreError> {
    if names.is_empty() {
        return Ok(());
    }
    let mut command = evalsha(script, 1, 64);
    command.arg(&keys.names);
    for (number, name) in names {
        command.arg(*number).arg(name);
    }
    match run_script(lane, script, &command).await? {
        Value::Nil => Ok(()),
        Value::Array(collision) => Err(StoreError::Refused(format!(
            "two names have the same number ({}); give one limit another id",
            collision.iter().filter_map(|v| redis::from_redis_value::<String>(v.clone()).ok()).collect::<Vec<_>>().join(" · ")
        ))),
        other => Err(unexpected(&other)),
    }
}

pub async fn acknowledgements(lane: &Lane, keys: Arc<PoolKeys>) -> Result<BTreeMap<String, String>, StoreError> {
    run(lane, async |connection| redis::cmd("HGETALL").arg(&keys.acknowledged).query_async(connection).await).await
}

pub async fn acknowledge(
    lane: &Lane,
    keys: Arc<PoolKeys>,
    (id, json): (&str, &str),
    standing: &[String],
    remembered: Duration,
) -> Result<(), StoreError> {
    let known = acknowledgements(lane, keys.clone()).await?;
    let over: Vec<&String> = known.keys().filter(|id| !standing.contains(id)).collect();
    let mut pipe = redis::pipe();
    pipe.atomic().hset(&keys.acknowledged, id, json).ignore();
    if !over.is_empty() {
        pipe.hdel(&keys.acknowledged, over).ignore();
    }
    let ttl_ms = i64::try_from(remembered.as_millis()).unwrap_or(i64::MAX);
    pipe.pexpire(&keys.acknowledged, ttl_ms).ignore();
    run(lane, async |connection| pipe.query_async::<()>(connection).await).await
}

pub async fn keep_once(lane: &Lane, name: &str, value: &str, life: std::time::Duration) -> Result<(), StoreError> {
    let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    run(lane, async |connection| redis::cmd("SET").arg(once(name)).arg(value).arg("PX").arg(life).query_async(connection).await)
        .await
}

pub async fn take_once(lane: &Lane, name: &str) -> Result<Option<String>, StoreError> {
    run(lane, async |connection| redis::cmd("GETDEL").arg(once(name)).query_async(connection).await).await
}
