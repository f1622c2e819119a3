//! What callers ask.

use crate::cli::bench::load::{Next, request};

/// Pools of the nodes under load: `wide` never denies, `full` is full after ten requests, `exact` is small.
pub const POOLS: &str = r#"
[[pools]]
id = "wide"
limits = [
  { id = "requests-per-minute", unit = "requests", capacity = 1000000000000, window = "1m" },
  { id = "tokens-per-minute", unit = "tokens", capacity = 1000000000000, window = "1m" },
  { id = "workspace-requests", unit = "requests", capacity = 1000000000000, window = "1m", per = ["workspace"] },
  { id = "workspace-tokens", unit = "tokens", capacity = 1000000000000, window = "1m", per = ["workspace"] },
]
[[pools]]
id = "full"
limits = [
  { id = "requests-per-minute", unit = "requests", capacity = 1000000000000, window = "1m" },
  { id = "tokens-per-minute", unit = "tokens", capacity = 1000000000000, window = "1m" },
  { id = "workspace-requests", unit = "requests", capacity = 10, window = "1h", per = ["workspace"] },
  { id = "workspace-tokens", unit = "tokens", capacity = 1000000000000, window = "1m", per = ["workspace"] },
]
[[pools]]
id = "exact"
limits = [{ id = "requests-per-window", unit = "requests", capacity = 2000, window = "2s" }]
"#;

/// Longer than a run, so that no lease ends in the middle of one.
pub const LEASE_MS: u64 = 3_600_000;

const RESERVE: &str = "/api/quota/reservations";

/// One thing that is asked, over and over.
pub struct Scenario {
    /// How the table calls it.
    pub name: &'static str,
    /// Connections.
    pub callers: usize,
    /// Admissions that one request asks for.
    pub admissions: f64,
    /// The pool whose script calls are counted.
    pub pool: &'static str,
    /// Makes what a connection asks.
    pub next: Box<dyn Fn() -> Next>,
}

/// The body of a reserve.
pub fn body(pool: &str, workspace: u32) -> String {
    format!(
        r#"{{"pool":"{pool}","scope":{{"workspace":"w{workspace}","model":"gpt-4o"}},"cost":{{"tokens":1200}},"lease_ms":{LEASE_MS}}}"#
    )
}

/// A reserve as a request.
pub fn reserve(pool: &str, workspace: u32) -> Vec<u8> {
    request("POST", RESERVE, &body(pool, workspace))
}

/// Reserves of these workspaces as one request.
pub fn batch(workspaces: impl Iterator<Item = u32>) -> Vec<u8> {
    let one = |workspace| body("wide", workspace).replacen('{', r#"{"op":"reserve","#, 1);
    let all: Vec<String> = workspaces.map(one).collect();
    request("POST", "/api/quota/batch", &format!(r#"{{"operations":[{}]}}"#, all.join(",")))
}

/// The same request over and over.
pub fn always(request: Vec<u8>) -> Box<dyn Fn() -> Next> {
    Box::new(move || {
        let request = request.clone();
        Box::new(move |_| request.clone())
    })
}

/// Reserves of random workspaces.
fn spread(workspaces: u32) -> Box<dyn Fn() -> Next> {
    Box::new(move || Box::new(move |_| reserve("wide", rand::random_range(0..workspaces))))
}

/// A reserve, then its commit.
fn lifecycle() -> Box<dyn Fn() -> Next> {
    Box::new(|| {
        let reserve = reserve("wide", 1);
        Box::new(move |answer| match reservation(answer) {
            Some(id) => request("POST", &format!("{RESERVE}/{id}/commit"), r#"{"cost":{"tokens":900}}"#),
            None => reserve.clone(),
        })
    })
}

/// The id in the answer to a reserve. Found by its place rather than parsed: an answer to a commit begins otherwise.
fn reservation(answer: &[u8]) -> Option<&str> {
    let rest = answer.strip_prefix(br#"{"decision":"granted","reservation":""#)?;
    std::str::from_utf8(rest).ok()?.split('"').next()
}

/// Everything that is compared, in the order of its turns.
pub fn all(callers: usize) -> Vec<Scenario> {
    let scenario = |name, callers, admissions, next| Scenario { name, callers, admissions, pool: "wide", next };
    vec![
        scenario("hello, 1 connection", 1, 1.0, always(request("GET", "/livez", ""))),
        scenario("reserve, 1 connection", 1, 1.0, always(reserve("wide", 1))),
        scenario("hello", callers, 1.0, always(request("GET", "/livez", ""))),
        scenario("reserve", callers, 1.0, always(reserve("wide", 1))),
        // Two requests for one admission.
        scenario("reserve and commit", callers, 0.5, lifecycle()),
        scenario("batch of 64", 4, 64.0, always(batch((0..64).map(|_| 1)))),
        Scenario { pool: "full", ..scenario("exhausted", callers, 1.0, always(reserve("full", 1))) },
        scenario("100 workspaces", callers, 1.0, spread(100)),
        scenario("10,000 workspaces", callers, 1.0, spread(10_000)),
    ]
}
