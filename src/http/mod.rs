//! The HTTP edge: the only folder that knows the web framework.
//!
//! A request comes in through [`listener`], passes [`edge`] (id, span, metrics, failures), is matched by the router,
//! and reaches an operation, whose arguments are extracted in the order written: [`auth`] first, then the [`body`].
//! The operation checks values ([`checks`]), turns the body ([`wire`]) into a request of the coordinator, and its
//! answer back. Whatever fails on the way is a [`problem`].

pub mod answer;
pub mod auth;
mod batch;
pub mod body;
mod check;
mod checks;
mod decide;
mod docs;
pub mod edge;
pub mod headers;
mod health;
mod idempotency;
mod limits;
pub mod listener;
pub mod live;
mod metrics;
mod notifications;
pub mod openapi;
pub mod problem;
mod query;
mod request_id;
mod reservations;
mod reset;
mod routes;
mod server;
mod state;
mod status;
mod usage;
pub mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use poem::{Endpoint, Response, Route, get};
use poem_openapi::Tags;

pub use server::serve;
pub use state::{HttpSettings, HttpState};

/// All operations of the document.
pub type Api = (
    reservations::ReservationsApi,
    batch::BatchApi,
    usage::UsageApi,
    status::StatusApi,
    check::CheckApi,
    notifications::NotificationsApi,
    reset::ResetApi,
    limits::LimitsApi,
    live::EventsApi,
    health::HealthApi,
);

/// The operations themselves; they keep no state of their own.
fn api() -> Api {
    use {batch::BatchApi, check::CheckApi, health::HealthApi, reservations::ReservationsApi};
    use {notifications::NotificationsApi, reset::ResetApi, status::StatusApi, usage::UsageApi};
    (
        ReservationsApi,
        BatchApi,
        UsageApi,
        StatusApi,
        CheckApi,
        NotificationsApi,
        ResetApi,
        limits::LimitsApi,
        live::EventsApi,
        HealthApi,
    )
}

/// Chapters of the document.
#[derive(Tags)]
enum Tag {
    /// Hold units before a call, settle after it.
    Reservations,
    /// What is used, and what would be granted.
    Usage,
    /// What a person should know.
    Notifications,
    /// For operators, with an admin key.
    Admin,
    /// For load balancers, without a key.
    Health,
}

/// Everything that a node answers. `extra` are routes beside the documented operations (live updates, pages); they
/// pass the same layer.
pub fn router(state: HttpState, extra: Route) -> impl Endpoint<Output = Response> + 'static {
    let routes = live::routes(extra)
        .at("/metrics", get(metrics::page))
        .at("/openapi.json", get(docs::json))
        .at("/openapi.yaml", get(docs::yaml))
        .at("/docs", get(docs::page))
        .nest_no_strip("/", openapi::service());
    edge::Edge::around(routes, state, routes::Routes::of::<Api>())
}
