//! What time alone brings about: leases that end, windows that slide. Every node sweeps; each step is
//! idempotent and re-checked by the script, so there is no leader.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

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
    let mut registered = 0;
    for round in 0u32.. {
        let pause = PAUSE.mul_f64(rand::rng().random_range(0.75..1.25));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        while let Ok(more) = sweep(&queue, store.as_ref()).await {
            if !more || shutdown.is_cancelled() {
                break;
            }
        }
        // Without an answer nothing was compared; the next round does.
        let _ = super::witness::look(&queue, store.as_ref()).await;
        registered = register_again(&queue, store.as_ref(), registered).await;
        if round % TRIM_EVERY == TRIM_EVERY - 1 {
            let _ = store.trim(queue.id(), queue.clock.about_us()).await;
        }
    }
}

/// A new epoch means an empty store: what stands for what is to be written down again. Returns the
/// epoch in which it is.
async fn register_again(queue: &PoolQueue, store: &dyn Store, registered: u64) -> u64 {
    let epoch = queue.epoch.load(Ordering::Relaxed);
    if epoch == registered {
        return registered;
    }
    debug!(pool = %queue.id(), epoch, "new epoch; registering names");
    let names = queue.catalogue.load().names();
    if store.register(queue.id(), &names).await.is_ok() { epoch } else { registered }
}

/// One step: ends leases and brings groups to the present. True when there is more to do now.
async fn sweep(queue: &PoolQueue, store: &dyn Store) -> Result<bool, StoreError> {
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
    for answer in answers {
        if let Err(Unanswered::Store(error)) = answer {
            return Err(error);
        }
    }
    Ok(more)
}
