//! Group commit: operations of one pool that arrive while a call is under way go together in the
//! next one. No timer: an idle node sends at once, a busy one sends larger calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::{debug, warn};

use super::{catalogue::Catalogue, clock::PoolClock, denials::Denials};
use crate::{
    domain::{Pool, PoolId},
    store::{
        Store, StoreError,
        call::{Call, Op},
        reply::{Answer, CounterFigure, Header, Outcome, Reply},
    },
};

/// Operations that may wait for a pool; more are refused at once.
pub const WAITING: usize = 8192;
/// Counters that one call may describe, so that its script stays short.
const MOST_COUNTERS: usize = 1024;
/// Calls sent again because the store's configuration or period was another, before giving up.
const ATTEMPTS: usize = 4;

/// Answer to one operation, with what the call said besides.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Figures of the operation's own shape.
    pub figures: Vec<CounterFigure>,
    /// Head of the reply.
    pub header: Header,
}

/// Why an operation was not answered.
#[derive(Debug, Clone)]
pub enum Unanswered {
    /// Its shape was made with another version of the overrides; make it again.
    Stale,
    /// The store did not answer.
    Store(StoreError),
    /// Too many are waiting.
    Full,
}

type ReplySender = oneshot::Sender<Result<Answered, Unanswered>>;

struct Waiting {
    op: Op,
    catalogue: Arc<Catalogue>,
    reply: ReplySender,
}

/// What a node keeps of one pool.
pub struct PoolQueue {
    /// As configured.
    pub configured: Arc<Pool>,
    /// With runtime overrides.
    pub catalogue: ArcSwap<Catalogue>,
    /// Known to be full.
    pub denials: Denials,
    /// The store's time.
    pub clock: PoolClock,
    /// The epoch of the last reply; 0 = none yet.
    pub epoch: AtomicU64,
    /// Sees when the store has lost data.
    pub witness: super::witness::Witness,
    /// Counted for metrics.
    pub calls: super::meter::CallMeter,
    sender: mpsc::Sender<Waiting>,
}

impl PoolQueue {
    /// Makes the queue, and the future that serves it (to be spawned by the owner).
    pub fn new(pool: Arc<Pool>, store: Arc<dyn Store>) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let queue = Arc::new(Self {
            catalogue: ArcSwap::from_pointee(Catalogue::new(&pool, &crate::store::Overrides::default())),
            configured: pool,
            denials: Denials::default(),
            clock: PoolClock::default(),
            epoch: AtomicU64::new(0),
            witness: super::witness::Witness::default(),
            calls: super::meter::CallMeter::default(),
            sender,
        });
        let serving = serve(Arc::downgrade(&queue), receiver, store);
        (queue, serving)
    }

    /// The pool's id.
    pub fn id(&self) -> &PoolId {
        &self.configured.id
    }

    /// Sends an operation whose shapes were made with that catalogue, and waits for its answer.
    pub async fn submit(&self, catalogue: &Arc<Catalogue>, op: Op) -> Result<Answered, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.sender.try_send(Waiting { op, catalogue: catalogue.clone(), reply }).map_err(|_| Unanswered::Full)?;
        answer.await.unwrap_or_else(|_| Err(Unanswered::Store(StoreError::Unavailable("the node is shutting down".into()))))
    }
}

async fn serve(queue: std::sync::Weak<PoolQueue>, mut receiver: mpsc::Receiver<Waiting>, store: Arc<dyn Store>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(waiting) => waiting,
            None => match receiver.recv().await {
                Some(waiting) => waiting,
                None => return,
            },
        };
        let mut batch = Batch::new(first);
        while batch.has_room()
            && let Ok(waiting) = receiver.try_recv()
        {
            if let Some(other) = batch.add(waiting) {
                next = Some(other);
                break;
            }
        }
        let Some(queue) = queue.upgrade() else { return };
        if let Some(fault) = batch.run(&queue, store.as_ref()).await {
            // Whoever waited for this call has waited long enough: each is told within about one deadline,
            // however many there are.
            let count = receiver.len();
            let waiting = std::iter::from_fn(|| receiver.try_recv().ok()).take(count);
            refuse(next.take().into_iter().chain(waiting).map(|waiting| waiting.reply).collect(), &fault);
        }
    }
}

struct Batch {
    catalogue: Arc<Catalogue>,
    ops: Vec<Op>,
    replies: Vec<ReplySender>,
    counters: usize,
    alone: bool,
}

impl Batch {
    fn new(first: Waiting) -> Self {
        let mut batch =
            Self { catalogue: first.catalogue.clone(), ops: Vec::new(), replies: Vec::new(), counters: 0, alone: false };
        batch.alone = matches!(first.op, Op::Reset { .. });
        batch.push(first);
        batch
    }

    fn push(&mut self, waiting: Waiting) {
        self.counters += counters_of(&waiting.op);
        self.ops.push(waiting.op);
        self.replies.push(waiting.reply);
    }

    fn has_room(&self) -> bool {
        !self.alone && self.ops.len() < Call::MAX_OPS && self.counters < MOST_COUNTERS
    }

    /// Takes an operation in, or gives it back when it must go in another call.
    fn add(&mut self, waiting: Waiting) -> Option<Waiting> {
        let fits = Arc::ptr_eq(&waiting.catalogue, &self.catalogue) && !matches!(waiting.op, Op::Reset { .. });
        if !fits {
            return Some(waiting);
        }
        self.push(waiting);
        None
    }

    /// What only gives back, for a call of its own; the rest is refused.
    fn freeing(call: Call, catalogue: Arc<Catalogue>, replies: Vec<ReplySender>, fault: &Unanswered) -> Self {
        let mut freeing = Self { catalogue, ops: Vec::new(), replies: Vec::new(), counters: 0, alone: true };
        for (op, reply) in call.ops.into_iter().zip(replies) {
            if op.only_frees() {
                freeing.ops.push(op);
                freeing.replies.push(reply);
            } else {
                refuse(vec![reply], fault);
            }
        }
        freeing
    }

    /// Answers why when the store is away.
    async fn run(self, queue: &PoolQueue, store: &dyn Store) -> Option<Unanswered> {
        let pool = queue.id();
        let mut call = Call {
            config_version: self.catalogue.version,
            retention_us: u64::try_from(self.catalogue.pool.record_retention.as_micros()).unwrap_or(0),
            calendars: self.catalogue.calendars.clone(),
            about_us: queue.clock.about_us(),
            seed: rand::random(),
            ops: self.ops,
        };
        let mut repeated = false;
        for _ in 0..ATTEMPTS {
            let before = queue.witness.mark();
            let result = store.apply(pool, &call).await;
            queue.calls.count(call.ops.len(), &result);
            match result {
                Ok(Outcome::Done(reply)) => {
                    queue.clock.learn(reply.header.clock_us);
                    queue.witness.compare(before, reply.header.position, reply.header.operations);
                    queue.epoch.store(reply.header.position.epoch, Ordering::Relaxed);
                    deliver(queue, &call, reply, self.replies);
                    return None;
                }
                Ok(Outcome::RetryPeriod(header)) => {
                    debug!(%pool, "the node's idea of the time is off by periods; asking again");
                    queue.clock.learn(header.clock_us);
                    call.about_us = header.clock_us;
                }
                Ok(Outcome::StaleConfig(_)) => {
                    let fault = reload(queue, store).await.err().map_or(Unanswered::Stale, Unanswered::Store);
                    refuse(self.replies, &fault);
                    return None;
                }
                // The identities in the call make a repetition harmless, whether or not it arrived.
                Err(error) if error.is_transient() && !repeated && !matches!(error, StoreError::Timeout(_)) => repeated = true,
                // What gives units back must not fail for those that want some in the same call.
                Err(StoreError::OutOfMemory(why)) if !self.alone && call.ops.iter().any(Op::only_frees) => {
                    warn!(%pool, why, "the store is out of memory");
                    let fault = Unanswered::Store(StoreError::OutOfMemory(why));
                    let freeing = Self::freeing(call, self.catalogue, self.replies, &fault);
                    return Box::pin(freeing.run(queue, store)).await;
                }
                Err(error) => {
                    debug!(%pool, %error, operations = call.ops.len(), "the store did not answer");
                    let away = error.is_transient();
                    let fault = Unanswered::Store(error);
                    refuse(self.replies, &fault);
                    return away.then_some(fault);
                }
            }
        }
        refuse(self.replies, &Unanswered::Store(StoreError::Protocol("the store kept asking for other periods".into())));
        None
    }
}

/// Reads the overrides again.
pub async fn reload(queue: &PoolQueue, store: &dyn Store) -> Result<(), StoreError> {
    let overrides = store.overrides(queue.id()).await?;
    queue.catalogue.store(Arc::new(Catalogue::new(&queue.configured, &overrides)));
    queue.denials.clear();
    Ok(())
}

fn counters_of(op: &Op) -> usize {
    match op {
        Op::Reserve { shape, .. }
        | Op::Check { shape, .. }
        | Op::Record { shape, .. }
        | Op::Extend { add: Some((shape, _)), .. } => shape.groups.iter().map(|group| group.slots.len()).sum(),
        Op::Settle { .. } | Op::Extend { .. } | Op::Touch { .. } | Op::Reset { .. } | Op::Read { .. } => 8,
    }
}

fn refuse(replies: Vec<ReplySender>, fault: &Unanswered) {
    for reply in replies {
        // A caller that has gone away does not want its answer.
        let _ = reply.send(Err(fault.clone()));
    }
}

/// Notes what is full and what came back, then tells each caller.
fn deliver(queue: &PoolQueue, call: &Call, mut reply: Reply, replies: Vec<ReplySender>) {
    let now = Instant::now();
    let answers = std::mem::take(&mut reply.answers);
    let mut answered = Vec::with_capacity(answers.len());
    for (op, answer) in call.ops.iter().zip(answers) {
        let figures = match op {
            Op::Reserve { shape, costs, .. } | Op::Check { shape, costs } | Op::Record { shape, costs, .. } => {
                let figures: Vec<CounterFigure> = reply.figures(shape).collect();
                if let Answer::Denied(waits) = &answer {
                    queue.denials.note(shape, costs, waits, &figures, reply.header, now);
                }
                figures
            }
            Op::Extend { add: Some((shape, _)), .. } => reply.figures(shape).collect(),
            Op::Settle { groups, .. } => {
                if matches!(answer, Answer::Settled(_)) {
                    queue.denials.forget(groups);
                }
                Vec::new()
            }
            Op::Reset { group, .. } => {
                queue.denials.forget(&[group.id()]);
                Vec::new()
            }
            Op::Extend { .. } | Op::Touch { .. } | Op::Read { .. } => Vec::new(),
        };
        answered.push(Answered { answer, figures, header: reply.header });
    }
    for (reply, answer) in replies.into_iter().zip(answered) {
        let _ = reply.send(Ok(answer));
    }
}

/// How long a caller should wait before it tries a store that is away again.
pub const AWAY: Duration = Duration::from_secs(1);
