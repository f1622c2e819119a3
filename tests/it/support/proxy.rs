//! A TCP proxy before a Redis server that can keep messages from whoever subscribes through it, while
//! the connection goes on answering pings.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::watch,
};

/// The socket of a private server.
pub fn socket(server: &quota_coordinator::private_redis::PrivateRedis) -> PathBuf {
    server.url().strip_prefix("redis+unix://").unwrap().into()
}

struct Shared {
    /// Chunks from the server that contain this are swallowed.
    swallows: Mutex<Option<String>>,
    swallowed: watch::Sender<u64>,
}

/// Lives as long as the test's runtime.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy before the server behind a socket.
    pub async fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { swallows: Mutex::default(), swallowed: watch::Sender::new(0) });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&socket).await else { continue };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let shared = accepting.clone();
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

    /// Everything arrives again.
    pub fn pass(&self) {
        *self.shared.swallows.lock().unwrap() = None;
    }

    /// Waits until so many chunks were swallowed.
    pub async fn swallowed(&self, count: u64) {
        self.shared.swallowed.subscribe().wait_for(|swallowed| *swallowed >= count).await.unwrap();
    }
}
