//! The effective configuration reads back as itself.

use super::{Config, Format, env, parse};

const FULL: &str = r#"
admin_key = "k"
[server]
listen = "0.0.0.0:80"
metrics_listen = "127.0.0.1:9090"
drain_delay = "1m 30s"
[auth]
mode = "keys"
[live]
origins = ["https://console.example", "http://localhost:3000"]
max_connections = 500
ping_interval = "40s"
[log]
format = "json"
level = "info,quota_coordinator=debug"
[[pools]]
id = "a"
provider = "azure"
units = ["images"]
record_retention = "1h"
[[pools.limits]]
id = "rpm"
unit = "requests"
capacity = 500
window = "1m"
smooth = "10s"
per = ["workspace"]
when = { model = ["gpt-\"4*", "o3"] }
warning_at = 0.825
priority_share = { low = 0.5 }
[[pools.limits.overrides]]
match = { workspace = "acme" }
capacity = 5
[[pools.limits]]
id = "budget"
unit = "cost_usd"
capacity = 0.1
period = "week"
time_zone = "Europe/Berlin"
default_cost = "0.000000001"
mode = "shadow"
[[pools.limits]]
id = "open"
unit = "requests"
capacity = 5
kind = "concurrency"
optional = true
events = false
[[prices]]
provider = "azure"
model = "gpt-4o*"
input = 2.5
cached_input = "1.25"
output = 10
from = "2026-02-01"
[[prices]]
model = "*"
input = "0.000000001"
cache_write = 9000000
output = 0.1
"#;

#[test]
fn it_reads_back_as_the_same_configuration() {
    let config = parse(FULL).unwrap();
    let again = parse(&config.to_toml()).unwrap();
    assert_eq!(format!("{:#?}", config.pools), format!("{:#?}", again.pools));
    assert_eq!((&config.server, &config.redis, &config.history), (&again.server, &again.redis, &again.history));
    assert_eq!(format!("{:#?}", config.prices), format!("{:#?}", again.prices));
    assert_eq!((&config.auth, &config.live, &config.log), (&again.auth, &again.live, &again.log));
}

#[test]
fn each_value_names_its_source() {
    let variables = env(&[("QUOTA__REDIS__DEADLINE_MS", "100"), ("QUOTA__SERVER__PORT", "81")]);
    let text = Config::parse("q.toml", Format::Toml, FULL, &variables).unwrap().to_toml();
    let source = |line: &str| {
        let found = text.lines().find(|l| l.starts_with(line)).unwrap_or_else(|| panic!("{line} not in {text}"));
        found.split_once("  # ").unwrap().1.to_owned()
    };
    assert_eq!(source("# admin_key: [redacted]"), "q.toml");
    assert_eq!(source("listen = \"0.0.0.0:81\""), "QUOTA__SERVER__PORT");
    assert_eq!(source("max_connections = 500"), "q.toml");
    assert_eq!(source("max_unauthenticated = 50"), "default");
    assert_eq!(source("deadline_ms = 100"), "QUOTA__REDIS__DEADLINE_MS");
    assert_eq!(source("connect_timeout = \"1s\""), "default");
    assert_eq!(source("capacity = 500"), "q.toml");
    assert_eq!(source("warning_at = 0.825"), "q.toml");
    assert_eq!(source("capacity = \"0.1\""), "q.toml");
    assert_eq!(source("capacity = 5 "), "q.toml");
    assert_eq!(source("time_zone = \"Europe/Berlin\""), "q.toml");
    assert_eq!((source("input = \"2.5\""), source("from = \"2026-02-01\"")), ("q.toml".into(), "q.toml".into()));
    assert_eq!((source("cached_input = \"1.25\""), source("cache_write = \"2.5\"")), ("q.toml".into(), "default".into()));
    assert_eq!(source("settle = \"actual\""), "default");
}
