//! What the figures were measured on.

use crate::{cli::CliError, private_redis::PrivateRedis};

/// One line for people and for the JSON.
pub async fn describe(redis: &PrivateRedis) -> Result<String, CliError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(':').nth(1));
    let model = model.map_or("unknown CPU", str::trim);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?");
    let version = redis_version(redis).await.map_err(|error| CliError::Unavailable(error.to_string()))?;
    let build = if cfg!(debug_assertions) { "debug build: figures mean nothing" } else { "optimised build" };
    Ok(format!("{cores} cores, {model}, Linux {}, load {load} at start, {version}, {build}", kernel.trim()))
}

async fn redis_version(redis: &PrivateRedis) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let get = |key: &str| info.get::<String>(key);
    let name = get("server_name").unwrap_or_else(|| "redis".to_owned());
    let version = get("valkey_version").or_else(|| get("redis_version")).unwrap_or_default();
    Ok(format!("{name} {version}"))
}
