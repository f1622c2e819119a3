//! The connection to a node: made again and again until nobody watches any more, or until the node says
//! that trying again is of no use.

use std::{convert::Infallible, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Error, protocol::CloseFrame},
};

use super::{
    address::Address,
    backoff::{Backoff, within},
    ending::{Ending, of_close, of_error},
    message::{Message, Problem},
    resume::Resume,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nodes ping every 25 s, give or take, and give clients 10 s to answer; so much is allowed to them, too.
const SILENCE: Duration = Duration::from_secs(40);
/// Together with jitter of as much: the pause before going on where a node asks for that at once.
const AT_ONCE: Duration = Duration::from_millis(250);

/// What happens to the connection.
#[derive(Clone, Debug)]
pub enum Signal {
    /// An attempt begins.
    Connecting,
    /// The node said something.
    Said(Message),
    /// The node asked to come again; until then it goes on.
    Leaving {
        /// When that will be.
        at: Instant,
        /// Why.
        why: String,
    },
    /// There is no connection; the next attempt comes.
    Waiting {
        /// When.
        until: Instant,
        /// Why it is needed.
        why: String,
    },
}

/// The connection.
pub struct Link {
    address: Address,
    key: Option<String>,
    resume: Resume,
    backoff: Backoff,
    signals: mpsc::Sender<Signal>,
}

/// Nobody listens, or nothing more can be done.
enum Over {
    Unwatched,
    Ended(Ending),
}

impl From<mpsc::error::SendError<Signal>> for Over {
    fn from(_: mpsc::error::SendError<Signal>) -> Self {
        Self::Unwatched
    }
}

impl Link {
    /// Follows what `resume` says, and tells `signals` about it.
    pub fn new(address: Address, key: Option<String>, resume: Resume, signals: mpsc::Sender<Signal>) -> Self {
        Self { address, key, resume, backoff: Backoff::default(), signals }
    }

    /// Stays connected. Ends when nobody takes signals any more (`None`), or with the reason why trying
    /// again is of no use.
    pub async fn run(mut self) -> Option<String> {
        loop {
            let ending = match self.connection().await {
                Ok(never) => match never {},
                Err(Over::Unwatched) => return None,
                Err(Over::Ended(ending)) => ending,
            };
            let (until, why) = match ending {
                Ending::Stop(why) => return Some(why),
                Ending::Later { at_least, why } => (Instant::now() + at_least + self.backoff.after_failure(rand::random()), why),
                Ending::AtOnce { why } => (Instant::now() + AT_ONCE + AT_ONCE.mul_f64(rand::random()), why),
                Ending::At { until, why } => (until, why),
            };
            if self.signals.send(Signal::Waiting { until, why }).await.is_err() {
                return None;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.signals.closed() => return None,
            }
        }
    }

    async fn connection(&mut self) -> Result<Infallible, Over> {
        self.signals.send(Signal::Connecting).await?;
        let request = self.address.request(&self.resume.query(), self.key.as_deref());
        let request = request.map_err(|why| Over::Ended(Ending::Stop(why)))?;
        let mut socket = match timeout(CONNECT_TIMEOUT, connect_async(request)).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(error)) => return Err(Over::Ended(of_error(error, self.key.is_some()))),
            Err(_) => return Err(Over::Ended(Ending::later("the node does not answer"))),
        };
        let since = Instant::now();
        let over = match self.follow(&mut socket).await {
            Ok(never) => match never {},
            Err(over) => over,
        };
        self.backoff.stood(since.elapsed());
        // Whether the node hears of it or not, this connection is over.
        let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
        Err(over)
    }

    async fn follow(&mut self, socket: &mut Socket) -> Result<Infallible, Over> {
        let mut leaving: Option<(Instant, String)> = None;
        let mut problem: Option<Problem> = None;
        let mut opened = false;
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let leave_at = leaving.as_ref().map(|(at, _)| *at);
            let frame = tokio::select! {
                frame = socket.next() => frame,
                () = sleep_until(silent_at) => return Err(Over::Ended(Ending::later("the node fell silent"))),
                () = sleep_until(leave_at.unwrap_or(silent_at)), if leave_at.is_some() => None,
                () = self.signals.closed() => return Err(Over::Unwatched),
            };
            silent_at = Instant::now() + SILENCE;
            let message = match frame {
                Some(Ok(tungstenite::Message::Text(text))) => Message::read(&text),
                Some(Ok(tungstenite::Message::Close(frame))) => return Err(self.closed(frame, problem, leaving)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(lost(Some(error), leaving)),
                None => return Err(lost(None, leaving)),
            };
            match &message {
                Message::Ping { n, .. } => send(socket, pong(n.as_ref())).await?,
                Message::Drain { reason, reconnect_in_ms } => {
                    let why = format!("the node asks to reconnect ({reason})");
                    let at = Instant::now() + reconnect_in_ms.map_or(AT_ONCE, |range| within(range, rand::random()));
                    leaving = Some((at, why.clone()));
                    self.signals.send(Signal::Leaving { at, why }).await?;
                }
                Message::Error { problem: said, .. } => problem = Some(said.clone()),
                Message::QuotaInitial(_) if !opened => {
                    opened = true;
                    for command in self.resume.commands() {
                        send(socket, command).await?;
                    }
                }
                _ => {}
            }
            if self.resume.note(&message).is_err() {
                return Err(Over::Ended(Ending::AtOnce { why: "an event was missing".to_owned() }));
            }
            self.signals.send(Signal::Said(message)).await?;
        }
    }

    fn closed(&self, frame: Option<CloseFrame>, problem: Option<Problem>, leaving: Option<(Instant, String)>) -> Over {
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        match leaving {
            Some((until, why)) if code.is_none_or(|code| !(4000..4200).contains(&code)) => Over::Ended(Ending::At { until, why }),
            _ => Over::Ended(of_close(frame.as_ref(), problem.as_ref(), self.key.is_some())),
        }
    }
}

/// The connection broke, or it is time to leave it.
fn lost(error: Option<Error>, leaving: Option<(Instant, String)>) -> Over {
    Over::Ended(match (leaving, error) {
        (Some((until, why)), _) => Ending::At { until, why },
        (None, Some(error)) => Ending::later(error),
        (None, None) => Ending::later("the connection broke"),
    })
}

fn pong(n: Option<&Value>) -> String {
    match n {
        Some(n) => json!({"type": "pong", "n": n}).to_string(),
        None => json!({"type": "pong"}).to_string(),
    }
}

async fn send(socket: &mut Socket, text: String) -> Result<(), Over> {
    match timeout(CONNECT_TIMEOUT, socket.send(tungstenite::Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Over::Ended(Ending::later(error))),
        Err(_) => Err(Over::Ended(Ending::later("the node does not read"))),
    }
}
