//! Accepts connections: small answers leave at once, and their number is bounded.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};

/// Pause after a failed accept (file descriptors are used up): without it the server would spin.
const PAUSE: Duration = Duration::from_millis(50);
/// A connection on which nothing was answered for so long is closed: it may have sent half a head on purpose, which
/// the server itself waits for without end.
const FIRST_ANSWER: Duration = Duration::from_secs(30);
/// How many connections over the bound are told so at once; more are closed without a word.
const REFUSALS: usize = 64;
/// How long telling them may take.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(1);

const REFUSAL: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n",
    "Retry-After: 1\r\nConnection: close\r\nContent-Length: 201\r\n\r\n",
    r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
    r#""title":"Too many connections","status":503,"code":"too_many_connections","#,
    r#""detail":"this node has no room for more"}"#
);

/// A listener with at most so many connections.
pub struct BoundedListener {
    listener: TcpListener,
    room: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl BoundedListener {
    /// Takes over a bound listener.
    pub fn new(listener: TcpListener, max_connections: usize) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(max_connections)), refusals: Arc::new(Semaphore::new(REFUSALS)) }
    }

    async fn next(&self) -> io::Result<(TcpStream, std::net::SocketAddr)> {
        match self.listener.accept().await {
            Ok(accepted) => Ok(accepted),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                Err(error)
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "ends within a second by itself, and nobody waits for it")]
    fn refuse(&self, mut stream: TcpStream) {
        tracing::warn!("a connection was refused: this node has no room for more");
        if let Ok(permit) = self.refusals.clone().try_acquire_owned() {
            tokio::spawn(async move {
                let told = async {
                    stream.write_all(REFUSAL.as_bytes()).await?;
                    stream.shutdown().await
                };
                // The peer may be gone already; there is nobody else to tell.
                let _ = tokio::time::timeout(REFUSAL_DEADLINE, told).await;
                drop(permit);
            });
        }
    }
}

impl Acceptor for BoundedListener {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.listener.local_addr().map(|addr| vec![LocalAddr(addr.into())]).unwrap_or_default()
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            let (stream, peer) = self.next().await?;
            let Ok(permit) = self.room.clone().try_acquire_owned() else {
                self.refuse(stream);
                continue;
            };
            stream.set_nodelay(true)?;
            let local = stream.local_addr()?;
            let connection = Connection::new(stream, permit);
            return Ok((connection, LocalAddr(local.into()), RemoteAddr(peer.into()), Scheme::HTTP));
        }
    }
}

/// A connection, which leaves its room to another when it ends.
pub struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    /// Until the first answer.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, _permit: permit, deadline: Some(Box::pin(tokio::time::sleep(FIRST_ANSWER))) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &mut self.deadline {
            Some(deadline) if read.is_pending() => deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            _ => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.deadline = None;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn the_refusal_is_well_formed() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len()).trim_end().to_owned()), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[tokio::test]
    async fn a_connection_over_the_bound_is_told_and_room_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut bounded = BoundedListener::new(listener, 1);
        let _first = TcpStream::connect(addr).await.unwrap();
        let (held, ..) = bounded.accept().await.unwrap();
        assert!(held.stream.nodelay().unwrap());
        let mut second = TcpStream::connect(addr).await.unwrap();
        let mut answer = String::new();
        tokio::select! {
            _ = bounded.accept() => panic!("no room"),
            read = second.read_to_string(&mut answer) => { read.unwrap(); }
        }
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        drop(held);
        let _third = TcpStream::connect(addr).await.unwrap();
        assert!(bounded.accept().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_does_not_hold_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut bounded = BoundedListener::new(listener, 1);
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
        let (mut connection, ..) = bounded.accept().await.unwrap();
        let mut head = Vec::new();
        let error = connection.read_to_end(&mut head).await.unwrap_err();
        assert_eq!((error.kind(), head.starts_with(b"GET /")), (io::ErrorKind::TimedOut, true));
    }
}
