//! Nodes as processes, which come and go while their addresses stay.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use quota_coordinator::private_redis::PrivateRedis;
use tempfile::TempDir;

use super::{eventually::soon, process::Running};

/// Processes of the real program over one Redis.
pub struct Fleet {
    nodes: Vec<(SocketAddr, Option<Running>)>,
    configuration: String,
    _directory: TempDir,
}

impl Fleet {
    /// As many nodes for these pools.
    pub async fn start(server: &PrivateRedis, pools: &str, size: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("quota.toml");
        let text = format!(
            "{pools}\n[redis]\nurl = \"{}\"\ndeadline_ms = 5000\n[server]\nshutdown_grace = \"1s\"\n[auth]\nmode = \"none\"\n",
            server.url()
        );
        std::fs::write(&path, text).unwrap();
        // Not 127.0.0.1, from which everybody else on this machine connects: a port stays free while its node is away.
        let nodes = (2..2 + size).map(|last| (free(Ipv4Addr::new(127, 0, 0, last)), None)).collect();
        let mut fleet = Self { nodes, configuration: path.to_str().unwrap().to_owned(), _directory: directory };
        for node in 0..fleet.nodes.len() {
            fleet.raise(node).await;
        }
        fleet
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|(address, _)| *address).collect()
    }

    /// Starts a node that is down, and waits until it is ready.
    pub async fn raise(&mut self, node: usize) {
        let (address, process) = &mut self.nodes[node];
        let listen = address.to_string();
        *process = Some(Running::start(&["serve", "--config", &self.configuration], &[("QUOTA__SERVER__LISTEN", &listen)]));
        let url = format!("http://{address}/readyz");
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
        soon("a node is ready", async {
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200) {
                tick.tick().await;
            }
        })
        .await;
    }

    /// Ends a node with a signal (`KILL`, or `TERM` for an orderly end), and waits until it is gone.
    pub async fn fell(&mut self, node: usize, signal: &str) {
        let mut process = self.nodes[node].1.take().unwrap();
        process.signal(signal);
        process.code().await;
    }

    /// Sends a signal, and does not wait for what comes of it.
    pub fn signal(&self, node: usize, signal: &str) {
        self.nodes[node].1.as_ref().unwrap().signal(signal);
    }
}

fn free(address: Ipv4Addr) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}
