//! From a request to a WebSocket. Only what protects the node, and a key that a program sent in a
//! header, is refused before the upgrade: browsers do not show the answer to a refused one.

use poem::{
    FromRequest, IntoResponse, Request, RequestBody, Response, handler,
    http::{StatusCode, header},
    web::websocket::{WebSocket, WebSocketConfig},
};

use super::{
    Live, origin, query,
    session::{Entry, Session},
};
use crate::http::{
    HttpState,
    auth::{Keyring, Principal, Role},
    edge::Context,
    problem::Problem,
};

/// The subprotocol that newer clients may name; older ones name none.
const PROTOCOL: &str = "quota-stream.v1";

fn config(message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(8 << 10)
        .max_write_buffer_size(256 << 10)
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes))
}

/// 503 for a node that has no room.
pub fn full() -> Problem {
    let detail = "this node has no room for more connections now";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", "Too many connections", detail)
        .with_retry_after(std::time::Duration::from_secs(5))
}

/// Who asks, as far as the request itself says: by key, by ticket, or because nobody needs one.
pub async fn principal_of(request: &Request, state: &HttpState, live: &Live) -> Result<Option<Principal>, Problem> {
    if Keyring::is_presented(request.headers()) || state.keyring().is_open(Role::Read) {
        return state.keyring().authorize(request.headers(), Role::Read).cloned().map(Some);
    }
    let ticket = request.params::<Vec<(String, String)>>().unwrap_or_default();
    match ticket.into_iter().find(|(name, _)| name == "ticket") {
        Some((_, ticket)) => live.redeem_ticket(state, &ticket, origin_of(request)).await.map(Some),
        None => Ok(None),
    }
}

/// The page that asks, where a browser asks for one.
pub fn origin_of(request: &Request) -> Option<&str> {
    request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok())
}

#[handler]
pub async fn upgrade(request: &Request) -> Result<Response, Problem> {
    let state = Context::of(request)?.state.clone();
    let live = Live::of(&state)?.clone();
    let socket = WebSocket::from_request(request, &mut RequestBody::default()).await.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "not_a_websocket", "Not a WebSocket request", error.to_string())
    })?;
    let settings = &live.0.settings;
    let place = live.place()?;
    let allowed = origin::is_allowed(request.headers(), &settings.origins);
    let principal = if allowed { principal_of(request, &state, &live).await? } else { None };
    let address = request.remote_addr().as_socket_addr().map(|address| address.ip().to_string()).unwrap_or_default();
    let unknown = if principal.is_none() && allowed { live.0.census.unknown(address) } else { None };
    let entry = Entry { allowed, principal, unknown, wanted: query::of_request(request) };
    let tasks = live.0.tasks.clone();
    let upgraded = socket.config(config(settings.message_bytes)).protocols([PROTOCOL]).on_upgrade(move |socket| {
        tasks.track_future(async move {
            let _place = place;
            Session::new(socket, state, live).run(entry).await;
        })
    });
    Ok(upgraded.into_response())
}
