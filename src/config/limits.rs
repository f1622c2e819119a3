//! From one limit of the file to the domain's, with the companion that `smooth` asks for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    ID_RULE,
    file::{LimitFile, OverrideFile, PriorityShareFile},
    path::KeyPath,
    reader::Reader,
    scalar::{OneOrMany, Scalar},
    smooth,
};
use crate::domain::{
    Kind, Limit, LimitId, Mode, OnLeaseEnd, OnStoreFailure, Scope, Settle, Unit,
    limit::{Override, Pattern, PriorityShare},
    period::{Calendar, PeriodLength},
    scope::MAX_ENTRIES,
};

/// Shortest and longest sliding window.
const WINDOWS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(31 * 24 * 3600);
const PERIODS: [PeriodLength; 4] = [PeriodLength::Hour, PeriodLength::Day, PeriodLength::Week, PeriodLength::Month];

/// Reads a limit and its companion; `None` when something it cannot do without is wrong.
pub(super) fn read_limit(
    reader: &mut Reader<'_>,
    path: &KeyPath,
    file: &LimitFile,
    on_store_failure: OnStoreFailure,
) -> Option<(Limit, Option<Limit>)> {
    let id = read_name(reader, &path.key("id"), file.id.as_ref(), LimitId::new);
    let unit = read_name(reader, &path.key("unit"), file.unit.as_ref(), Unit::new);
    let kind = read_kind(reader, path, file);
    let per = read_per(reader, &path.key("per"), file.per.as_ref());
    let when = read_matches(reader, &path.key("when"), &file.when);
    let warning_at = reader.thousandths(&path.key("warning_at"), file.warning_at.as_ref(), 1, 900);
    let priority_share = read_shares(reader, &path.key("priority_share"), &file.priority_share);
    let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    let mode = reader.choice_or(&path.key("mode"), file.mode.as_ref(), &modes, Mode::Enforce);
    let ends = [("refund", OnLeaseEnd::Refund), ("charge", OnLeaseEnd::Charge)];
    let default_end = if matches!(kind, Some(Kind::Rate { .. })) { OnLeaseEnd::Charge } else { OnLeaseEnd::Refund };
    let on_lease_end = reader.choice_or(&path.key("on_lease_end"), file.on_lease_end.as_ref(), &ends, default_end);
    let settles = [("actual", Settle::Actual), ("admitted", Settle::Admitted)];
    let settle = reader.choice_or(&path.key("settle"), file.settle.as_ref(), &settles, Settle::Actual);
    let on_store_failure = read_on_store_failure(reader, path, file.on_store_failure.as_ref(), on_store_failure);
    let optional = reader.flag_or(&path.key("optional"), file.optional.as_ref(), false);
    let events = reader.flag_or(&path.key("events"), file.events.as_ref(), true);

    // Amounts cannot be read without knowing their unit.
    let capacity = reader.required(&path.key("capacity"), file.capacity.as_ref());
    let unit = unit?;
    let capacity = capacity.and_then(|value| reader.amount(&path.key("capacity"), value, &unit));
    let default_cost = file.default_cost.as_ref().and_then(|value| reader.amount(&path.key("default_cost"), value, &unit));
    let overrides = read_overrides(reader, &path.key("overrides"), &file.overrides, &unit, &per);
    let limit = Limit {
        id: id?,
        unit,
        kind: kind?,
        capacity: capacity?,
        per,
        when,
        overrides,
        warning_at,
        mode,
        on_lease_end,
        settle,
        on_store_failure,
        priority_share,
        default_cost,
        optional,
        events,
        companion: false,
    };
    let companion = file.smooth.as_ref().and_then(|slice| smooth::companion(reader, &path.key("smooth"), slice, &limit));
    Some((limit, companion))
}

/// What a pool or a limit says while Redis is away.
pub(super) fn read_on_store_failure(
    reader: &mut Reader<'_>,
    path: &KeyPath,
    value: Option<&Scalar>,
    default: OnStoreFailure,
) -> OnStoreFailure {
    let known = [OnStoreFailure::Deny, OnStoreFailure::Allow].map(|known| (known.as_str(), known));
    reader.choice_or(&path.key("on_store_failure"), value, &known, default)
}

fn read_name<T, E>(
    reader: &mut Reader<'_>,
    path: &KeyPath,
    value: Option<&Scalar>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let value = reader.required(path, value)?;
    reader.accept(path, parse(value.text()).map_err(|_| ID_RULE))
}

#[derive(Clone, Copy, PartialEq)]
enum KindName {
    Rate,
    Budget,
    Concurrency,
}

/// `window` makes a rate, `period` a budget; `kind` may say so, too, and must where neither is there.
fn read_kind(reader: &mut Reader<'_>, path: &KeyPath, file: &LimitFile) -> Option<Kind> {
    let names = [("rate", KindName::Rate), ("budget", KindName::Budget), ("concurrency", KindName::Concurrency)];
    let named = match &file.kind {
        Some(kind) => Some(reader.choice(&path.key("kind"), kind, &names)?),
        None => None,
    };
    if file.period.is_none() && file.time_zone.is_some() {
        reader.refuse(&path.key("time_zone"), "is of no use without `period`");
    }
    match (named, &file.window, &file.period) {
        (None | Some(KindName::Rate), Some(window), None) => {
            let length = reader.duration(&path.key("window"), window, WINDOWS)?;
            Some(Kind::Rate { window_ms: u32::try_from(length.as_millis()).ok()? })
        }
        (None | Some(KindName::Budget), None, Some(period)) => {
            let lengths = PERIODS.map(|length| (length.as_str(), length));
            let length = reader.choice(&path.key("period"), period, &lengths);
            let zone = file.time_zone.as_ref().map_or("UTC", Scalar::text);
            let calendar = Calendar::new(length.unwrap_or(PeriodLength::Day), zone);
            let rule = |_| "must be an IANA time zone, such as UTC or America/Los_Angeles";
            let calendar = reader.accept(&path.key("time_zone"), calendar.map_err(rule))?;
            length.map(|_| Kind::Budget { calendar: Arc::new(calendar) })
        }
        (Some(KindName::Concurrency), None, None) => Some(Kind::Concurrency),
        (None, None, None) => {
            reader.refuse(path, "needs `window` (a rate), `period` (a budget) or kind = \"concurrency\"");
            None
        }
        (Some(KindName::Rate), None, None) => {
            reader.refuse(&path.key("window"), "is required where kind = \"rate\"");
            None
        }
        (Some(KindName::Budget), None, None) => {
            reader.refuse(&path.key("period"), "is required where kind = \"budget\"");
            None
        }
        (None, Some(_), Some(_)) => {
            reader.refuse(&path.key("period"), "cannot stand beside `window`: a limit has one of them");
            None
        }
        (Some(KindName::Rate | KindName::Concurrency), _, Some(_)) => {
            reader.refuse(&path.key("period"), "is for kind = \"budget\" only");
            None
        }
        (Some(KindName::Budget | KindName::Concurrency), Some(_), _) => {
            reader.refuse(&path.key("window"), "is for kind = \"rate\" only");
            None
        }
    }
}

fn is_scope_key(key: &str) -> bool {
    Scope::new([(key, "x")]).is_ok()
}

const KEY_RULE: &str = "must be a scope key: 1 to 64 characters of A-Z a-z 0-9 . _ -";

fn read_per(reader: &mut Reader<'_>, path: &KeyPath, per: Option<&OneOrMany>) -> Vec<Box<str>> {
    let per = per.cloned().unwrap_or_default();
    if per.values.len() > MAX_ENTRIES {
        reader.refuse(path, format!("must list at most {MAX_ENTRIES} scope keys"));
    }
    let mut keys: Vec<Box<str>> = Vec::with_capacity(per.values.len());
    for (path, key) in per.each(path) {
        if !is_scope_key(key.text()) {
            reader.refuse(&path, KEY_RULE);
        } else if keys.iter().any(|other| **other == *key.text()) {
            reader.refuse(&path, "is listed twice");
        } else {
            keys.push(key.text().into());
        }
    }
    keys.sort_unstable();
    keys
}

type Matches = Vec<(Box<str>, Vec<Pattern>)>;

fn read_matches(reader: &mut Reader<'_>, path: &KeyPath, written: &BTreeMap<String, OneOrMany>) -> Matches {
    let mut matches = Vec::with_capacity(written.len());
    for (key, values) in written {
        let path = path.key(key);
        if !is_scope_key(key) {
            reader.refuse(&path, KEY_RULE);
        }
        if values.values.is_empty() {
            reader.refuse(&path, "must list at least one value or glob");
        }
        let patterns = values.each(&path).filter_map(|(path, value)| read_pattern(reader, &path, value)).collect();
        matches.push((key.as_str().into(), patterns));
    }
    matches
}

pub(super) fn read_pattern(reader: &mut Reader<'_>, path: &KeyPath, value: &Scalar) -> Option<Pattern> {
    let probe = Scope::new([("key", value.text())]);
    reader.accept(path, probe.map_err(|_| "must be 1 to 256 bytes of printable text, and no provider's secret key"))?;
    reader.accept(path, Pattern::new(value.text()).map_err(|error| format!("must be a value or a glob: {}", error.kind())))
}

fn read_shares(reader: &mut Reader<'_>, path: &KeyPath, file: &PriorityShareFile) -> PriorityShare {
    let mut share = |key: &str, value| reader.thousandths(&path.key(key), value, 0, 1000);
    PriorityShare {
        low: share("low", file.low.as_ref()),
        normal: share("normal", file.normal.as_ref()),
        high: share("high", file.high.as_ref()),
    }
}

fn read_overrides(
    reader: &mut Reader<'_>,
    path: &KeyPath,
    files: &[OverrideFile],
    unit: &Unit,
    per: &[Box<str>],
) -> Vec<Override> {
    let mut overrides = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let path = path.index(index);
        if file.matches.is_empty() {
            reader.refuse(&path.key("match"), "must name at least one key of `per` with its values");
        }
        for key in file.matches.keys().filter(|key| !per.iter().any(|p| **p == ***key)) {
            reader.refuse(&path.key("match").key(key), format!("must be a key in this limit's `per` ({})", per.join(", ")));
        }
        let matches = read_matches(reader, &path.key("match"), &file.matches);
        let capacity_path = path.key("capacity");
        let capacity = reader.required(&capacity_path, file.capacity.as_ref());
        if let Some(capacity) = capacity.and_then(|value| reader.amount(&capacity_path, value, unit)) {
            overrides.push(Override { matches, capacity });
        }
    }
    overrides
}
