//! The one subscription of a node: all pools' channels and its own probes, on a connection of its own.
//!
//! Reading never waits for anybody. A pool whose inbox is full loses messages, and its tail is told to
//! look at the log; so it is after each connect, since whatever was sent before was lost.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use rand::Rng;
use redis::{
    Client, IntoConnectionInfo, RedisError,
    aio::{PubSubSink, PubSubStream},
    io::tcp::TcpSettings,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{counts::Counts, freshness::FreshnessState, probe::Probe, timing::Timing};
use crate::{
    domain::PoolId,
    store::{StoreError, keys::PoolKeys},
};

/// Messages that wait for one pool's tail.
const INBOX: usize = 1024;
/// A connection that lived so long was a good one: the next attempt comes soon.
const GOOD: Duration = Duration::from_secs(5);

/// Between the bus and one tail.
pub struct Link {
    /// Asks the tail to look at the log.
    pub wake: Notify,
    inbox: mpsc::Sender<Bytes>,
    connected: AtomicBool,
}

impl Link {
    /// A link and the tail's end of it.
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (inbox, receiver) = mpsc::channel(INBOX);
        (Arc::new(Self { wake: Notify::new(), inbox, connected: AtomicBool::new(false) }), receiver)
    }

    /// Does the subscription stand?
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
        self.wake.notify_one();
    }

    /// False when the message was dropped.
    fn offer(&self, message: &[u8]) -> bool {
        let fits = self.inbox.try_send(Bytes::copy_from_slice(message)).is_ok();
        if !fits {
            self.wake.notify_one();
        }
        fits
    }
}

/// Why a connection was given up.
#[derive(Debug)]
enum Ended {
    Shutdown,
    Closed,
    Silent,
    Deaf,
}

/// See the module's documentation.
pub struct Bus {
    client: Client,
    links: HashMap<String, Arc<Link>>,
    probe: Probe,
    freshness: Arc<FreshnessState>,
    counts: Arc<Counts>,
    timing: Timing,
}

impl Bus {
    /// Prepares the bus. Errors when the URL is not usable.
    pub fn new(
        url: &str,
        links: impl IntoIterator<Item = (PoolId, Arc<Link>)>,
        probe: Probe,
        freshness: Arc<FreshnessState>,
        counts: Arc<Counts>,
        timing: Timing,
    ) -> Result<Self, StoreError> {
        let unusable = |error: RedisError| StoreError::Unavailable(format!("the Redis URL is not usable: {error}"));
        let info = url.into_connection_info().map_err(unusable)?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(unusable)?;
        let links = links.into_iter().map(|(pool, link)| (PoolKeys::new(&pool).channel, link)).collect();
        Ok(Self { client, links, probe, freshness, counts, timing })
    }

    /// Listens until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = self.timing.least_backoff;
        loop {
            let began = Instant::now();
            let connecting = timeout(self.timing.connect, self.connect());
            let connected = tokio::select! {
                () = shutdown.cancelled() => return,
                connected = connecting => connected,
            };
            match connected {
                Ok(Ok((sink, stream))) => {
                    self.set_connected(true);
                    let ended = self.listen(sink, stream, &shutdown).await;
                    self.set_connected(false);
                    match ended {
                        Ended::Shutdown => return,
                        Ended::Deaf => warn!("messages do not arrive although the server takes them; connecting anew"),
                        Ended::Closed | Ended::Silent => debug!(?ended, "the subscription ended"),
                    }
                    self.counts.disconnects.add(1);
                    if began.elapsed() >= GOOD {
                        backoff = self.timing.least_backoff;
                    }
                }
                Ok(Err(error)) => debug!(%error, "cannot subscribe"),
                Err(_) => debug!("subscribing takes too long"),
            }
            let pause = rand::rng().random_range(self.timing.least_backoff / 2..=backoff);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(pause) => {}
            }
            backoff = (backoff * 2).min(self.timing.most_backoff);
        }
    }

    fn set_connected(&self, connected: bool) {
        self.freshness.set_connected(connected);
        for link in self.links.values() {
            link.set_connected(connected);
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), RedisError> {
        let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
        let channels: Vec<&str> = self.links.keys().map(String::as_str).chain([self.probe.channel()]).collect();
        sink.subscribe(channels).await?;
        Ok((sink, stream))
    }

    async fn listen(&self, mut sink: PubSubSink, mut stream: PubSubStream, shutdown: &CancellationToken) -> Ended {
        let reading = async {
            while let Some(message) = stream.next().await {
                self.route(message.get_channel_name(), message.get_payload_bytes());
            }
            Ended::Closed
        };
        let pinging = async {
            loop {
                sleep(self.timing.ping).await;
                match timeout(self.timing.ping, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) => return Ended::Closed,
                    Err(_) => return Ended::Silent,
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => Ended::Shutdown,
            ended = reading => ended,
            ended = pinging => ended,
            () = self.probe.run(&self.freshness, &self.counts, self.timing) => Ended::Deaf,
        }
    }

    fn route(&self, channel: &str, payload: &[u8]) {
        if let Some(link) = self.links.get(channel) {
            if !link.offer(payload) {
                self.counts.dropped.add(1);
            }
        } else if channel == self.probe.channel() {
            self.probe.heard(payload, &self.freshness);
        }
    }
}
