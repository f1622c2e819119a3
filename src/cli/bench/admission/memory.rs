//! What counters and open reservations weigh in Redis.

use super::{node::Server, scenarios::batch};
use crate::{
    cli::{
        CliError,
        bench::{load::Connection, progress, resp::Client, table::Table},
    },
    private_redis::PrivateRedis,
};

const COUNT: u32 = 9_984;
const BATCH: u32 = 64;

/// Makes so many reservations, in one workspace and then each in another; figures of both.
pub async fn run(redis: &PrivateRedis, node: &Server, table: &mut Table) -> Result<(), CliError> {
    progress("admission, memory of counters and reservations");
    let mut client = Client::connect(redis).await?;
    let mut connection = Connection::to(node.address).await?;
    let mut fill = async |first: u32, many: bool| -> Result<f64, CliError> {
        let before = client.info("memory", "used_memory").await?;
        for start in (first..first + COUNT).step_by(BATCH as usize) {
            let workspaces = (start..start + BATCH).map(|at| if many { at } else { 1 });
            let (status, body) = connection.exchange(&batch(workspaces)).await?;
            if status != 200 {
                return Err(CliError::Internal(format!("bench: {}", String::from_utf8_lossy(body))));
            }
        }
        Ok((client.info("memory", "used_memory").await? - before) / f64::from(COUNT))
    };
    let reservation = fill(1, false).await?;
    let workspace = fill(16, true).await? - reservation;
    table.figure("memory of an open reservation over 4 limits", reservation, "B");
    table.figure("memory of a counter (2 in a workspace's group)", workspace / 2.0, "B");
    table.note("key, index and expiry shared by two");
    Ok(())
}
