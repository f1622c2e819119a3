//! Live updates: WebSocket, server-sent events, and the list of changes.
//!
//! A connection is one task that reads, follows its subscriptions, and writes. While its peer does not
//! read, it waits here and nowhere else; its queue in the hub is bounded, and overflows for it alone.

mod census;
mod command;
mod frame;
mod list;
mod origin;
mod pace;
mod query;
mod session;
mod settings;
mod sse;
mod tickets;
mod upgrade;
mod views;

use std::sync::{Arc, Mutex, PoisonError};

use poem::{Route, get};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::{
    census::{Census, Place},
    pace::Pace,
};
use super::{HttpState, problem::Problem};
use crate::events::Hub;

pub use list::EventsApi;
pub use settings::LiveSettings;

/// The path of the WebSocket.
pub const WS_PATH: &str = "/api/quota/ws";
/// The path of server-sent events.
pub const STREAM_PATH: &str = "/api/quota/events/stream";

/// What live updates need of a node. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    hub: Hub,
    settings: LiveSettings,
    census: Arc<Census>,
    connects: Mutex<Pace>,
    tasks: TaskTracker,
    connections: IntGaugeVec,
    closes: IntCounterVec,
}

impl Live {
    /// Puts it together. Connections are tracked by `tasks`, as the server does not wait for those that
    /// were upgraded. Fails when a metric of the same name is registered already.
    pub fn new(hub: Hub, settings: LiveSettings, tasks: TaskTracker, registry: &Registry) -> Result<Self, prometheus::Error> {
        let connections = IntGaugeVec::new(Opts::new("live_connections", "Connections that watch, by kind."), &["kind"])?;
        let closes =
            IntCounterVec::new(Opts::new("live_closes_total", "WebSockets that this node closed, by close code."), &["code"])?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(closes.clone()))?;
        let census = Arc::new(Census::new(&settings));
        let connects = Mutex::new(Pace::new(settings.connects, Instant::now()));
        Ok(Self(Arc::new(Inner { hub, settings, census, connects, tasks, connections, closes })))
    }

    /// The live updates of a node that serves them.
    fn of(state: &HttpState) -> Result<&Self, Problem> {
        state.live().ok_or_else(|| Problem::internal("this node was put together without live updates"))
    }

    /// A place for one more connection; 503 when too many are there, or come at once.
    fn place(&self) -> Result<Place, Problem> {
        let in_pace = self.0.connects.lock().unwrap_or_else(PoisonError::into_inner).admits(Instant::now());
        let place = if in_pace { self.0.census.connection() } else { None };
        place.ok_or_else(upgrade::full)
    }

    /// The events.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Waits until every connection has ended. To be asked once the node drains.
    pub async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Adds the routes that the document does not describe.
pub fn routes(routes: Route) -> Route {
    routes.at(WS_PATH, get(upgrade::upgrade)).at(STREAM_PATH, get(sse::serve))
}
