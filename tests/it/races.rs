//! Many callers at once, over one node and over several: all or nothing, and never one too many.

use std::{collections::BTreeMap, sync::Arc};

use quota_coordinator::{
    coordinator::types::{DenialReason, Reserve},
    domain::{Pool, PoolId},
};

use crate::support::{
    node::{Node, dollars, pool_of},
    redis::{connection, dump, fresh_pool, shared, store},
};

/// Nodes with a connection each on one server.
async fn nodes(count: usize, pool: &Arc<Pool>) -> Vec<Arc<Node>> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(Arc::new(Node::start(store(shared().await), pool).await));
    }
    nodes
}

/// Runs `tasks` tasks over the nodes, `each` requests one after another in each; how many were granted?
async fn storm(nodes: &[Arc<Node>], tasks: usize, each: usize, request: &Reserve) -> usize {
    let tasks = (0..tasks).map(|at| {
        let (node, request) = (nodes[at % nodes.len()].clone(), request.clone());
        tokio::spawn(async move {
            let mut granted = 0;
            for _ in 0..each {
                granted += usize::from(node.tries(request.clone()).await);
            }
            granted
        })
    });
    futures_util::future::join_all(tasks).await.into_iter().map(Result::unwrap).sum()
}

fn pool(stem: &str, limits: &str) -> (PoolId, Arc<Pool>) {
    let id = fresh_pool(stem);
    (id.clone(), pool_of(&id, limits))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_share_a_hundred_units_exactly() {
    for count in [1, 3] {
        let (_, pool) = pool("race", "[[pools.limits]]\nid = \"rpm\"\nunit = \"requests\"\ncapacity = 100\nwindow = \"1h\"\n");
        let nodes = nodes(count, &pool).await;
        let request = nodes[0].asks(&[]);
        assert_eq!(storm(&nodes, 64, 4, &request).await, 100, "{count} nodes");
        assert_eq!(nodes[0].figures("rpm").await, (0, 100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_limits_are_taken_together_or_not_at_all() {
    let limits = "[[pools.limits]]\nid = \"narrow\"\nunit = \"requests\"\ncapacity = 3\nwindow = \"1h\"\n\
                  [[pools.limits]]\nid = \"wide\"\nunit = \"requests\"\ncapacity = 10\nperiod = \"day\"\n";
    let (_, pool) = pool("together", limits);
    let nodes = nodes(2, &pool).await;
    assert_eq!(storm(&nodes, 8, 1, &nodes[0].asks(&[])).await, 3);
    assert_eq!(nodes[1].figures("narrow").await, (0, 3));
    assert_eq!(nodes[1].figures("wide").await, (0, 3));
}

#[tokio::test]
async fn what_can_never_be_granted_leaves_no_trace() {
    let (id, pool) = pool("never", "[[pools.limits]]\nid = \"tpm\"\nunit = \"tokens\"\ncapacity = 10\nwindow = \"1m\"\n");
    let node = Node::start(store(shared().await), &pool).await;
    let mut connection = connection(shared().await).await;
    for used in [0, 4] {
        if used > 0 {
            node.granted(node.asks(&[("tokens", used)])).await;
        }
        let before: BTreeMap<_, _> = dump(&mut connection, &id).await;
        let denial = node.denied(node.asks(&[("tokens", 100)])).await;
        assert_eq!((denial.reason, denial.retry_after), (DenialReason::CostExceedsCapacity, None));
        assert_eq!(dump(&mut connection, &id).await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_is_counted_to_the_last_nano_dollar() {
    let (_, pool) =
        pool("money", "[[pools.limits]]\nid = \"budget\"\nunit = \"cost_usd\"\ncapacity = \"0.45\"\nperiod = \"month\"\n");
    let nodes = nodes(2, &pool).await;
    let request = nodes[0].asks(&[("cost_usd", dollars("0.15"))]);
    assert_eq!(storm(&nodes, 5, 1, &request).await, 3);
    assert_eq!(nodes[0].figures("budget").await, (0, dollars("0.45")));
}
