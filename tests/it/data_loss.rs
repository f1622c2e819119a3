//! What two nodes say when a real server loses what it had.

use quota_coordinator::{
    domain::{PoolId, event::Cause},
    private_redis::{Options, PrivateRedis},
};
use redis::aio::MultiplexedConnection;

use crate::support::{
    eventually::eventually,
    live::{LiveNode, slots},
    redis::{connection, fresh_pool},
};

struct Two {
    _server: PrivateRedis,
    pool: PoolId,
    nodes: [LiveNode; 2],
    admin: MultiplexedConnection,
}

impl Two {
    async fn start() -> Self {
        let arguments = ["--enable-debug-command", "yes"].map(str::to_owned).to_vec();
        let server = PrivateRedis::start_with(Options { arguments, ..Options::default() }).await.unwrap();
        let pool = fresh_pool("loss");
        let nodes = [LiveNode::start(&server, &pool, &slots(&pool)).await, LiveNode::start(&server, &pool, &slots(&pool)).await];
        let admin = connection(&server).await;
        let two = Self { _server: server, pool, nodes, admin };
        two.nodes[0].flip("w1", "seats").await;
        two.nodes[1].flip("w2", "seats").await;
        two
    }

    async fn run(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let _: () = command.query_async(&mut self.admin).await.unwrap();
    }

    /// Losses announced by all nodes: of everything, of the newest operations.
    fn announced(&self) -> (u64, u64) {
        let of = self.nodes.each_ref().map(|node| node.coordinator.losses(&self.pool).unwrap());
        (of[0].0 + of[1].0, of[0].1 + of[1].1)
    }

    /// Every node has swept since: each sees what the other one wrote by then.
    async fn settle(&self) {
        for node in &self.nodes {
            let top = node.log().await.1.epoch;
            eventually("the same epoch", || node.hub.position(&self.pool).unwrap().epoch == top).await;
        }
        // Three sweeps: what a node says twice, it says by now.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }

    async fn data_lost_events(&self) -> usize {
        self.nodes[0].log().await.0.iter().filter(|event| event.cause == Cause::DataLost).count()
    }
}

#[tokio::test]
async fn a_flushed_server_is_announced_once_without_traffic() {
    let mut two = Two::start().await;
    two.settle().await;
    assert_eq!(two.announced(), (0, 0));
    two.run(&["FLUSHALL"]).await;
    eventually("the announcement", || two.announced().0 > 0).await;
    two.settle().await;
    assert_eq!(two.announced(), (1, 0));
    assert_eq!(two.data_lost_events().await, 1);
    two.nodes[1].flip("w2", "seats").await;
}

#[tokio::test]
async fn an_older_snapshot_is_announced_once_and_a_plain_restart_is_not() {
    let mut two = Two::start().await;
    // Saves, and starts over from what it saved.
    two.run(&["DEBUG", "RELOAD"]).await;
    two.settle().await;
    assert_eq!((two.announced(), two.data_lost_events().await), ((0, 0), 0));
    for _ in 0..3 {
        two.nodes[0].flip("w1", "seats").await;
    }
    let before = two.nodes[0].log().await.1;
    two.settle().await;
    two.run(&["DEBUG", "RELOAD", "NOSAVE"]).await;
    eventually("the announcement", || two.announced().1 > 0).await;
    two.settle().await;
    assert_eq!(two.announced(), (0, 1));
    assert_eq!(two.data_lost_events().await, 1);
    assert_ne!(two.nodes[0].log().await.1.epoch, before.epoch);
    two.nodes[1].flip("w2", "seats").await;
}
