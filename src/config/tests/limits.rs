//! Every key of a limit, and what it becomes.

use super::{parse, with_limit};
use crate::domain::{
    Kind, Limit, Mode, OnLeaseEnd, Priority, Scope, Settle,
    limit::PriorityShare,
    period::{Calendar, PeriodLength},
};

fn limits(lines: &str) -> Vec<Limit> {
    parse(&with_limit(lines)).unwrap().pools[0].limits.iter().map(|limit| (**limit).clone()).collect()
}

fn limit(lines: &str) -> Limit {
    limits(lines).remove(0)
}

#[test]
fn a_limit_needs_little() {
    let limit = limit("unit = \"requests\"\ncapacity = 500\nwindow = \"1m\"");
    assert_eq!((limit.id.as_str(), limit.unit.as_str(), limit.capacity), ("l", "requests", 500));
    assert_eq!(limit.kind, Kind::Rate { window_ms: 60_000 });
    assert_eq!((limit.mode, limit.on_lease_end, limit.settle), (Mode::Enforce, OnLeaseEnd::Charge, Settle::Actual));
    assert_eq!((limit.warning_at, limit.priority_share, limit.default_cost), (900, PriorityShare::default(), None));
    assert!(limit.per.is_empty() && limit.when.is_empty() && limit.overrides.is_empty());
    assert!(limit.events && !limit.optional && !limit.companion);
}

#[test]
fn a_limit_can_have_everything() {
    let limit = limit(
        r#"unit = "tokens"
        kind = "rate"
        capacity = 40_000
        window = "90s"
        per = ["workspace", "model"]
        when = { model = ["gpt-4o*", "o3"], service = "chat" }
        warning_at = 0.85
        mode = "shadow"
        on_lease_end = "refund"
        settle = "admitted"
        priority_share = { low = 0.5, normal = 0.9 }
        default_cost = 1000
        optional = true
        events = false
        [[pools.limits.overrides]]
        match = { workspace = ["acme", "acme-*"] }
        capacity = 80_000
        [[pools.limits.overrides]]
        match = { workspace = "blocked", model = "*" }
        capacity = 0"#,
    );
    assert_eq!(limit.per, [Box::from("model"), Box::from("workspace")]);
    assert_eq!((limit.kind.clone(), limit.warning_at, limit.mode), (Kind::Rate { window_ms: 90_000 }, 850, Mode::Shadow));
    assert_eq!((limit.on_lease_end, limit.settle), (OnLeaseEnd::Refund, Settle::Admitted));
    assert_eq!(limit.priority_share.ceiling(Priority::Low, 100), 50);
    assert_eq!(limit.default_cost, Some(1000));
    assert!(limit.optional && !limit.events);
    let scope = |workspace: &str, model: &str| Scope::new([("workspace", workspace), ("model", model)]).unwrap();
    assert!(limit.applies_to(&scope("w", "gpt-4o-mini")) && limit.applies_to(&scope("w", "o3")));
    assert!(!limit.applies_to(&scope("w", "o3-mini")));
    for (workspace, capacity) in [("w", 40_000), ("acme", 80_000), ("acme-eu", 80_000), ("blocked", 0)] {
        assert_eq!(limit.capacity_for(&scope(workspace, "o3").select(&limit.per)), capacity, "{workspace}");
    }
}

#[test]
fn a_budget_has_a_calendar_that_knows_the_change_of_clocks() {
    let limit = limit("unit = \"cost_usd\"\ncapacity = 50.0\nperiod = \"day\"\ntime_zone = \"America/Los_Angeles\"");
    assert_eq!((limit.capacity, limit.on_lease_end), (50_000_000_000, OnLeaseEnd::Refund));
    let Kind::Budget { calendar } = limit.kind else { panic!("not a budget") };
    assert_eq!(*calendar, Calendar::new(PeriodLength::Day, "America/Los_Angeles").unwrap());
    // 2026-03-08T18:00:00Z, the day on which the clocks skip an hour.
    let boundaries = calendar.around(1_772_992_800_000_000).0;
    assert_eq!((boundaries[2] - boundaries[1]) / 3_600_000_000, 23);
}

#[test]
fn the_default_zone_is_utc_and_concurrency_refunds() {
    let Kind::Budget { calendar } = limit("unit = \"tokens\"\ncapacity = 1\nperiod = \"week\"").kind else {
        panic!("not a budget")
    };
    assert_eq!((calendar.length(), calendar.zone_name()), (PeriodLength::Week, "UTC"));
    let limit = limit("unit = \"requests\"\ncapacity = 64\nkind = \"concurrency\"");
    assert_eq!((limit.kind, limit.on_lease_end), (Kind::Concurrency, OnLeaseEnd::Refund));
}

#[test]
fn money_is_exact_as_float_and_as_text() {
    for (written, nanos) in [
        ("0.1", 100_000_000),
        ("50", 50_000_000_000),
        ("1e-9", 1),
        ("\"0.000012345\"", 12_345),
        ("\"9_000_000\"", 9_000_000_000_000_000),
        ("8999999.99", 8_999_999_990_000_000),
        ("0.30000000000000004e-0", 0),
    ] {
        let parsed = parse(&with_limit(&format!("unit = \"cost_usd\"\nperiod = \"month\"\ncapacity = {written}")));
        match parsed {
            Ok(config) => assert_eq!(config.pools[0].limits[0].capacity, nanos, "{written}"),
            Err(error) => assert!(nanos == 0 && error.to_string().contains("at most 9 decimal places"), "{error}"),
        }
    }
}

#[test]
fn smooth_adds_a_companion_with_its_share() {
    let limits = limits(
        "unit = \"requests\"\ncapacity = 500\nwindow = \"1m\"\nper = \"workspace\"\nsmooth = \"10sec\"\n\
         overrides = [{ match = { workspace = \"acme\" }, capacity = 1000 }, { match = { workspace = \"tiny\" }, capacity = 2 }]",
    );
    assert_eq!(limits.len(), 2);
    assert_eq!((limits[0].companion, limits[1].companion), (false, true));
    assert_eq!((limits[1].id.as_str(), limits[1].capacity), ("l/10s", 83));
    assert_eq!(limits[1].kind, Kind::Rate { window_ms: 10_000 });
    assert_eq!(limits[1].overrides.iter().map(|o| o.capacity).collect::<Vec<_>>(), [166, 1]);
    assert_eq!(limits[1].per, limits[0].per);
}

#[test]
fn the_bounds_themselves_are_allowed() {
    for window in ["1s", "31d", "1h 30m"] {
        limit(&format!("unit = \"u\"\nwindow = \"{window}\"\ncapacity = 9_007_199_254_740_991\nwarning_at = 1"));
    }
    let many = (0..64).map(|i| format!("[[pools.limits]]\nid = \"l{i}\"\nunit = \"u\"\ncapacity = 1\nwindow = \"1s\"\n"));
    assert_eq!(parse(&format!("[[pools]]\nid = \"p\"\n{}", many.collect::<String>())).unwrap().pools[0].limits.len(), 64);
}
