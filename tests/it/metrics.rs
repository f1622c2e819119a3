//! The metrics page against its description.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::http::{Cluster, OPEN};

/// What the README explains: the rows of its table that begin with a metric's name.
fn described() -> BTreeSet<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let name = |line: &str| line.strip_prefix("| `quota_")?.split(['`', '{']).next().map(|rest| format!("quota_{rest}"));
    readme.lines().filter_map(name).collect()
}

#[tokio::test]
async fn every_metric_is_explained_and_every_explanation_is_of_a_metric() {
    let cluster = Cluster::of(&[OPEN]).await;
    cluster.reserved(0, json!({"scope": {"workspace": "w1"}, "cost": {"tokens": 100}})).await;
    let socket = format!("ws://{}/api/quota/ws", cluster.nodes[0].address());
    let (mut socket, _) = tokio_tungstenite::connect_async(socket).await.unwrap();
    futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
    // A message of no known form ends the connection, and that is counted.
    futures_util::SinkExt::send(&mut socket, tokio_tungstenite::tungstenite::Message::Binary(vec![0].into())).await.unwrap();
    while let Some(Ok(message)) = futures_util::StreamExt::next(&mut socket).await {
        if message.is_close() {
            break;
        }
    }

    let text = cluster.client.get(format!("http://{}/metrics", cluster.nodes[0].address())).send().await.unwrap();
    let text = text.text().await.unwrap();
    let shown: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    assert!(shown.len() > 15, "{text}");
    assert_eq!(shown, described(), "the page, and the table under Metrics of README.md");
    for line in ["quota_live_ready 1", "quota_live_snapshots_total 1", r#"quota_store_failures_total{pool="p"} 0"#] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}

#[test]
fn alerts_are_about_metrics_that_exist() {
    let rules = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/monitoring/prometheusrule.yaml")).unwrap();
    let described = described();
    let mut found = 0;
    for expression in rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        for word in expression.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with("quota_")) {
            assert!(described.contains(word.trim_end_matches("_bucket")), "{word}: {expression}");
            found += 1;
        }
    }
    assert!(found >= 6);
}
