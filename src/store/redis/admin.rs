//! What operators change while nodes run, and who changed it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{Lane, evalsha, run, run_script};
use crate::store::{AuditEntry, Overrides, StoreError, codec, keys::PoolKeys, scripts::Composed};

fn malformed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Protocol(error.to_string())
}

pub async fn overrides(lane: &Lane, keys: Arc<PoolKeys>) -> Result<Overrides, StoreError> {
    let (meta, entries): (Option<Vec<u8>>, BTreeMap<String, String>) = run(lane, async |connection| {
        redis::pipe().atomic().get(&keys.meta).hgetall(&keys.overrides).query_async(connection).await
    })
    .await?;
    let version = meta.map_or(Ok(0), |raw| codec::decode_version(&Bytes::from(raw)));
    Ok(Overrides { version: version.map_err(malformed)?, entries })
}

pub async fn configure(
    lane: &Lane,
    script: &Composed,
    keys: Arc<PoolKeys>,
    (field, value): (&str, Option<&str>),
    note: &str,
) -> Result<u64, StoreError> {
    let mut command = evalsha(script, 4, 64);
    command
        .arg(&keys.meta)
        .arg(&keys.overrides)
        .arg(&keys.log)
        .arg(&keys.audit)
        .arg(rand::random::<u32>().max(1))
        .arg(field)
        .arg(value.unwrap_or_default())
        .arg(note);
    let reply = run_script(lane, script, &command).await?;
    redis::from_redis_value(reply).map_err(malformed)
}

pub async fn audit(
    lane: &Lane,
    keys: Arc<PoolKeys>,
    before: Option<(u64, u64)>,
    max: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let end = before.map_or_else(|| "+".to_owned(), |(ms, number)| format!("({ms}-{number}"));
    let rows: Vec<(String, BTreeMap<String, String>)> = run(lane, async |connection| {
        redis::cmd("XREVRANGE").arg(&keys.audit).arg(end).arg("-").arg("COUNT").arg(max).query_async(connection).await
    })
    .await?;
    rows.into_iter().map(|(id, fields)| entry(&id, fields)).collect()
}

fn entry(id: &str, mut fields: BTreeMap<String, String>) -> Result<AuditEntry, StoreError> {
    let at = id.split_once('-').and_then(|(ms, number)| Some((ms.parse().ok()?, number.parse().ok()?)));
    let mut take = |name: &str| fields.remove(name).filter(|text| !text.is_empty());
    let (note, before, after) = (take("note").unwrap_or_default(), take("before"), take("after"));
    Ok(AuditEntry { at: at.ok_or_else(|| malformed(format_args!("`{id}` names no instant")))?, note, before, after })
}
