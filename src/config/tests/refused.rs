//! Each bad configuration and the exact line (or lines) that it is refused with.

use super::{Config, Environment, Format, env, parse, with_limit};

/// Compares the whole message for a file.
fn refused(toml: &str, expected: &str) {
    match parse(toml) {
        Ok(_) => panic!("accepted:\n{toml}"),
        Err(error) => assert_eq!(error.to_string(), expected, "\n{toml}"),
    }
}

const RATE: &str = "unit = \"requests\"\ncapacity = 5\nwindow = \"1m\"\n";

#[test]
fn one_bad_value_of_a_limit_is_one_line() {
    let window = "must be a duration from 1s to 31d, such as \"90s\" or \"1m30s\"";
    let whole = "must be a whole number from 0 to 9007199254740991";
    let money = "must be dollars from 0 to 9000000 with at most 9 decimal places, such as 12.50";
    let id = "must be 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter or digit";
    let fraction = "must be a fraction above 0 and up to 1 with at most 3 decimal places, such as 0.9";
    let share = "must be a fraction from 0 to 1 with at most 3 decimal places, such as 0.9";
    let scope_key = "must be a scope key: 1 to 64 characters of A-Z a-z 0-9 . _ -";
    for (lines, key, rule) in [
        ("unit = \"u\"\nwindow = \"1m\"\ncapacity = -5", "capacity = -5", whole),
        ("unit = \"u\"\nwindow = \"1m\"\ncapacity = 1.5", "capacity = 1.5", whole),
        ("unit = \"u\"\nwindow = \"1m\"\ncapacity = \"many\"", "capacity = \"many\"", whole),
        ("unit = \"u\"\nwindow = \"1m\"\ncapacity = 9007199254740992", "capacity = 9007199254740992", whole),
        ("unit = \"u\"\nwindow = \"1m\"", "capacity", "is required"),
        ("unit = \"cost_usd\"\nwindow = \"1m\"\ncapacity = 9000000.01", "capacity = 9000000.01", money),
        ("unit = \"cost_usd\"\nwindow = \"1m\"\ncapacity = \"0.0000000001\"", "capacity = \"0.0000000001\"", money),
        ("unit = \"cost_usd\"\nwindow = \"1m\"\ncapacity = -1", "capacity = -1", money),
        ("capacity = 5\nwindow = \"1m\"", "unit", "is required"),
        ("unit = \"a b\"\ncapacity = 5\nwindow = \"1m\"", "unit = \"a b\"", id),
        ("unit = \"u\"\ncapacity = 5\nwindow = \"999ms\"", "window = \"999ms\"", window),
        ("unit = \"u\"\ncapacity = 5\nwindow = \"31d 1ms\"", "window = \"31d 1ms\"", window),
        ("unit = \"u\"\ncapacity = 5\nwindow = \"1s 5us\"", "window = \"1s 5us\"", window),
        ("unit = \"u\"\ncapacity = 5\nwindow = 60", "window = 60", window),
        ("unit = \"u\"\ncapacity = 5\nperiod = \"year\"", "period = \"year\"", "must be one of `hour`, `day`, `week`, `month`"),
        (
            "unit = \"u\"\ncapacity = 5\nperiod = \"day\"\ntime_zone = \"Mars/Base\"",
            "time_zone = \"Mars/Base\"",
            "must be an IANA time zone, such as UTC or America/Los_Angeles",
        ),
        (
            "unit = \"u\"\ncapacity = 5\nwindow = \"1m\"\ntime_zone = \"UTC\"",
            "time_zone = \"UTC\"",
            "is of no use without `period`",
        ),
        (
            "unit = \"u\"\ncapacity = 5\nwindow = \"1m\"\nperiod = \"day\"",
            "period = \"day\"",
            "cannot stand beside `window`: a limit has one of them",
        ),
        ("unit = \"u\"\ncapacity = 5\nkind = \"rate\"", "window", "is required where kind = \"rate\""),
        ("unit = \"u\"\ncapacity = 5\nkind = \"budget\"", "period", "is required where kind = \"budget\""),
        ("unit = \"u\"\ncapacity = 5\nkind = \"budget\"\nwindow = \"1m\"", "window = \"1m\"", "is for kind = \"rate\" only"),
        (
            "unit = \"u\"\ncapacity = 5\nkind = \"concurrency\"\nperiod = \"day\"",
            "period = \"day\"",
            "is for kind = \"budget\" only",
        ),
        ("unit = \"u\"\ncapacity = 5\nkind = \"leaky\"", "kind = \"leaky\"", "must be one of `rate`, `budget`, `concurrency`"),
        ("warning_at = 0", "warning_at = 0", fraction),
        ("warning_at = 1.1", "warning_at = 1.1", fraction),
        ("warning_at = 0.9001", "warning_at = 0.9001", fraction),
        ("warning_at = 90", "warning_at = 90", fraction),
        ("priority_share = { low = -0.1 }", "priority_share.low = -0.1", share),
        ("mode = \"log\"", "mode = \"log\"", "must be one of `enforce`, `shadow`"),
        ("on_lease_end = \"keep\"", "on_lease_end = \"keep\"", "must be one of `refund`, `charge`"),
        ("on_store_failure = \"local\"", "on_store_failure = \"local\"", "must be one of `deny`, `allow`"),
        ("settle = \"x\"", "settle = \"x\"", "must be one of `actual`, `admitted`"),
        ("default_cost = -1", "default_cost = -1", whole),
        ("optional = \"maybe\"", "optional = \"maybe\"", "must be true or false"),
        ("events = 2", "events = 2", "must be true or false"),
        ("per = [\"a\", \"a\"]", "per[1] = \"a\"", "is listed twice"),
        ("per = \"a b\"", "per = \"a b\"", scope_key),
        ("when = { \"a b\" = \"x\" }", "when.\"a b\" = \"x\"", scope_key),
        ("when = { model = [] }", "when.model = a list", "must list at least one value or glob"),
        (
            "when = { model = [\"o3\", \"\"] }",
            "when.model[1] = \"\"",
            "must be 1 to 256 bytes of printable text, and no provider's secret key",
        ),
        (
            "when = { model = \"gpt-[\" }",
            "when.model = \"gpt-[\"",
            "must be a value or a glob: unclosed character class; missing ']'",
        ),
        ("smooth = \"1m\"", "smooth = \"1m\"", "must be shorter than the window (1m)"),
        ("smooth = \"2m\"", "smooth = \"2m\"", "must be a duration from 1s to 1m, such as \"90s\" or \"1m30s\""),
        (
            "per = \"user\"\noverrides = [{ match = { workspace = \"a\" }, capacity = 1 }]",
            "overrides[0].match.workspace = \"a\"",
            "must be a key in this limit's `per` (user)",
        ),
        ("overrides = [{ capacity = 1 }]", "overrides[0].match", "must name at least one key of `per` with its values"),
        ("per = \"user\"\noverrides = [{ match = { user = \"a\" } }]", "overrides[0].capacity", "is required"),
        ("per = \"user\"\noverrides = [{ match = { user = \"a\" }, capacity = \"x\" }]", "overrides[0].capacity = \"x\"", whole),
    ] {
        let lines =
            if lines.starts_with("unit") || lines.starts_with("capacity") { lines.to_owned() } else { format!("{RATE}{lines}") };
        refused(&with_limit(&lines), &format!("q.toml: pools[0].limits[0].{key}: {rule}"));
    }
    refused(
        &with_limit("unit = \"u\"\ncapacity = 5"),
        "q.toml: pools[0].limits[0] = a table: needs `window` (a rate), `period` (a budget) or kind = \"concurrency\"",
    );
    refused(
        &with_limit("unit = \"u\"\ncapacity = 5\nkind = \"concurrency\"\nsmooth = \"10s\""),
        "q.toml: pools[0].limits[0].smooth = \"10s\": is for a limit with a `window` only",
    );
}

#[test]
fn pools_and_ids_must_be_sound() {
    refused("pools = []", "q.toml: pools = a list: must list 1 to 256 pools, has 0");
    refused("[[pools]]\nid = \"p\"", "q.toml: pools[0].limits: must list at least one limit");
    let rate = |id: &str| format!("[[pools.limits]]\nid = \"{id}\"\n{RATE}");
    refused(
        &format!("[[pools]]\nid = \"p\"\n{}{}", rate("a"), rate("a")),
        "q.toml: pools[0].limits[1].id = \"a\": is the id of limits[0] of this pool, too; each limit needs its own",
    );
    refused(
        &format!("[[pools]]\nid = \"p\"\n{0}[[pools]]\nid = \"p\"\n{0}", rate("a")),
        "q.toml: pools[1].id = \"p\": is the id of pools[0], too; each pool needs its own",
    );
    refused(
        &format!("[[pools]]\nid = \"-p\"\n{}", rate("a")),
        "q.toml: pools[0].id = \"-p\": must be 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter or digit",
    );
    refused(
        &format!("[[pools]]\nid = \"p\"\nprovider = \"acme\"\nrecord_retention = \"25h\"\n{}", rate("a")),
        "q.toml: pools[0].provider = \"acme\": must be one of `openai`, `azure`, `anthropic`, `gemini`, `bedrock`, `generic`\n\
         q.toml: pools[0].record_retention = \"25h\": must be a duration from 1s to 1d, such as \"90s\" or \"1m30s\"",
    );
    let many: String = (0..33).map(|i| format!("{}smooth = \"1s\"\n", rate(&format!("l{i}")))).collect();
    refused(
        &format!("[[pools]]\nid = \"p\"\n{many}"),
        "q.toml: pools[0].limits = a list: must list at most 64 limits, companions of `smooth` included; has 66",
    );
}

#[test]
fn other_sections_say_what_they_allow() {
    for (toml, expected) in [
        (
            "[server]\nlisten = \"8080\"",
            "server.listen = \"8080\": must be an IP address and port, such as 127.0.0.1:8080 or [::]:8080",
        ),
        ("[server]\nmax_body_bytes = 10", "server.max_body_bytes = 10: must be a whole number from 1024 to 67108864"),
        ("[server]\nport = 65536", "server.port = 65536: must be a whole number from 0 to 65535"),
        ("[redis]\ndeadline_ms = 0", "redis.deadline_ms = 0: must be a whole number from 1 to 60000"),
        ("[auth]\nmode = \"basic\"", "auth.mode = \"basic\": must be one of `keys`, `none`"),
        ("[log]\nformat = \"xml\"", "log.format = \"xml\": must be one of `text`, `json`"),
        (
            "[live]\norigins = [\"https://a.example\", \"https://b.example/page\"]",
            "live.origins[1] = \"https://b.example/page\": must be an origin as browsers send it, https://host or \
             https://host:port (or http), without a path",
        ),
        ("[live]\nmax_connections = 0", "live.max_connections = 0: must be a whole number from 1 to 1000000"),
        (
            "[live]\nping_interval = \"0s\"",
            "live.ping_interval = \"0s\": must be a duration from 100ms to 1h, such as \"90s\" or \"1m30s\"",
        ),
        ("[history]\nretention_days = 0", "history.retention_days = 0: must be a whole number from 1 to 3650"),
        ("admin_key = \" \"", "admin_key = [redacted]: must not be empty; leave it out to close admin operations"),
    ] {
        refused(toml, &format!("q.toml: {expected}"));
    }
}

#[test]
fn keys_are_checked_without_being_shown() {
    let key = |lines: &str| format!("[[auth.keys]]\n{lines}");
    let hash = format!("sha256 = \"{}\"", "ab".repeat(32));
    refused(
        &key("name = \"a\"\nsha256 = \"s3cret\"\nroles = [\"read\"]"),
        "q.toml: auth.keys[0].sha256 = [redacted]: must be the 64 hex digits of the key's SHA-256; \
         `quota-coordinator key new` prints a key with its hash",
    );
    refused(
        &key(&format!("name = \"a\"\n{hash}\nroles = [\"read\", \"root\"]")),
        "q.toml: auth.keys[0].roles[1] = \"root\": must be one of `read`, `consume`, `report`, `admin`",
    );
    refused(
        &key(&format!("name = \"a\"\n{hash}")),
        "q.toml: auth.keys[0].roles: must list at least one of `read`, `consume`, `report`, `admin`",
    );
    refused(
        &key(&format!("name = \"a\"\n{hash}\nroles = \"read\"\npools = [\"azure\"]")),
        "q.toml: auth.keys[0].pools[0] = \"azure\": must be one of `openai`",
    );
}

#[test]
fn misspelt_and_misplaced_keys_name_what_is_known() {
    refused(
        &with_limit(&format!("{RATE}capcity = 5")),
        "q.toml: pools[0].limits[0].capcity: is not a known key; known here: `id`, `unit`, `kind`, `capacity`, `window`, \
         `period`, `time_zone`, `per`, `when`, `overrides`, `warning_at`, `mode`, `on_lease_end`, `settle`, `priority_share`, \
         `default_cost`, `on_store_failure`, `optional`, `events`, `smooth`",
    );
    // A secret under a misspelt or misplaced key is not repeated.
    refused(
        "admin_kye = \"s3cret\"",
        "q.toml: admin_kye: is not a known key; known here: `admin_key`, `pools`, `prices`, `server`, `redis`, `auth`, `live`, `history`, `log`",
    );
    refused("redis = \"redis://:s3cret@h\"", "q.toml: redis = a text: must be a table");
    refused("admin_key = [\"s3cret\"]", "q.toml: admin_key = a list: must be a single value (text, a number, true or false)");
    refused("pools = 5", "q.toml: pools = 5: must be a list");
}

#[test]
fn every_fault_is_reported_and_variables_are_named() {
    let refused = |variables: &[(&str, &str)], expected: &str| {
        assert_eq!(Config::load(None, &env(variables)).unwrap_err().to_string(), expected);
    };
    refused(
        &[("OPENAI_RATE_LIMIT_PER_MINUTE", "lots"), ("OPENAI_MONTHLY_BUDGET_USD", "-1")],
        "OPENAI_RATE_LIMIT_PER_MINUTE = \"lots\": must be a whole number from 1 to 9007199254740991\n\
         OPENAI_MONTHLY_BUDGET_USD = \"-1\": must be dollars above 0 and up to 9000000 with at most 9 decimal places",
    );
    refused(
        &[("OPENAI_WARNING_THRESHOLD_PERCENT", "101")],
        "OPENAI_WARNING_THRESHOLD_PERCENT = \"101\": must be a percentage above 0 and up to 100 with at most 1 decimal place",
    );
    refused(
        &[("ENABLE_QUOTA_PERSISTENCE", "maybe"), ("QUOTA_SNAPSHOT_INTERVAL_MINUTES", "0")],
        "QUOTA_SNAPSHOT_INTERVAL_MINUTES = \"0\": must be a whole number from 1 to 1440\n\
         ENABLE_QUOTA_PERSISTENCE = \"maybe\": must be true or false",
    );
    refused(
        &[("QUOTA__SERVER__LISTEN", "x")],
        "QUOTA__SERVER__LISTEN = \"x\": must be an IP address and port, such as 127.0.0.1:8080 or [::]:8080",
    );
    refused(
        &[("QUOTA__SERVER__LISTNE", "x")],
        "QUOTA__SERVER__LISTNE: is not a known key; known here: `listen`, `port`, `max_body_bytes`, `request_timeout`, \
         `drain_delay`, `shutdown_grace`, `metrics_listen`",
    );
    refused(
        &[("QUOTA__POOLS", r#"[{"id":"p","limits":[{"id":"l","unit":"u","capacity":"x","window":"1m"}]}]"#)],
        "QUOTA__POOLS: pools[0].limits[0].capacity = \"x\": must be a whole number from 0 to 9007199254740991",
    );
    refused(
        &[("QUOTA__REDIS__URL", "http://user:s3cret@host")],
        "QUOTA__REDIS__URL = \"http://user:[redacted]@host\": must be a URL of redis://, rediss:// or redis+unix://, \
         such as redis://127.0.0.1:6379",
    );
    refused(
        &[("QUOTA__REDIS__URL", "s3cret")],
        "QUOTA__REDIS__URL = \"[redacted]\": must be a URL of redis://, rediss:// or redis+unix://, \
         such as redis://127.0.0.1:6379",
    );
}

#[test]
fn a_float_that_is_no_number_is_refused() {
    let toml = with_limit("unit = \"cost_usd\"\nperiod = \"day\"\ncapacity = nan");
    assert!(Config::parse("q.toml", Format::Toml, &toml, &Environment::default()).is_err());
}
