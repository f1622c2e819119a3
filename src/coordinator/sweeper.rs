//! What time alone brings about: leases that end, windows that slide. Every node sweeps; each step is
//! idempotent and re-checked by the script, so there is no leader.

use std::{sync::Arc, time::Duration};

use rand::Rng;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::queue::{PoolQueue, Unanswered};
use crate::{
    domain::GroupId,
    store::{
        Store, StoreError,
        call::{GroupRef, Op, Settlement},
    },
};

/// Pause between sweeps, before jitter of a quarter.
const PAUSE: Duration = Duration::from_millis(500);
/// Entries of each kind that one sweep takes on.
const PORTION: usize = 64;
/// Sweeps between two cleanings of the index of groups.
const TRIM_EVERY: u32 = 120;

/// Sweeps until shutdown.
pub async fn run(queue: Arc<PoolQueue>, store: Arc<dyn Store>, shutdown: CancellationToken) {
    let mut epoch = 0;
    for round in 0u32.. {
        let pause = PAUSE.mul_f64(rand::rng().random_range(0.75..1.25));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        while let Ok(Swept { more, epoch: seen }) = sweep(&queue, store.as_ref()).await {
            if seen != 0 && seen != epoch {
                // A new epoch means an empty store: what stands for what is to be written down again.
                if epoch != 0 {
                    let names = queue.catalogue.load().names();
                    debug!(pool = %queue.id(), "new epoch; registering names again");
                    let _ = store.register(queue.id(), &names).await;
                }
                epoch = seen;
            }
            if !more || shutdown.is_cancelled() {
                break;
            }
        }
        if round % TRIM_EVERY == TRIM_EVERY - 1 {
            let _ = store.trim(queue.id(), queue.clock.about_us()).await;
        }
    }
}

/// What one sweep saw.
pub struct Swept {
    /// There is more to do now.
    pub more: bool,
    /// Epoch of the pool, 0 if nothing was written.
    pub epoch: u64,
}

/// One step: ends leases and brings groups to the present.
pub async fn sweep(queue: &PoolQueue, store: &dyn Store) -> Result<Swept, StoreError> {
    let due = store.due(queue.id(), PORTION).await?;
    let records = store.records(queue.id(), &due.leases).await?;
    let more = due.leases.len() == PORTION || due.groups.len() == PORTION;
    let ended = due.leases.iter().zip(records).map(|(id, record)| Op::Settle {
        record: *id,
        nonce: None,
        // Without a record (it outlives its entry, unless data was lost) there is nothing to give back.
        groups: record.map(|record| record.groups).unwrap_or_default(),
        how: Settlement::Expire,
        fingerprint: 0,
    });
    let looks = due.groups.iter().map(|group: &GroupId| Op::Touch { group: GroupRef::Id(*group) });
    let catalogue = queue.catalogue.load_full();
    let answers = futures_util::future::join_all(ended.chain(looks).map(|op| queue.submit(&catalogue, op))).await;
    let mut epoch = 0;
    for answer in answers {
        match answer {
            Ok(answered) => epoch = answered.header.position.epoch,
            Err(Unanswered::Store(error)) => return Err(error),
            Err(Unanswered::Stale | Unanswered::Full) => {}
        }
    }
    Ok(Swept { more, epoch })
}
