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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test waits for what it spawns")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use poem::Route;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
    };

    use super::*;
    use crate::{
        coordinator::Coordinator,
        http::{HttpSettings, auth::AuthSettings, router},
    };

    /// Everything that the server answers to a request, until it closes.
    async fn ask(mut stream: TcpStream, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_in_flight_finishes_and_no_other_comes_in() {
        let state =
            HttpState::new(Coordinator::absent(), &AuthSettings::default(), prometheus::Registry::new(), HttpSettings::default())
                .unwrap();
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = poem::endpoint::make({
            let (entered, go_on) = (entered.clone(), go_on.clone());
            move |_| {
                let (entered, go_on) = (entered.clone(), go_on.clone());
                async move {
                    entered.notify_one();
                    go_on.notified().await;
                    "finished"
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn({
            let (state, shutdown) = (state.clone(), shutdown.clone());
            async move { serve(listener, router(state.clone(), Route::new().at("/slow", slow)), &state, shutdown).await }
        });
        let live = ask(TcpStream::connect(addr).await.unwrap(), "/livez?secret=1").await;
        assert!(live.starts_with("HTTP/1.1 200 OK") && live.ends_with(r#"{"status":"ok"}"#), "{live}");

        let in_flight = tokio::spawn(ask(TcpStream::connect(addr).await.unwrap(), "/slow"));
        entered.notified().await;
        state.draining().cancel();
        let ready = ask(TcpStream::connect(addr).await.unwrap(), "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("about to stop"), "{ready}");
        shutdown.cancel();
        // The listener is gone as soon as the server has noticed.
        tokio::time::timeout(Duration::from_secs(5), async {
            while TcpStream::connect(addr).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        go_on.notify_one();
        assert!(in_flight.await.unwrap().ends_with("finished"));
        server.await.unwrap().unwrap();
    }
}
