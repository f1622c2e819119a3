//! The pool `openai` that exists when no pool is configured, from `OPENAI_…` variables.

use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

use super::{environment::Environment, error::Problem, layers::Layers, path::KeyPath, redact::shorten, sources::Source};
use crate::domain::unit::{MAX_AMOUNT, parse_money};

const REQUESTS_PER_MINUTE: &str = "OPENAI_RATE_LIMIT_PER_MINUTE";
const REQUESTS_PER_DAY: &str = "OPENAI_RATE_LIMIT_PER_DAY";
const TOKENS_PER_MINUTE: &str = "OPENAI_TOKEN_LIMIT_PER_MINUTE";
const TOKENS_PER_DAY: &str = "OPENAI_DAILY_TOKEN_LIMIT";
const MONTHLY_BUDGET: &str = "OPENAI_MONTHLY_BUDGET_USD";
const WARNING_PERCENT: &str = "OPENAI_WARNING_THRESHOLD_PERCENT";

/// Every variable that is read here.
pub(super) const VARIABLES: [&str; 6] =
    [REQUESTS_PER_MINUTE, REQUESTS_PER_DAY, TOKENS_PER_MINUTE, TOKENS_PER_DAY, MONTHLY_BUDGET, WARNING_PERCENT];

/// Writes the pool into the layers as if a file had said it, each value with its variable as source.
/// A limit whose variable is unset and has no default does not exist. Gives the variables' faults.
pub(super) fn add(layers: &mut Layers, env: &Environment) -> Vec<Problem> {
    let mut draft = Draft { env, limits: Vec::new(), sources: Vec::new(), problems: Vec::new() };
    let warning_at = draft.warning_at();
    draft.whole(REQUESTS_PER_MINUTE, Some(500), json!({"id": "requests-per-minute", "unit": "requests", "window": "1m"}));
    draft.whole(REQUESTS_PER_DAY, Some(10_000), json!({"id": "requests-per-day", "unit": "requests", "window": "1d"}));
    let tokens = |id, window| json!({"id": id, "unit": "tokens", "window": window, "default_cost": 1000});
    draft.whole(TOKENS_PER_MINUTE, Some(150_000), tokens("tokens-per-minute", "1m"));
    draft.whole(TOKENS_PER_DAY, None, tokens("tokens-per-day", "1d"));
    draft.budget(json!({"id": "monthly-budget", "unit": "cost_usd", "period": "month", "default_cost": "0.01"}));

    let Draft { mut limits, sources, problems, .. } = draft;
    let at = KeyPath::of(["pools"]).index(0).key("limits");
    for (index, limit) in limits.iter_mut().enumerate() {
        limit["warning_at"] = warning_at.clone();
        if env.get(WARNING_PERCENT).is_some() {
            layers.sources.insert(at.index(index).key("warning_at"), Source::Variable(WARNING_PERCENT.into()));
        }
    }
    for (index, variable) in sources {
        layers.sources.insert(at.index(index).key("capacity"), Source::Variable(variable.into()));
    }
    if let Json::Object(root) = &mut layers.json {
        root.insert("pools".into(), json!([{"id": "openai", "provider": "openai", "limits": limits}]));
    }
    problems
}

struct Draft<'a> {
    env: &'a Environment,
    limits: Vec<Json>,
    /// Index of a limit, and the variable that gave its capacity.
    sources: Vec<(usize, &'static str)>,
    problems: Vec<Problem>,
}

impl Draft<'_> {
    fn refuse(&mut self, name: &str, text: &str, rule: &str) {
        self.problems.push(Problem {
            source: Source::Variable(name.into()),
            key: KeyPath::default(),
            value: Some(shorten(&Json::from(text).to_string())),
            rule: rule.to_owned(),
        });
    }

    /// Adds a limit whose capacity is the value of a variable.
    fn add(&mut self, variable: &'static str, capacity: Json, mut limit: Json) {
        if self.env.get(variable).is_some() {
            self.sources.push((self.limits.len(), variable));
        }
        limit["capacity"] = capacity;
        self.limits.push(limit);
    }

    fn whole(&mut self, variable: &'static str, default: Option<u64>, limit: Json) {
        let allowed = |number: &u64| (1..=MAX_AMOUNT).contains(number);
        let capacity = match self.env.get(variable) {
            None => default,
            Some(text) => text.trim().replace('_', "").parse().ok().filter(allowed).or_else(|| {
                self.refuse(variable, text, &format!("must be a whole number from 1 to {MAX_AMOUNT}"));
                default
            }),
        };
        if let Some(capacity) = capacity {
            self.add(variable, capacity.into(), limit);
        }
    }

    fn budget(&mut self, limit: Json) {
        let Some(text) = self.env.get(MONTHLY_BUDGET) else { return };
        let dollars = text.trim().replace('_', "");
        match parse_money(&dollars) {
            Ok(nanos) if (1..=9_000_000_000_000_000).contains(&nanos) => self.add(MONTHLY_BUDGET, dollars.into(), limit),
            _ => self.refuse(MONTHLY_BUDGET, text, "must be dollars above 0 and up to 9000000 with at most 9 decimal places"),
        }
    }

    /// The percentage as a fraction. One decimal place of a percent is what a limit can hold.
    fn warning_at(&mut self) -> Json {
        let text = self.env.get(WARNING_PERCENT).unwrap_or("90");
        let percent = text.trim().parse::<Decimal>().ok().filter(|p| *p > Decimal::ZERO && *p <= Decimal::ONE_HUNDRED);
        if let Some(percent) = percent.filter(|percent| (percent * Decimal::TEN).is_integer()) {
            return (percent / Decimal::ONE_HUNDRED).normalize().to_string().into();
        }
        self.refuse(WARNING_PERCENT, text, "must be a percentage above 0 and up to 100 with at most 1 decimal place");
        "0.9".into()
    }
}
