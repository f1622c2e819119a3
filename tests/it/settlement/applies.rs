//! Which limits apply to a request, at what cost, and how much of them it may fill.

use quota_coordinator::{
    coordinator::types::{CoordinatorError, Reserve},
    domain::{Estimate, PlanError, PoolStatus, Priority},
};

use crate::support::{node::asks, timed::Timed};

fn with_estimate(request: Reserve, estimate: Estimate) -> Reserve {
    let mut request = request;
    request.ask.estimate = Some(estimate);
    request
}

async fn charged(test: &Timed, request: Reserve) -> Vec<(String, u64)> {
    let grant = test.granted(request).await;
    grant.charged.into_iter().map(|(unit, amount)| (unit.as_str().to_owned(), amount)).collect()
}

#[tokio::test]
async fn a_missing_cost_comes_from_the_estimate_then_the_default_or_the_limit_is_skipped() {
    let limits = r#"
[[pools.limits]]
id = "tokens"
unit = "tokens"
capacity = 1000
window = "1m"
default_cost = 70

[[pools.limits]]
id = "output"
unit = "output_tokens"
capacity = 1000
window = "1m"
optional = true

[[pools.limits]]
id = "images"
unit = "images"
capacity = 10
window = "1m"
when = { model = "dall-e*" }
"#;
    let test = Timed::start("applies", limits).await;
    let estimate = Estimate { model: Some("gpt".into()), input_tokens: Some(20), max_output_tokens: Some(30), used: None };
    assert_eq!(charged(&test, asks(&test.pool, &[("model", "gpt")], &[])).await, [("tokens".into(), 70)]);
    let estimated = with_estimate(test.asks(&[]), estimate.clone());
    assert_eq!(charged(&test, estimated).await, [("tokens".into(), 50), ("output_tokens".into(), 30)]);
    let explicit = with_estimate(test.asks(&[("tokens", 0)]), estimate);
    assert_eq!(charged(&test, explicit).await, [("tokens".into(), 0), ("output_tokens".into(), 30)]);
    assert_eq!(test.figures("tokens").await, (0, 120));
    assert_eq!(test.figures("output").await, (0, 60));

    // Without a model nobody can say that it does not make images.
    for scope in [vec![], vec![("model", "dall-e-3")]] {
        let answer = test.reserve(asks(&test.pool, &scope, &[])).await;
        let Err(CoordinatorError::Plan(PlanError::MissingUnit { limit, unit })) = &answer else { panic!("{answer:?}") };
        assert_eq!((limit.as_str(), unit.as_str()), ("images", "images"));
    }
    let answer = test.reserve(test.asks(&[("tokns", 1)])).await;
    let Err(CoordinatorError::Plan(PlanError::UnknownUnit { known, .. })) = &answer else { panic!("{answer:?}") };
    assert!(known.iter().any(|unit| unit == "images"));
}

#[tokio::test]
async fn a_limit_applies_where_its_globs_match_and_leaving_a_key_out_never_escapes_it() {
    let limits = r#"
[[pools.limits]]
id = "big-models"
unit = "requests"
capacity = 2
window = "1h"
per = ["workspace"]
when = { model = ["gpt-4o*", "o3"] }

[[pools.limits.overrides]]
match = { workspace = "acme*" }
capacity = 3
"#;
    let test = Timed::start("applies", limits).await;
    let granted = async |scope: &[(&str, &str)]| {
        let mut count = 0;
        while count < 5 && test.tries(asks(&test.pool, scope, &[])).await {
            count += 1;
        }
        count
    };
    assert_eq!(granted(&[("workspace", "w1"), ("model", "gpt-4o-mini")]).await, 2);
    assert_eq!(granted(&[("workspace", "w1"), ("model", "o3")]).await, 0);
    assert_eq!(granted(&[("workspace", "w1"), ("model", "o3-mini")]).await, 5);
    assert_eq!(granted(&[("workspace", "w1")]).await, 0);
    assert_eq!(granted(&[("workspace", "w2")]).await, 2);
    assert_eq!(granted(&[("workspace", "acme-eu"), ("model", "o3")]).await, 3);
    // Without a workspace they all share one counter.
    assert_eq!(granted(&[("model", "o3")]).await, 2);
    assert_eq!(granted(&[("user", "u7")]).await, 0);
    // A scope that is already over its capacity does not hold up what the limit does not concern.
    assert_eq!(granted(&[("workspace", "w1"), ("model", "mini")]).await, 5);
}

#[tokio::test]
async fn a_shadow_limit_reports_and_never_denies() {
    let limits = r#"
[[pools.limits]]
id = "tried-out"
unit = "requests"
capacity = 1
window = "1h"
mode = "shadow"

[[pools.limits]]
id = "real"
unit = "requests"
capacity = 3
window = "1h"
warning_at = 1.0
"#;
    let test = Timed::start("applies", limits).await;
    for n in 0..3 {
        let decision = test.decide(test.asks(&[])).await;
        assert_eq!(decision.obstacles.shadow_violated, if n == 0 { vec![] } else { vec![0] });
        assert!(decision.obstacles.violated.is_empty());
        assert_eq!(decision.status, if n < 2 { PoolStatus::Normal } else { PoolStatus::RateLimited });
    }
    let decision = test.decide(test.asks(&[])).await;
    assert_eq!((decision.obstacles.violated, decision.obstacles.shadow_violated), (vec![1], vec![0]));
    assert_eq!(test.figures("tried-out").await, (0, 3));
    assert_eq!(test.figure("tried-out").await.over(), 2);
}

#[tokio::test]
async fn a_priority_fills_its_share_and_no_more() {
    let limits = r#"
[[pools.limits]]
id = "in-flight"
unit = "requests"
kind = "concurrency"
capacity = 10
priority_share = { low = 0.5, normal = 0.9 }
"#;
    let test = Timed::start("applies", limits).await;
    let mut granted = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let mut count = 0;
        loop {
            let mut request = test.asks_anew(&[]);
            request.ask.priority = priority;
            if !test.tries(request).await {
                break;
            }
            count += 1;
        }
        granted.push(count);
    }
    assert_eq!(granted, [5, 4, 1]);
}
