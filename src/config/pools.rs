//! From the file's pools to the domain's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{ID_RULE, file::PoolFile, limits, path::KeyPath, reader::Reader};
use crate::domain::{Number, OnStoreFailure, Pool, PoolId, Price, Prices, Provider, Unit};

/// Most limits in a pool, companions of `smooth` included: one script call looks at all of them.
pub const MAX_LIMITS: usize = 64;
/// Most pools.
pub const MAX_POOLS: usize = 256;

/// Every provider, by its word.
pub(super) const PROVIDERS: [Provider; 6] =
    [Provider::Openai, Provider::Azure, Provider::Anthropic, Provider::Gemini, Provider::Bedrock, Provider::Generic];

/// Reads every pool; faults are in the reader afterwards.
pub(super) fn read_pools(reader: &mut Reader<'_>, files: &[PoolFile], prices: &[Price]) -> Vec<Pool> {
    let at = KeyPath::of(["pools"]);
    if files.is_empty() || files.len() > MAX_POOLS {
        reader.refuse(&at, format!("must list 1 to {MAX_POOLS} pools, has {}", files.len()));
    }
    let mut pools: Vec<Pool> = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let path = at.index(index);
        let Some(pool) = read_pool(reader, &path, file, prices) else { continue };
        if let Some(earlier) = pools.iter().position(|other| other.id == pool.id) {
            reader.refuse(&path.key("id"), format!("is the id of pools[{earlier}], too; each pool needs its own"));
        }
        pools.push(pool);
    }
    pools
}

fn read_pool(reader: &mut Reader<'_>, path: &KeyPath, file: &PoolFile, prices: &[Price]) -> Option<Pool> {
    let id_path = path.key("id");
    let id = reader.required(&id_path, file.id.as_ref());
    let id = id.and_then(|id| reader.accept(&id_path, PoolId::new(id.text()).map_err(|_| ID_RULE)));
    let providers = PROVIDERS.map(|provider| (provider.as_str(), provider));
    let provider = reader.choice_or(&path.key("provider"), file.provider.as_ref(), &providers, Provider::default());
    let units = file.units.clone().unwrap_or_default();
    let units = units
        .each(&path.key("units"))
        .filter_map(|(path, unit)| reader.accept(&path, Unit::new(unit.text()).map_err(|_| ID_RULE)))
        .collect();
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
    let retention_path = path.key("record_retention");
    let record_retention =
        reader.duration_or(&retention_path, file.record_retention.as_ref(), second..=day, Duration::from_secs(600));

    let on_store_failure = limits::read_on_store_failure(reader, path, file.on_store_failure.as_ref(), OnStoreFailure::default());

    let limits_path = path.key("limits");
    if file.limits.is_empty() {
        reader.refuse(&limits_path, "must list at least one limit");
    }
    let mut limits = Vec::new();
    let mut ids = HashMap::new();
    let mut numbers: HashMap<Number, String> = HashMap::new();
    for (index, limit) in file.limits.iter().enumerate() {
        let path = limits_path.index(index);
        let Some((limit, companion)) = limits::read_limit(reader, &path, limit, on_store_failure) else { continue };
        if let Some(earlier) = ids.insert(limit.id.clone(), index) {
            reader.refuse(&path.key("id"), format!("is the id of limits[{earlier}] of this pool, too; each limit needs its own"));
            continue;
        }
        for limit in [Some(limit), companion].into_iter().flatten() {
            if let Some(other) = numbers.insert(limit.number(), limit.id.to_string()) {
                let rule = format!("collides with `{other}` in the 48 bits that stand for a limit in Redis; choose another id");
                reader.refuse(&path.key("id"), rule);
            }
            limits.push(Arc::new(limit));
        }
    }
    if limits.len() > MAX_LIMITS {
        let rule = format!("must list at most {MAX_LIMITS} limits, companions of `smooth` included; has {}", limits.len());
        reader.refuse(&limits_path, rule);
    }
    let prices = Arc::new(Prices::of(provider, prices));
    Some(Pool { id: id?, provider, limits, units, prices, record_retention, on_store_failure })
}
