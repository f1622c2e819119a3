//! A TCP proxy before a Redis server that can keep messages from whoever subscribes through it, while
//! the connection goes on answering pings, and that can let single connections hang.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream, unix::OwnedReadHalf},
    sync::watch,
};

/// The socket of a private server.
pub fn socket(server: &quota_coordinator::private_redis::PrivateRedis) -> PathBuf {
    server.url().strip_prefix("redis+unix://").unwrap().into()
}

/// Which replies of the server are lost at random.
#[derive(Clone)]
struct Loss {
    /// Only those that contain this.
    of: String,
    /// One in so many.
    one_in: u32,
    seed: u64,
}

struct Shared {
    /// Chunks from the server that contain this are swallowed.
    swallows: Mutex<Option<String>>,
    swallowed: watch::Sender<u64>,
    /// A connection over which a client sends this hangs from then on.
    hangs: Mutex<Option<String>>,
}

/// Lives as long as the test's runtime.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy before the server behind a socket.
    pub async fn before(socket: PathBuf) -> Self {
        Self::with(socket, None).await
    }

    /// As [`Self::before`]; one in so many replies that contain the text is lost, each by itself.
    pub async fn losing(socket: PathBuf, of: &str, one_in: u32, seed: u64) -> Self {
        Self::with(socket, Some(Loss { of: of.to_owned(), one_in, seed })).await
    }

    async fn with(socket: PathBuf, loss: Option<Loss>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { swallows: Mutex::default(), swallowed: watch::Sender::new(0), hangs: Mutex::default() });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&socket).await else { continue };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let shared = accepting.clone();
                tokio::spawn(async move {
                    let mut chunk = vec![0; 1 << 16];
                    while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
                        let text = String::from_utf8_lossy(&chunk[..n]);
                        let hang = shared.hangs.lock().unwrap().as_ref().is_some_and(|needle| text.contains(needle));
                        if hang {
                            std::future::pending::<()>().await;
                        }
                        if to_server.write_all(&chunk[..n]).await.is_err() {
                            return;
                        }
                    }
                });
                let shared = accepting.clone();
                if let Some(loss) = loss.clone() {
                    tokio::spawn(lose(from_server, to_client, loss, shared));
                    continue;
                }
                tokio::spawn(async move {
                    let mut chunk = vec![0; 1 << 16];
                    while let Ok(n @ 1..) = from_server.read(&mut chunk).await {
                        let text = String::from_utf8_lossy(&chunk[..n]);
                        let swallow = shared.swallows.lock().unwrap().as_ref().is_some_and(|needle| text.contains(needle));
                        if swallow {
                            shared.swallowed.send_modify(|count| *count += 1);
                        } else if to_client.write_all(&chunk[..n]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, shared }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on messages that contain the text do not arrive.
    pub fn swallow(&self, text: &str) {
        *self.shared.swallows.lock().unwrap() = Some(text.to_owned());
    }

    /// From now on each connection over which the text is sent hangs, open and silent.
    pub fn hang(&self, text: &str) {
        *self.shared.hangs.lock().unwrap() = Some(text.to_owned());
    }

    /// Everything arrives again, over new connections where some hang.
    pub fn pass(&self) {
        *self.shared.hangs.lock().unwrap() = None;
        *self.shared.swallows.lock().unwrap() = None;
    }

    /// How many chunks or replies were swallowed.
    pub fn lost(&self) -> u64 {
        *self.shared.swallowed.borrow()
    }

    /// Waits until so many chunks were swallowed.
    pub async fn swallowed(&self, count: u64) {
        self.shared.swallowed.subscribe().wait_for(|swallowed| *swallowed >= count).await.unwrap();
    }
}

/// Passes whole replies on, but for those that are lost.
async fn lose(mut server: OwnedReadHalf, mut client: impl AsyncWriteExt + Unpin, loss: Loss, shared: Arc<Shared>) {
    let mut random = StdRng::seed_from_u64(loss.seed);
    let mut buffer = Vec::new();
    while let Ok(1..) = server.read_buf(&mut buffer).await {
        let (mut at, mut kept) = (0, Vec::with_capacity(buffer.len()));
        while let Some(length) = reply(&buffer[at..]) {
            let bytes = &buffer[at..at + length];
            at += length;
            if String::from_utf8_lossy(bytes).contains(&loss.of) && random.random_ratio(1, loss.one_in) {
                shared.swallowed.send_modify(|count| *count += 1);
            } else {
                kept.extend_from_slice(bytes);
            }
        }
        buffer.drain(..at);
        if client.write_all(&kept).await.is_err() {
            return;
        }
    }
}

/// Length of the reply that the bytes begin with; `None` while it is not complete.
fn reply(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&bytes[1..line - 2]).unwrap().parse::<i64>().unwrap();
    match bytes[0] {
        b'$' => {
            let length = usize::try_from(count()).map_or(line, |length| line + length + 2);
            (bytes.len() >= length).then_some(length)
        }
        b'*' | b'>' => (0..count()).try_fold(line, |at, _| Some(at + reply(&bytes[at..])?)),
        _ => Some(line),
    }
}
