//! What a pool's log still holds, for those who ask now and then.

use super::{Hub, Reason, join::named, resume::missed};
use crate::{
    coordinator::types::CoordinatorError,
    domain::{PoolId, Position, QuotaEvent},
    store::{StoreError, log::LogQuery},
};

/// Changes after a place.
#[derive(Debug)]
pub struct Changes {
    /// Seq of the place.
    pub from: u64,
    /// Oldest first, limits named.
    pub events: Vec<QuotaEvent>,
    /// The place after them.
    pub top: Position,
}

/// Why the changes after a place cannot be told.
#[derive(Clone, Copy, Debug)]
pub struct Gone {
    /// What happened.
    pub reason: Reason,
    /// Seq of the oldest change that is kept.
    pub oldest: u64,
}

impl Hub {
    /// Changes after a place, or everything that is kept. Errors when the store does not answer.
    pub async fn changes(&self, pool: &PoolId, after: Option<Position>) -> Result<Result<Changes, Gone>, CoordinatorError> {
        let hub = self.pool(pool)?;
        let away = |error: StoreError| CoordinatorError::StoreUnavailable {
            reason: error.to_string(),
            retry_after: std::time::Duration::from_secs(1),
        };
        let seq = match after {
            Some(after) => after.seq,
            None => self.log(pool, LogQuery::HEAD).await.map_err(away)?.oldest.saturating_sub(1),
        };
        let page = self.log(pool, LogQuery::after(seq)).await.map_err(away)?;
        let range = match after {
            Some(after) => match missed(Some(after), &page) {
                Ok(range) => range,
                Err(reason) => return Ok(Err(Gone { reason, oldest: page.oldest })),
            },
            None => 0..page.entries.len(),
        };
        let events = page.entries[range].iter().map(|event| named(self, hub, event)).collect();
        Ok(Ok(Changes { from: seq, events, top: page.top }))
    }
}
