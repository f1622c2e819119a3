//! One WebSocket, from its upgrade to its close.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use poem::{
    http::StatusCode,
    web::websocket::{CloseCode, Message, WebSocketStream},
};
use rand::Rng;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Live,
    census::Place,
    command::{Command, Misunderstood, Wanted, is_plain},
    frame::{self, Mode},
    pace::Pace,
    query::Target,
    views::{View, Views},
};
use crate::{
    domain::Position,
    events::{Delivery, Snapshot, timing::jittered},
    http::{
        HttpState,
        auth::{Principal, Role},
        problem::{FieldError, Problem, from_coordinator},
    },
};

/// How long a peer may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(2);
/// A client that was asked to come again does so within this time.
const RECONNECT: Duration = Duration::from_secs(20);

/// What is known before the first message.
pub struct Entry {
    /// Its origin may connect.
    pub allowed: bool,
    /// Who it is.
    pub principal: Option<Principal>,
    /// Else a place among those that have yet to say who they are, if there was one left.
    pub unknown: Option<Place>,
    /// What the URL asks for.
    pub wanted: Result<Wanted, Problem>,
}

/// Why a connection ends. The ranges of codes tell clients what to do: 40xx do not try again as you
/// are, 41xx wait and try again, 42xx come again now and go on from your cursor.
#[derive(Debug)]
pub enum End {
    /// The peer has gone.
    Gone,
    /// This node closes.
    Close(u16, &'static str),
}

/// The code for a failure that leaves nothing to do.
fn fatal(problem: &Problem) -> End {
    match problem.status() {
        StatusCode::UNAUTHORIZED => End::Close(4001, "unauthorized"),
        StatusCode::FORBIDDEN => End::Close(4003, "forbidden"),
        StatusCode::NOT_FOUND => End::Close(4004, "unknown_pool"),
        StatusCode::SERVICE_UNAVAILABLE => End::Close(4102, "overloaded"),
        StatusCode::INTERNAL_SERVER_ERROR => End::Close(1011, "internal"),
        _ => End::Close(4000, "bad_message"),
    }
}

/// The code for what is no message. The web framework hands on the text of the error alone.
fn unreadable(error: &std::io::Error) -> End {
    match error.to_string() {
        text if text.contains("UTF-8") => End::Close(1007, "not_utf8"),
        text if text.contains("without closing handshake") => End::Gone,
        text if text.contains("protocol error") => End::Close(1002, "protocol_error"),
        _ => End::Close(1009, "too_big"),
    }
}

/// See the module's documentation.
pub struct Session {
    socket: WebSocketStream,
    state: HttpState,
    live: Live,
    views: Views,
    pace: Pace,
    heard_at: Instant,
    pings: u64,
}

impl Session {
    pub fn new(socket: WebSocketStream, state: HttpState, live: Live) -> Self {
        let now = Instant::now();
        let pace = Pace::new(live.0.settings.commands, now);
        Self { socket, state, live, views: Views::default(), pace, heard_at: now, pings: 0 }
    }

    /// Serves the connection until it ends.
    pub async fn run(mut self, entry: Entry) {
        let gauge = self.live.0.connections.with_label_values(&["websocket"]);
        gauge.inc();
        if let Err(End::Close(code, reason)) = self.serve(entry).await {
            self.live.0.closes.with_label_values(&[code.to_string().as_str()]).inc();
            let close = Message::Close(Some((CloseCode::from(code), reason.to_owned())));
            let farewell = async {
                if self.socket.send(close).await.is_ok() {
                    while let Some(Ok(_)) = self.socket.next().await {}
                }
            };
            // A peer that does not answer has had its time.
            let _ = timeout(FAREWELL, farewell).await;
        }
        gauge.dec();
    }

    async fn serve(&mut self, entry: Entry) -> Result<(), End> {
        if !entry.allowed {
            return self.refuse(None, &Problem::forbidden("pages of this origin may not connect")).await;
        }
        let principal = match (entry.principal, entry.unknown) {
            (Some(principal), _) => principal,
            (None, Some(_place)) => self.authenticate().await?,
            (None, None) => return Err(End::Close(4100, "connection_limit")),
        };
        let Some(_of_key) = self.live.0.census.key(principal.name()) else {
            return Err(End::Close(4100, "connection_limit"));
        };
        let target = entry.wanted.and_then(|wanted| Target::of(wanted, &principal, &self.state));
        match target {
            Ok(target) => self.open(None, None, target).await?,
            Err(problem) => self.refuse(None, &problem).await?,
        }
        self.follow(&principal).await
    }

    /// Waits for the client to say who it is.
    async fn authenticate(&mut self) -> Result<Principal, End> {
        let deadline = Instant::now() + self.live.0.settings.authenticate_within;
        loop {
            let message = tokio::select! {
                message = self.socket.next() => message,
                () = sleep_until(deadline) => return Err(End::Close(4008, "authenticate_timeout")),
            };
            let text = self.text_of(message)?;
            if text.as_ref().is_some_and(|text| text.len() > self.live.0.settings.unknown_message_bytes) {
                return Err(End::Close(1009, "too_big"));
            }
            match text.map(|text| Command::read(&text)) {
                Some(Ok(Command::Authenticate { id, token })) => {
                    match self.state.keyring().authorize_key(&token, Role::Read).cloned() {
                        Ok(principal) => {
                            self.send(frame::done("authenticated", id.as_ref(), None)).await?;
                            return Ok(principal);
                        }
                        Err(problem) => self.refuse(id.as_ref(), &problem).await?,
                    }
                }
                Some(Ok(Command::Ping { n })) => self.send(frame::pong(n.as_ref())).await?,
                Some(Ok(Command::Unknown | Command::Pong)) | None => {}
                Some(_) => return Err(End::Close(4001, "authenticate_first")),
            }
        }
    }

    async fn follow(&mut self, principal: &Principal) -> Result<(), End> {
        let (ping, pong) = (jittered(self.live.0.settings.ping, 0.1), self.live.0.settings.pong);
        let mut ping_at = Instant::now() + ping;
        let mut close_at = Instant::now() + jittered(self.live.0.settings.max_age, 0.33);
        let mut closing: Option<(u16, &'static str)> = None;
        // A connection does not get so old that the bound would matter; an instant too far away could not be told.
        let expires_at = principal.expires_in().map(|rest| Instant::now() + rest.min(Duration::from_secs(86_400)));
        let draining = self.state.draining().clone();
        loop {
            let silent_at = self.heard_at + ping + pong;
            tokio::select! {
                biased;
                () = draining.cancelled(), if closing.is_none() => {
                    let window = self.live.0.settings.drain_window;
                    close_at = Instant::now() + self.drain("shutdown", window).await?;
                    closing = Some((4200, "drain"));
                }
                () = sleep_until(close_at) => match closing {
                    Some((code, reason)) => return Err(End::Close(code, reason)),
                    None => {
                        close_at = Instant::now() + self.drain("max_age", FAREWELL).await?;
                        closing = Some((4204, "max_age"));
                    }
                },
                () = sleep_until(expires_at.unwrap_or(close_at)), if expires_at.is_some() => {
                    return Err(End::Close(4203, "token_expired"));
                }
                message = self.socket.next() => {
                    if let Some(text) = self.text_of(message)? {
                        self.obey(&text, principal).await?;
                    }
                }
                (at, delivery) = self.views.next() => self.deliver(at, delivery).await?,
                () = sleep_until(silent_at) => return Err(End::Close(4201, "pong_timeout")),
                () = sleep_until(ping_at) => {
                    ping_at += ping;
                    self.pings += 1;
                    let stale = self.live.hub().freshness().stale;
                    self.write(Message::Ping(Vec::new())).await?;
                    self.send(frame::ping(self.pings, stale)).await?;
                }
            }
        }
    }

    /// Tells the client that the connection will be closed, and when.
    async fn drain(&mut self, reason: &'static str, window: Duration) -> Result<Duration, End> {
        let close = window.mul_f64(rand::rng().random_range(0.0..1.0));
        let text = frame::drain(reason, RECONNECT, close, &self.views.cursors());
        self.send(text).await?;
        Ok(close)
    }

    /// The text of a message, where it is one. Whatever comes is a sign of life.
    fn text_of(&mut self, message: Option<std::io::Result<Message>>) -> Result<Option<String>, End> {
        self.heard_at = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) if self.pace.admits(self.heard_at) => Ok(Some(text)),
            Some(Ok(Message::Text(_))) => Err(End::Close(4101, "command_rate")),
            Some(Ok(Message::Binary(_))) => Err(End::Close(4000, "bad_message")),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Err(error)) => Err(unreadable(&error)),
            Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        }
    }

    async fn obey(&mut self, text: &str, principal: &Principal) -> Result<(), End> {
        match Command::read(text) {
            Ok(Command::Ping { n }) => self.send(frame::pong(n.as_ref())).await,
            Ok(Command::Pong | Command::Unknown) => Ok(()),
            Ok(Command::Authenticate { id, .. }) => self.send(frame::done("authenticated", id.as_ref(), None)).await,
            Ok(Command::RequestStatus) => self.send_status().await,
            Ok(Command::Unsubscribe { id, subscription }) => {
                if self.views.remove(&subscription) {
                    return self.send(frame::done("unsubscribed", id.as_ref(), Some(&subscription))).await;
                }
                let problem = Problem::validation(vec![FieldError::at("/subscription", "there is none of that name")]);
                self.send(frame::error(id.as_ref(), false, &problem)).await
            }
            Ok(Command::Subscribe { id, subscription, wanted }) => {
                let most = self.live.0.settings.max_subscriptions;
                let name_error = match () {
                    () if !is_plain(&subscription) => Some("must be 1 to 64 characters of A-Z a-z 0-9 . _ -"),
                    () if self.views.has(&subscription) => Some("is taken"),
                    () if self.views.len() >= most => Some("is one too many on this connection"),
                    () => None,
                };
                let target = match name_error {
                    Some(detail) => Err(Problem::validation(vec![FieldError::at("/subscription", detail)])),
                    None => Target::of(wanted, principal, &self.state),
                };
                match target {
                    Ok(target) => self.open(id, Some(subscription), target).await,
                    Err(problem) => self.send(frame::error(id.as_ref(), false, &problem)).await,
                }
            }
            Err(Misunderstood::Fields(id, problem)) => self.send(frame::error(id.as_ref(), false, &problem)).await,
            Err(Misunderstood::Nonsense) => Err(End::Close(4000, "bad_message")),
        }
    }

    /// Begins to follow something. A failure ends the connection only if it has nothing else to do.
    async fn open(&mut self, id: Option<Value>, name: Option<String>, target: Target) -> Result<(), End> {
        let Some(place) = self.live.0.census.pool(&target.pool) else {
            return Err(End::Close(4100, "connection_limit"));
        };
        let hub = self.live.hub().clone();
        let opened = hub.subscribe(&target.pool, target.filter(), target.cursor).await;
        let first = async {
            let mut subscription = opened.map_err(|error| from_coordinator(error, ""))?;
            let delivery = subscription.next().await;
            let view = View { name, target, subscription, _place: place };
            let text = initial(&self.state, id.as_ref(), &view, &delivery).await?;
            Ok((view, delivery, text))
        };
        match first.await {
            Ok((view, delivery, text)) => {
                self.views.push(view);
                let at = self.views.len() - 1;
                self.send(text).await?;
                self.send_missed(at, delivery).await
            }
            Err(problem) if self.views.len() > 0 => self.send(frame::error(id.as_ref(), false, &problem)).await,
            Err(problem) => self.refuse(id.as_ref(), &problem).await,
        }
    }

    async fn send_missed(&mut self, at: usize, delivery: Delivery) -> Result<(), End> {
        if let Delivery::Replay { events, .. } = delivery {
            for event in events {
                let Some(view) = self.views.get(at) else { break };
                let text = event.to_json(&view.target.pool, view.name.as_deref());
                self.send(text).await?;
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, at: usize, delivery: Delivery) -> Result<(), End> {
        let Some(view) = self.views.get(at) else { return Ok(()) };
        let name = view.name.as_deref();
        let text = match &delivery {
            Delivery::Event(event) => event.to_json(&view.target.pool, name),
            Delivery::Reset { reason } => frame::reset(name, &view.target, *reason),
            Delivery::Overflow => return Err(End::Close(4202, "slow_consumer")),
            Delivery::Update { snapshot, cursor } => match update(&self.state, view, snapshot, *cursor).await {
                Ok(text) => text,
                // The next one will tell the same; an update is never owed.
                Err(_) => return Ok(()),
            },
            Delivery::Snapshot { .. } | Delivery::Replay { .. } => match initial(&self.state, None, view, &delivery).await {
                Ok(text) => text,
                // A snapshot is owed: the client gets it when it comes again.
                Err(problem) => return Err(fatal(&problem)),
            },
        };
        self.send(text).await?;
        self.send_missed(at, delivery).await
    }

    /// Present figures of everything that is followed.
    async fn send_status(&mut self) -> Result<(), End> {
        let mut texts = Vec::with_capacity(self.views.len());
        for view in self.views.iter() {
            let read = self.live.hub().snapshot(&view.target.pool, &view.target.scope, Duration::ZERO).await;
            let text = match read {
                Ok(snapshot) => update(&self.state, view, &snapshot, view.subscription.cursor()).await,
                Err(error) => Err(from_coordinator(error, "")),
            };
            texts.push(text.unwrap_or_else(|problem| frame::error(None, false, &problem)));
        }
        for text in texts {
            self.send(text).await?;
        }
        Ok(())
    }

    /// Says what is wrong, and ends the connection.
    async fn refuse(&mut self, id: Option<&Value>, problem: &Problem) -> Result<(), End> {
        self.send(frame::error(id, true, problem)).await?;
        Err(fatal(problem))
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        self.write(Message::Text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.live.0.settings.write_stall, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Close(4202, "slow_consumer")),
        }
    }
}

/// The `quota_initial` of a snapshot or replay. A replay's cursor is where it begins: until its events
/// have arrived, the client has them not.
async fn initial(state: &HttpState, id: Option<&Value>, view: &View, delivery: &Delivery) -> Result<String, Problem> {
    let (mode, snapshot, cursor) = match delivery {
        Delivery::Snapshot { reason, snapshot, cursor } => (Mode::Snapshot(*reason), snapshot, *cursor),
        Delivery::Replay { snapshot, cursor, .. } => (Mode::Replay, snapshot, view.target.cursor.unwrap_or(*cursor)),
        _ => return Err(Problem::internal("a subscription did not begin with a snapshot or replay")),
    };
    let data = frame::status_data(state, &view.target, snapshot).await?;
    Ok(frame::status(Some(mode), (id, view.name.as_deref()), &view.target, cursor, snapshot.usage.at_us, &data))
}

async fn update(state: &HttpState, view: &View, snapshot: &Snapshot, cursor: Position) -> Result<String, Problem> {
    let data = frame::status_data(state, &view.target, snapshot).await?;
    Ok(frame::status(None, (None, view.name.as_deref()), &view.target, cursor, snapshot.usage.at_us, &data))
}
