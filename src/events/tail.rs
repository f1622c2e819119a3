//! Follows one pool's log. Messages bring events fast; the log says whether they are all.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Hub,
    board::Board,
    bus::Link,
    join::named,
    pool::PoolHub,
    resume::{Reason, missed},
    ring::Step,
    timing::jittered,
};
use crate::{
    domain::QuotaEvent,
    store::{
        StoreError,
        log::{LogPage, LogQuery},
    },
};

/// Pause before the log is read again after the store did not answer; doubles up to the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// An event that is older than the ring is looked into after this, so that many cost one read.
const OLD: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub struct Tail {
    hub: Hub,
    pool: Arc<PoolHub>,
    link: Arc<Link>,
    inbox: mpsc::Receiver<Bytes>,
    /// When the log is looked at next.
    due: Instant,
    /// Not before, as the store did not answer.
    earliest: Instant,
    pause: Duration,
}

impl Tail {
    pub fn new(hub: Hub, pool: Arc<PoolHub>, link: Arc<Link>, inbox: mpsc::Receiver<Bytes>) -> Self {
        let now = Instant::now();
        Self { hub, pool, link, inbox, due: now, earliest: now, pause: RETRY.0 }
    }

    /// Follows the pool until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let due = self.due.max(self.earliest);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.link.wake.notified() => self.due = Instant::now(),
                () = sleep_until(due) => self.look().await,
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(&message),
                    None => return,
                },
            }
        }
    }

    async fn look(&mut self) {
        match self.compare().await {
            Ok(()) => {
                self.due = Instant::now() + jittered(self.hub.timing().tail_check, 0.25);
                self.pause = RETRY.0;
            }
            Err(error) => {
                debug!(pool = %self.pool.id(), %error, "the log cannot be read");
                self.pool.set_verified(false);
                self.earliest = Instant::now() + jittered(self.pause, 0.25);
                self.due = self.earliest;
                self.pause = (self.pause * 2).min(RETRY.1);
            }
        }
    }

    fn take(&mut self, message: &[u8]) {
        let events = match QuotaEvent::from_message(message) {
            Ok(events) => events,
            Err(error) => {
                warn!(pool = %self.pool.id(), %error, "a message that is none of ours");
                self.due = Instant::now();
                return;
            }
        };
        // A message is what one script call wrote.
        match self.pool.append(events.iter().map(|event| named(&self.hub, &self.pool, event))).stopped {
            Some(Step::Old) => self.due = self.due.min(Instant::now() + OLD),
            Some(Step::Gap) => {
                self.hub.counts().gaps.add(1);
                self.due = Instant::now();
            }
            None | Some(Step::Next | Step::Known) => {}
        }
    }

    /// Compares the tail with the log and brings it up to it: in place where the log continues the
    /// tail, else by a new beginning, which every subscriber is told of.
    async fn compare(&self) -> Result<(), StoreError> {
        let listening = self.link.is_connected();
        let knows = *self.pool.generation().borrow() > 0;
        let before = self.pool.next_number();
        if knows {
            let page = self.read(false).await?;
            if self.go_on(&page) {
                self.pool.confirm(page.top, before);
                self.pool.set_verified(listening);
                return Ok(());
            }
        }
        // A loss is declared only when a second look says the same.
        let page = self.read(true).await?;
        let reason = if knows { missed(Some(self.pool.top()), &page).err() } else { Some(Reason::NoCursor) };
        match reason {
            None => drop(self.go_on(&page)),
            Some(reason) => self.begin(&page, reason, knows),
        }
        self.pool.set_verified(listening);
        Ok(())
    }

    async fn read(&self, standing: bool) -> Result<LogPage, StoreError> {
        let query = LogQuery { standing, ..LogQuery::after(self.pool.top().seq) };
        self.hub.store().log(self.pool.id(), query).await
    }

    /// Appends what the tail has missed; false when the log does not continue it.
    fn go_on(&self, page: &LogPage) -> bool {
        let top = self.pool.top();
        if top.epoch == 0 && page.top.epoch == 0 {
            return true;
        }
        let range = if top.epoch == 0 { Ok(0..page.entries.len()) } else { missed(Some(top), page) };
        let Ok(range) = range else { return false };
        // The pool's clock advances with each call that writes: the events of one call are those of one instant.
        for call in page.entries[range].chunk_by(|one, next| one.at_us == next.at_us) {
            let appended = self.pool.append(call.iter().map(|event| named(&self.hub, &self.pool, event)));
            self.hub.counts().repaired.add(appended.added);
            if appended.stopped.is_some() {
                return false;
            }
        }
        if self.pool.top().epoch == 0 && page.top.seq == 0 {
            self.pool.adopt(page.top);
        }
        self.pool.top() == page.top
    }

    fn begin(&self, page: &LogPage, reason: Reason, knew: bool) {
        if knew {
            info!(pool = %self.pool.id(), reason = reason.as_str(), from = ?self.pool.top(), to = ?page.top, "continuity lost");
            self.hub.counts().resets.add(1);
        }
        let meaning = |number, status| Board::meaning(self.hub.coordinator().limit_of(self.pool.id(), number).as_deref(), status);
        let standing = page.standing.iter().flatten().map(|s| (s.group, s.number, meaning(s.number, s.status)));
        self.pool.restart(page.top, Board::new(page.pool_status, standing), reason);
    }
}
