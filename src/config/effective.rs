//! The effective configuration as a TOML document, each value with its source behind it.

use std::fmt::Write as _;

use super::{Config, KeyPath, Live, Source, prices::day, reader::span};
use crate::domain::{
    Kind, Limit, OnLeaseEnd, Pool, Price, Settle,
    limit::{Mode, Pattern},
    unit::format_money,
};

impl Config {
    /// The effective configuration as TOML. Read back, it gives the same configuration, but for
    /// secrets, which are shown as comments or without their password.
    pub fn to_toml(&self) -> String {
        let mut out = Document { config: self, text: String::new() };
        out.admin_key();
        out.sections();
        for (index, pool) in self.pools.iter().enumerate() {
            out.pool(&KeyPath::of(["pools"]).index(index), pool);
        }
        for (index, price) in self.prices.iter().enumerate() {
            out.price(&KeyPath::of(["prices"]).index(index), price);
        }
        out.text
    }
}

struct Document<'a> {
    config: &'a Config,
    text: String,
}

/// A TOML string. JSON's escapes are a subset of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", items.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
}

fn table(entries: impl IntoIterator<Item = (String, String)>) -> String {
    let entries: Vec<_> = entries.into_iter().map(|(key, value)| format!("{} = {value}", quoted(&key))).collect();
    format!("{{ {} }}", entries.join(", "))
}

fn matches(matches: &[(Box<str>, Vec<Pattern>)]) -> String {
    table(matches.iter().map(|(key, patterns)| (key.to_string(), list(patterns.iter().map(Pattern::as_str)))))
}

/// Thousandths as a decimal fraction.
fn fraction(thousandths: u16) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.strip_suffix("00").unwrap_or(&text).to_owned()
}

impl Document<'_> {
    fn heading(&mut self, text: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.text, "{gap}{text}");
    }

    /// One line: `key = value  # source`.
    fn value(&mut self, table: &KeyPath, key: &str, value: impl AsRef<str>) {
        let source = self.config.sources.of(&table.key(key));
        self.sourced(key, value.as_ref(), &source);
    }

    fn sourced(&mut self, key: &str, value: &str, source: &Source) {
        let line = format!("{key} = {value}");
        let _ = writeln!(self.text, "{line:<48}  # {source}");
    }

    fn admin_key(&mut self) {
        let source = self.config.sources.of(&KeyPath::of(["admin_key"]));
        let state = if self.config.admin_key.is_some() { super::REDACTED } else { "not set: admin operations are closed" };
        let _ = writeln!(self.text, "# admin_key: {state}  # {source}");
    }

    fn sections(&mut self) {
        let Config { server, redis, auth, live, history, log, .. } = self.config;
        let section = |key: &'static str| KeyPath::of([key]);

        self.heading("[server]");
        let at = section("server");
        let port = at.key("port");
        // A port of its own is folded into the address that it changes.
        let source = match self.config.sources.of(&port) {
            Source::Default => self.config.sources.of(&at.key("listen")),
            set => set,
        };
        self.sourced("listen", &quoted(&server.listen.to_string()), &source);
        self.value(&at, "max_body_bytes", server.max_body_bytes.to_string());
        self.value(&at, "request_timeout", quoted(&span(server.request_timeout)));
        self.value(&at, "drain_delay", quoted(&span(server.drain_delay)));
        self.value(&at, "shutdown_grace", quoted(&span(server.shutdown_grace)));
        if let Some(listen) = server.metrics_listen {
            self.value(&at, "metrics_listen", quoted(&listen.to_string()));
        }

        self.heading("[redis]");
        let at = section("redis");
        self.value(&at, "url", quoted(&redis.url.to_string()));
        self.value(&at, "deadline_ms", redis.deadline.as_millis().to_string());
        self.value(&at, "connect_timeout", quoted(&span(redis.connect_timeout)));
        self.value(&at, "breaker_failures", redis.breaker_failures.to_string());
        self.value(&at, "breaker_longest_pause", quoted(&span(redis.breaker_longest_pause)));

        self.heading("[auth]");
        let at = section("auth");
        match auth.mode {
            Some(mode) => self.value(&at, "mode", quoted(mode.as_str())),
            None => self.text.push_str("# mode is not set: `serve` will not start\n"),
        }
        self.value(&at, "force", auth.force.to_string());
        for (index, key) in auth.keys.iter().enumerate() {
            let at = at.key("keys").index(index);
            self.heading("[[auth.keys]]");
            self.value(&at, "name", quoted(&key.name));
            let source = self.config.sources.of(&at.key("sha256"));
            let _ = writeln!(self.text, "# sha256: {}  # {source}", super::REDACTED);
            self.value(&at, "roles", list(key.roles.iter().map(|role| role.as_str())));
            if let Some(pools) = &key.pools {
                self.value(&at, "pools", list(pools.iter().map(|pool| pool.as_str())));
            }
            if !key.scope.is_empty() {
                let entries = key.scope.iter().map(|(key, values)| (key.to_string(), list(values.iter().map(|value| &**value))));
                self.value(&at, "scope", table(entries));
            }
            if let Some(expires_at) = key.expires_at {
                self.value(&at, "expires_at", quoted(&expires_at.to_string()));
            }
        }

        self.live(live);

        self.heading("[history]");
        let at = section("history");
        self.value(&at, "persistence", history.persistence.to_string());
        self.value(&at, "retention_days", (history.retention.as_secs() / 86_400).to_string());
        self.value(&at, "snapshot_interval_minutes", (history.snapshot_interval.as_secs() / 60).to_string());

        self.heading("[log]");
        let at = section("log");
        self.value(&at, "format", quoted(log.format.as_str()));
        self.value(&at, "level", quoted(&log.level));
    }

    fn live(&mut self, live: &Live) {
        self.heading("[live]");
        let at = KeyPath::of(["live"]);
        self.value(&at, "origins", list(live.origins.iter().map(String::as_str)));
        for (key, count) in [
            ("max_connections", live.max_connections),
            ("max_connections_per_pool", live.max_connections_per_pool),
            ("max_connections_per_key", live.max_connections_per_key),
            ("max_unauthenticated", live.max_unauthenticated),
            ("max_unauthenticated_per_address", live.max_unauthenticated_per_address),
            ("max_subscriptions", live.max_subscriptions),
            ("max_message_bytes", live.max_message_bytes),
        ] {
            self.value(&at, key, count.to_string());
        }
        self.value(&at, "connects_per_second", live.connects_per_second.to_string());
        self.value(&at, "commands_per_second", live.commands_per_second.to_string());
        for (key, time) in [
            ("authenticate_within", live.authenticate_within),
            ("ping_interval", live.ping_interval),
            ("pong_timeout", live.pong_timeout),
            ("write_timeout", live.write_timeout),
            ("max_age", live.max_age),
            ("max_stream_age", live.max_stream_age),
            ("ticket_lifetime", live.ticket_lifetime),
        ] {
            self.value(&at, key, quoted(&span(time)));
        }
    }

    fn pool(&mut self, at: &KeyPath, pool: &Pool) {
        self.heading("[[pools]]");
        self.value(at, "id", quoted(pool.id.as_str()));
        self.value(at, "provider", quoted(pool.provider.as_str()));
        self.value(at, "units", list(pool.units.iter().map(|unit| unit.as_str())));
        self.value(at, "record_retention", quoted(&span(pool.record_retention)));
        self.value(at, "on_store_failure", quoted(pool.on_store_failure.as_str()));
        for (index, limit) in pool.limits.iter().filter(|limit| !limit.companion).enumerate() {
            let prefix = format!("{}/", limit.id);
            let companion = pool.limits.iter().find(|other| other.companion && other.id.as_str().starts_with(&prefix));
            self.limit(&at.key("limits").index(index), limit, companion.map(|companion| &**companion));
        }
    }

    fn price(&mut self, at: &KeyPath, price: &Price) {
        self.heading("[[prices]]");
        if let Some(provider) = price.provider {
            self.value(at, "provider", quoted(provider.as_str()));
        }
        self.value(at, "model", quoted(price.model.as_str()));
        if let Some(from_us) = price.from_us {
            self.value(at, "from", quoted(&day(from_us)));
        }
        let rates = price.rates;
        let rates = [
            ("input", rates.input),
            ("cached_input", rates.cached_input),
            ("cache_write", rates.cache_write),
            ("output", rates.output),
        ];
        for (key, nanos) in rates {
            self.value(at, key, quoted(&format_money(nanos)));
        }
    }

    fn limit(&mut self, at: &KeyPath, limit: &Limit, companion: Option<&Limit>) {
        let amount = |units| if limit.unit.is_money() { quoted(&limit.unit.format(units)) } else { units.to_string() };
        self.heading("[[pools.limits]]");
        self.value(at, "id", quoted(limit.id.as_str()));
        self.value(at, "unit", quoted(limit.unit.as_str()));
        self.value(at, "capacity", amount(limit.capacity));
        match &limit.kind {
            Kind::Rate { window_ms } => self.value(at, "window", quoted(&milliseconds(*window_ms))),
            Kind::Budget { calendar } => {
                self.value(at, "period", quoted(calendar.length().as_str()));
                self.value(at, "time_zone", quoted(calendar.zone_name()));
            }
            Kind::Concurrency => self.value(at, "kind", quoted(limit.kind.as_str())),
        }
        if let Some(Limit { kind: Kind::Rate { window_ms }, .. }) = companion {
            self.value(at, "smooth", quoted(&milliseconds(*window_ms)));
        }
        self.value(at, "per", list(limit.per.iter().map(|key| &**key)));
        if !limit.when.is_empty() {
            self.value(at, "when", matches(&limit.when));
        }
        self.value(at, "warning_at", fraction(limit.warning_at));
        self.value(at, "mode", quoted(if limit.mode == Mode::Shadow { "shadow" } else { "enforce" }));
        let on_lease_end = if limit.on_lease_end == OnLeaseEnd::Charge { "charge" } else { "refund" };
        self.value(at, "on_lease_end", quoted(on_lease_end));
        self.value(at, "settle", quoted(if limit.settle == Settle::Admitted { "admitted" } else { "actual" }));
        self.value(at, "on_store_failure", quoted(limit.on_store_failure.as_str()));
        let shares = limit.priority_share;
        let shares = [("low", shares.low), ("normal", shares.normal), ("high", shares.high)];
        self.value(at, "priority_share", table(shares.map(|(name, share)| (name.to_owned(), fraction(share)))));
        if let Some(cost) = limit.default_cost {
            self.value(at, "default_cost", amount(cost));
        }
        self.value(at, "optional", limit.optional.to_string());
        self.value(at, "events", limit.events.to_string());
        for (index, other) in limit.overrides.iter().enumerate() {
            let at = at.key("overrides").index(index);
            self.heading("[[pools.limits.overrides]]");
            self.value(&at, "match", matches(&other.matches));
            self.value(&at, "capacity", amount(other.capacity));
        }
    }
}

fn milliseconds(ms: u32) -> String {
    span(std::time::Duration::from_millis(ms.into()))
}
