//! What becomes of a reservation, whoever settles it, when, how often, and whatever happened to its
//! limits meanwhile.

mod applies;
mod configurations;
mod extended;
mod idempotency;
mod late;
mod table;

/// A limit of each kind: 100 tokens a minute, $10 a month, 5 calls in flight.
const MIXED: &str = r#"
[[pools.limits]]
id = "tpm"
unit = "tokens"
capacity = 100
window = "1m"

[[pools.limits]]
id = "spend"
unit = "cost_usd"
capacity = 10
period = "month"

[[pools.limits]]
id = "in-flight"
unit = "requests"
kind = "concurrency"
capacity = 5
"#;

/// Used and held of each of [`MIXED`]: tokens, dollars, calls.
async fn mixed(node: &crate::support::node::Node) -> [(u64, u64); 3] {
    let (tokens, money, calls) = (node.figures("tpm").await, node.figures("spend").await, node.figures("in-flight").await);
    let dollar = crate::support::node::dollars("1");
    [tokens, (money.0 / dollar, money.1 / dollar), calls]
}

/// A reserve of 30 tokens and $3.
fn thirty(node: &crate::support::node::Node) -> quota_coordinator::coordinator::types::Reserve {
    node.asks(&[("tokens", 30), ("cost_usd", crate::support::node::dollars("3"))])
}
