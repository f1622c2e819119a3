//! Serves until it is told to stop, then lets requests in flight finish.

use std::io;

use poem::{Endpoint, Response, Server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{HttpState, listener::BoundedListener};

/// Serves a router on a bound listener until `shutdown` is cancelled.
///
/// From then on no connection is accepted; requests in flight have `shutdown_grace` to finish. Returns when the last
/// is done or the time is up. Fails when the listener does.
pub async fn serve<E>(listener: TcpListener, router: E, state: &HttpState, shutdown: CancellationToken) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let settings = state.settings();
    let listener = BoundedListener::new(listener, settings.max_connections);
    let stopping = async move { shutdown.cancelled().await };
    Server::new_with_acceptor(listener)
        .idle_timeout(settings.idle_timeout)
        .run_with_graceful_shutdown(router, stopping, Some(settings.shutdown_grace))
        .await
}
