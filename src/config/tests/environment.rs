//! The environment over everything, and the pool that exists without a file.

use std::time::Duration;

use super::{Config, Environment, Format, env, parse};
use crate::{
    config::{AuthMode, KeyPath, LogFormat, Source},
    domain::{Kind, OnLeaseEnd},
};

fn load(variables: &[(&str, &str)]) -> Config {
    Config::load(None, &env(variables)).unwrap()
}

fn summary(config: &Config) -> Vec<(String, String, u64, u16, Option<u64>)> {
    let limits = config.pools[0].limits.iter();
    limits.map(|l| (l.id.to_string(), l.unit.to_string(), l.capacity, l.warning_at, l.default_cost)).collect()
}

#[test]
fn without_anything_there_is_one_pool() {
    let config = load(&[]);
    assert_eq!(config.pools.len(), 1);
    assert_eq!((config.pools[0].id.as_str(), config.pools[0].provider.as_str()), ("openai", "openai"));
    assert_eq!(
        summary(&config),
        [
            ("requests-per-minute".into(), "requests".into(), 500, 900, None),
            ("requests-per-day".into(), "requests".into(), 10_000, 900, None),
            ("tokens-per-minute".into(), "tokens".into(), 150_000, 900, Some(1000)),
        ]
    );
    assert_eq!(config.pools[0].limits[1].kind, Kind::Rate { window_ms: 86_400_000 });
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.server.max_body_bytes, config.server.request_timeout), (1 << 20, Duration::from_secs(30)));
    assert_eq!(config.redis.url.expose(), "redis://127.0.0.1:6379");
    assert_eq!(config.redis.deadline, Duration::from_millis(250));
    assert_eq!((config.auth.mode, config.admin_key), (None, None));
    assert_eq!(config.history.retention, Duration::from_secs(30 * 86_400));
    assert!(config.history.persistence);
    assert_eq!(config.history.snapshot_interval, Duration::from_secs(300));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Text, "info"));
}

#[test]
fn the_default_pool_follows_its_variables() {
    let config = load(&[
        ("OPENAI_RATE_LIMIT_PER_MINUTE", "60"),
        ("OPENAI_RATE_LIMIT_PER_DAY", "1_000"),
        ("OPENAI_TOKEN_LIMIT_PER_MINUTE", "90000"),
        ("OPENAI_DAILY_TOKEN_LIMIT", "2000000"),
        ("OPENAI_MONTHLY_BUDGET_USD", "99.99"),
        ("OPENAI_WARNING_THRESHOLD_PERCENT", "82.5"),
    ]);
    assert_eq!(
        summary(&config),
        [
            ("requests-per-minute".into(), "requests".into(), 60, 825, None),
            ("requests-per-day".into(), "requests".into(), 1000, 825, None),
            ("tokens-per-minute".into(), "tokens".into(), 90_000, 825, Some(1000)),
            ("tokens-per-day".into(), "tokens".into(), 2_000_000, 825, Some(1000)),
            ("monthly-budget".into(), "cost_usd".into(), 99_990_000_000, 825, Some(10_000_000)),
        ]
    );
    assert_eq!(config.pools[0].limits[4].on_lease_end, OnLeaseEnd::Refund);
    let at = KeyPath::of(["pools"]).index(0).key("limits").index(4);
    assert_eq!(config.sources.of(&at.key("capacity")), Source::Variable("OPENAI_MONTHLY_BUDGET_USD".into()));
    assert_eq!(config.sources.of(&at.key("period")), Source::Default);
}

#[test]
fn pools_of_the_file_take_the_place_of_the_default_pool() {
    let toml = super::with_limit("unit = \"requests\"\ncapacity = 5\nwindow = \"1m\"");
    let config = Config::parse("q.toml", Format::Toml, &toml, &env(&[("OPENAI_RATE_LIMIT_PER_MINUTE", "9")])).unwrap();
    assert_eq!(config.pools[0].id.as_str(), "p");
    assert_eq!(config.warnings, ["OPENAI_RATE_LIMIT_PER_MINUTE is set but not used: the configuration has pools of its own"]);
}

#[test]
fn variables_win_over_the_file_and_stay_text() {
    let variables = env(&[
        ("QUOTA__SERVER__LISTEN", "[::1]:7000"),
        ("QUOTA__SERVER__PORT", "7001"),
        ("QUOTA__AUTH__MODE", "none"),
        ("QUOTA__LOG__LEVEL", "debug"),
        ("QUOTA_ADMIN_KEY", "00123"),
        ("QUOTA_HISTORY_RETENTION_DAYS", "7"),
        ("ENABLE_QUOTA_PERSISTENCE", "False"),
        ("QUOTA_SNAPSHOT_INTERVAL_MINUTES", "1"),
    ]);
    let config = Config::parse("q.toml", Format::Toml, "[log]\nlevel = \"warn\"\nformat = \"json\"", &variables).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:7001");
    assert_eq!(
        (config.auth.mode, config.log.level.as_str(), config.log.format),
        (Some(AuthMode::None), "debug", LogFormat::Json)
    );
    assert!(config.admin_key.unwrap().matches("00123"));
    assert_eq!((config.history.persistence, config.history.retention.as_secs()), (false, 7 * 86_400));
    assert_eq!(config.history.snapshot_interval.as_secs(), 60);
}

#[test]
fn pools_and_keys_can_come_from_a_variable() {
    let config = load(&[
        ("QUOTA__POOLS", r#"[{"id": "a", "limits": [{"id": "l", "unit": "cost_usd", "capacity": 0.1, "period": "day"}]}]"#),
        ("QUOTA__AUTH__KEYS", &format!("[{{name=ci, sha256=\"{}\", roles=[read, consume], pools=[a]}}]", "0b".repeat(32))),
    ]);
    assert_eq!(config.pools[0].limits[0].capacity, 100_000_000);
    assert_eq!((config.auth.keys[0].name.as_str(), config.auth.keys[0].sha256.0), ("ci", [11; 32]));
    assert_eq!(config.auth.keys[0].roles.len(), 2);
}

#[test]
fn yaml_and_json_are_read_like_toml() {
    let yaml =
        "pools:\n- id: p\n  limits:\n  - {id: l, unit: requests, capacity: 5_000, window: 1m, when: {model: [gpt-4o*, o3]}}\n";
    let json = r#"{"pools":[{"id":"p","limits":[{"id":"l","unit":"requests","capacity":5000,"window":"1m","when":{"model":["gpt-4o*","o3"]}}]}]}"#;
    let toml = "[[pools]]\nid = \"p\"\n[[pools.limits]]\nid = \"l\"\nunit = \"requests\"\ncapacity = 5_000\nwindow = \"1m\"\nwhen = { model = [\"gpt-4o*\", \"o3\"] }";
    let read = |format, text| format!("{:?}", Config::parse("q", format, text, &Environment::default()).unwrap().pools);
    assert_eq!(read(Format::Yaml, yaml), read(Format::Toml, toml));
    assert_eq!(read(Format::Json, json), read(Format::Toml, toml));
}

#[test]
fn a_named_file_is_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("quota.yaml");
    std::fs::write(&path, "log:\n  level: trace\n").unwrap();
    let config = Config::load(Some(&path), &Environment::default()).unwrap();
    assert_eq!(config.log.level, "trace");
    assert_eq!(config.sources.of(&KeyPath::of(["log", "level"])), Source::File(path));
}

#[test]
fn secrets_are_shown_nowhere() {
    let variables = env(&[("QUOTA_ADMIN_KEY", "s3cret-admin"), ("QUOTA__REDIS__URL", "redis://user:s3cret-redis@db:6379/1")]);
    let toml = format!("[[auth.keys]]\nname = \"a\"\nsha256 = \"{}\"\nroles = [\"read\"]", "abcdef12".repeat(8));
    let config = Config::parse("q.toml", Format::Toml, &toml, &variables).unwrap();
    for shown in [format!("{config:?}"), format!("{config:#?}"), config.to_toml()] {
        assert!(!shown.contains("s3cret") && !shown.contains("abcdef12"), "{shown}");
        assert!(shown.contains("redis://user:[redacted]@db:6379/1"), "{shown}");
    }
}

#[test]
fn a_server_needs_a_decision_on_who_may_call() {
    let check = |toml: &str| parse(toml).unwrap().check_serve().map_err(|error| error.to_string());
    let key = format!("[[auth.keys]]\nname = \"a\"\nsha256 = \"{}\"\nroles = \"read\"", "ab".repeat(32));
    assert_eq!(
        check(""),
        Err("auth.mode: must be set to serve (QUOTA__AUTH__MODE): `keys`, with auth.keys or QUOTA_ADMIN_KEY, \
             or `none`, which lets anybody on this host call"
            .into())
    );
    assert_eq!(
        check("[auth]\nmode = \"keys\""),
        Err("auth.keys: must list at least one key where auth.mode = \"keys\" and no admin key is set".into())
    );
    assert_eq!(check(&format!("[auth]\nmode = \"keys\"\n{key}")), Ok(()));
    assert_eq!(check("admin_key = \"k\"\n[auth]\nmode = \"keys\""), Ok(()));
    assert_eq!(check("[auth]\nmode = \"none\""), Ok(()));
    assert_eq!(
        check("[auth]\nmode = \"none\"\n[server]\nlisten = \"0.0.0.0:80\""),
        Err("q.toml: server.listen = \"0.0.0.0:80\": must be a loopback address where auth.mode = \"none\"; \
             auth.force = true lifts this"
            .into())
    );
    assert_eq!(check("[auth]\nmode = \"none\"\nforce = true\n[server]\nlisten = \"0.0.0.0:80\""), Ok(()));
}
