//! `bench --only script`: what the admission script costs the server, and whether it is exact.

mod accuracy;
mod baselines;
mod calls;
mod cost;
mod simulated;
mod space;
mod subjects;

use super::{BenchArgs, CliError, table::Table};
use crate::private_redis::PrivateRedis;

pub async fn run(args: &BenchArgs, redis: &PrivateRedis, table: &mut Table) -> Result<(), CliError> {
    table.section("Script: CPU time of the Redis main thread, ratios within a round");
    cost::run(args, redis, table).await?;
    if args.matching.is_some() {
        return Ok(());
    }
    table.section("Script: bytes");
    space::run(redis, table).await?;
    table.section("Script: exactness, in simulated time");
    accuracy::run(redis, table).await
}
