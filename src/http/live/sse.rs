//! The same as server-sent events. `id` is the cursor, so that a browser goes on by itself where it was.

use std::time::Duration;

use futures_util::stream::unfold;
use poem::{
    IntoResponse, Request, Response, handler,
    http::header,
    web::sse::{Event, SSE},
};
use rand::Rng;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Live,
    census::Place,
    frame::{self, Mode},
    origin, query,
    query::Target,
    upgrade::{full, origin_of, principal_of},
};
use crate::{
    domain::Position,
    events::{Delivery, Snapshot, Subscription, timing::jittered},
    http::{
        HttpState,
        edge::Context,
        problem::{Problem, from_coordinator},
    },
};

/// Between comments that keep proxies from closing.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

struct Flow {
    state: HttpState,
    live: Live,
    target: Target,
    subscription: Subscription,
    ready: std::collections::VecDeque<Event>,
    ends_at: Instant,
    draining: CancellationToken,
    leaving: bool,
    _places: (Place, Place, Place),
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.live.0.connections.with_label_values(&["stream"]).dec();
    }
}

#[handler]
pub async fn serve(request: &Request) -> Result<Response, Problem> {
    let state = Context::of(request)?.state.clone();
    let live = Live::of(&state)?.clone();
    let settings = &live.0.settings;
    if !origin::is_allowed(request.headers(), &settings.origins) {
        return Err(Problem::forbidden(format!("pages of {} may not connect", origin_of(request).unwrap_or("that origin"))));
    }
    let place = live.place()?;
    let principal = principal_of(request, &state, &live).await?;
    let principal = principal.ok_or_else(|| Problem::unauthorized("present a key, or a ticket"))?;
    let key_place = live.0.census.key(principal.name()).ok_or_else(full)?;
    let mut target = Target::of(query::of_request(request)?, &principal, &state)?;
    // What a browser sends on its own after a break is newer than what its URL says.
    if let Some(last) = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()) {
        target.cursor = Position::from_cursor(last);
    }
    let pool_place = live.0.census.pool(&target.pool).ok_or_else(full)?;
    let opened = live.hub().subscribe(&target.pool, target.filter(), target.cursor).await;
    let subscription = opened.map_err(|error| from_coordinator(error, ""))?;
    let longest = jittered(settings.max_stream_age, 0.1);
    let ends_at = Instant::now() + principal.expires_in().map_or(longest, |rest| rest.min(longest));
    let retry = Event::retry(rand::rng().random_range(500..2000));
    live.0.connections.with_label_values(&["stream"]).inc();
    let draining = state.draining().clone();
    let flow = Flow {
        state,
        live,
        target,
        subscription,
        ready: [retry].into(),
        ends_at,
        draining,
        leaving: false,
        _places: (place, pool_place, key_place),
    };
    let flow = unfold(flow, |mut flow| async move { flow.next().await.map(|event| (event, flow)) });
    let mut response = SSE::new(flow).keep_alive(KEEP_ALIVE).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    // Else nginx waits until a packet's worth has come together.
    response.headers_mut().insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    Ok(response)
}

fn event(kind: &str, cursor: Option<Position>, text: String) -> Event {
    let event = Event::message(text).event_type(kind);
    match cursor {
        Some(cursor) => event.id(cursor.to_cursor()),
        None => event,
    }
}

impl Flow {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let delivery = tokio::select! {
                () = self.draining.cancelled(), if !self.leaving => {
                    // Spread over a while, so that they do not all come to the other nodes at once.
                    let window = self.live.0.settings.drain_window;
                    self.ends_at = self.ends_at.min(Instant::now() + window.mul_f64(rand::rng().random_range(0.0..1.0)));
                    self.leaving = true;
                    continue;
                }
                () = sleep_until(self.ends_at) => return None,
                delivery = self.subscription.next() => delivery,
            };
            self.take(delivery).await?;
        }
    }

    /// Writes a delivery down; `None` ends the stream, and the browser comes again with its last id.
    async fn take(&mut self, delivery: Delivery) -> Option<()> {
        let pool = self.target.pool.clone();
        match delivery {
            Delivery::Snapshot { reason, snapshot, cursor } => {
                let text = self.status(Some(Mode::Snapshot(reason)), &snapshot, cursor).await?;
                self.ready.push_back(event("quota_initial", Some(cursor), text));
            }
            Delivery::Replay { snapshot, events, cursor, .. } => {
                let from = self.target.cursor.unwrap_or(cursor);
                let text = self.status(Some(Mode::Replay), &snapshot, from).await?;
                self.ready.push_back(event("quota_initial", Some(from), text));
                let missed = events.iter().map(|e| event("quota_event", Some(e.live.position()), e.to_json(&pool, None)));
                self.ready.extend(missed);
            }
            Delivery::Event(delivered) => {
                let text = delivered.to_json(&pool, None);
                self.ready.push_back(event("quota_event", Some(delivered.live.position()), text));
            }
            Delivery::Update { snapshot, cursor } => {
                let text = self.status(None, &snapshot, cursor).await?;
                self.ready.push_back(event("quota_update", Some(cursor), text));
            }
            Delivery::Reset { reason } => {
                self.ready.push_back(event("reset", None, frame::reset(None, &self.target, reason)));
            }
            Delivery::Overflow => return None,
        }
        Some(())
    }

    async fn status(&self, mode: Option<Mode>, snapshot: &Snapshot, cursor: Position) -> Option<String> {
        let data = frame::status_data(&self.state, &self.target, snapshot).await.ok()?;
        Some(frame::status(mode, (None, None), &self.target, cursor, snapshot.usage.at_us, &data))
    }
}
