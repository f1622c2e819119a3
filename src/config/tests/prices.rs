//! Prices: what is accepted, what they come to, and the exact line for what is not.

use super::parse;
use crate::domain::{Price, TokenUse};

const POOL: &str = "[[pools]]\nid = \"p\"\nprovider = \"openai\"\n\
                    limits = [{ id = \"l\", unit = \"cost_usd\", capacity = 1, period = \"day\" }]\n";

fn refused(prices: &str, expected: &[&str]) {
    let text = format!("{POOL}{prices}");
    let error = parse(&text).map(|_| panic!("accepted:\n{text}")).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().map(str::trim).filter(|line| line.contains("prices")).collect();
    let expected: Vec<String> = expected.iter().map(|line| format!("q.toml: {line}")).collect();
    assert_eq!(lines, expected, "\n{text}");
}

fn refused_line(line: &str, expected: &str) {
    refused(&format!("[[prices]]\nmodel = \"m\"\ninput = 1\noutput = 1\n{line}"), &[expected]);
}

#[test]
fn prices_are_exact_and_each_pool_has_its_own() {
    let text = format!(
        "{POOL}[[pools]]\nid = \"q\"\nlimits = [{{ id = \"l\", unit = \"requests\", capacity = 1, window = \"1s\" }}]\n\
         [[prices]]\nprovider = \"openai\"\nmodel = \"m\"\ninput = 0.000000001\noutput = \"1_000.5\"\ncached_input = 0\n\
         [[prices]]\nmodel = \"m\"\ninput = 3\noutput = 4\nfrom = \"1970-01-02\""
    );
    let config = parse(&text).unwrap();
    let of = |pool: usize, at_us: u64| config.pools[pool].prices.at("m", at_us).cloned();
    let openai: Price = of(0, u64::MAX).unwrap();
    assert_eq!((openai.rates.input, openai.rates.cached_input), (1, 0));
    assert_eq!((openai.rates.cache_write, openai.rates.output), (1, 1_000_500_000_000));
    let day_us = 24 * 3600 * 1_000_000;
    assert!(of(1, day_us - 1).is_none(), "valid from its first instant on, and not before");
    let generic = of(1, day_us).unwrap();
    assert_eq!(generic.rates.cost(&TokenUse { input: 1, cached: 1, cache_write: 1, output: 1 }), Some(13_000));
    assert!(parse(POOL).unwrap().pools[0].prices.is_empty());
}

#[test]
fn one_bad_price_is_one_line() {
    let money = "must be dollars from 0 to 9000000 with at most 9 decimal places, such as 12.50";
    let day = "must be a day since 1970 (it begins at midnight UTC), such as \"2026-01-31\"";
    for value in ["-1", "\"0.0000000001\"", "9000000.1", "\"x\"", "\"1e3\""] {
        refused_line(&format!("cached_input = {value}"), &format!("prices[0].cached_input = {value}: {money}"));
    }
    for value in ["\"2026-02-30\"", "\"1969-12-31\"", "\"2026-02-01T00:00:00Z\"", "20260201", "\"\""] {
        refused_line(&format!("from = {value}"), &format!("prices[0].from = {value}: {day}"));
    }
    let one = "[[prices]]\nprovider = \"azure\"\n";
    refused(one, &["prices[0].model: is required", "prices[0].input: is required", "prices[0].output: is required"]);
    let (rates, other) = ("model = \"m*\"\ninput = 1\noutput = 1\n", "[[prices]]\nmodel = \"n\"\ninput = 1\noutput = 1\n");
    let twice = "prices[2].model = \"m*\": has its price in prices[0], too; another needs another `provider` or `from`";
    refused(&format!("{one}{rates}{other}{one}{rates}"), &[twice]);
}
