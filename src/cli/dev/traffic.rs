//! Pretend traffic: calls of a few workspaces, held for as long as a model would answer.

use std::time::Duration;

use rand::Rng;
use tokio::time::MissedTickBehavior;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    coordinator::{
        Coordinator,
        types::{Ask, Commit, Metadata, Outcome, Reserve},
    },
    domain::{Cost, Priority, Scope, Unit},
};

const WORKSPACES: [&str; 4] = ["search", "support", "billing", "research"];
const MODELS: [&str; 3] = ["gpt-4o", "gpt-4o-mini", "o3"];

/// Sends so many calls a second over all nodes in turn, until told to stop.
pub async fn run(nodes: Vec<Coordinator>, a_second: u32, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / a_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let calls = TaskTracker::new();
    for node in nodes.iter().cycle() {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        calls.spawn(one_call(node.clone()));
    }
}

fn ask(coordinator: &Coordinator, tokens: u64) -> Option<Ask> {
    let pool = coordinator.pools().first()?.clone();
    let mut rng = rand::rng();
    let entries =
        [("workspace", WORKSPACES[rng.random_range(0..WORKSPACES.len())]), ("model", MODELS[rng.random_range(0..MODELS.len())])];
    let mut cost = Cost::default();
    cost.set(Unit::new("tokens").ok()?, tokens);
    // Units of the pool's own have no estimate; one of each is as good as any.
    for limit in pool.limits.iter().filter(|limit| limit.default_cost.is_none() && !limit.optional) {
        if cost.get(&limit.unit).is_none() {
            cost.set(limit.unit.clone(), 1);
        }
    }
    Some(Ask { pool: pool.id.clone(), scope: Scope::new(entries).ok()?, cost, estimate: None, priority: Priority::Normal })
}

/// One call: reserve, wait for the pretended model, commit what it used.
async fn one_call(coordinator: Coordinator) {
    let (tokens, share, held) = {
        let mut rng = rand::rng();
        (rng.random_range(200..2000u64), rng.random_range(40..=100u64), Duration::from_millis(rng.random_range(200..3000)))
    };
    let Some(ask) = ask(&coordinator, tokens) else { return };
    let request = Reserve {
        ask,
        lease: Duration::from_secs(30),
        idempotency_key: None,
        metadata: Metadata::new(),
        principal: "pretend traffic".into(),
    };
    let Ok(decision) = coordinator.reserve(request).await else { return };
    let Outcome::Granted(grant) = decision.outcome else { return };
    tokio::time::sleep(held).await;
    let mut cost = Cost::default();
    if let Ok(unit) = Unit::new("tokens") {
        cost.set(unit, tokens * share / 100);
    }
    let commit = Commit { reservation: grant.reservation, cost, used: None, estimated: false };
    if let Err(error) = coordinator.commit(commit).await {
        tracing::debug!(%error, "a pretended commit failed");
    }
}
