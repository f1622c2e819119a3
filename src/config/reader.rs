//! Reads single values by their rules, collecting every fault instead of stopping at the first.

use std::{fmt, net::SocketAddr, ops::RangeInclusive, time::Duration};

use rust_decimal::Decimal;

use super::{
    error::{ConfigError, Problem},
    file::File,
    layers::Layers,
    path::KeyPath,
    scalar::Scalar,
};
use crate::domain::{Unit, unit::MAX_AMOUNT, unit::parse_money};

/// The most dollars of a capacity or cost: nano-dollars stay exact in every part of the system.
const MAX_DOLLARS: u64 = 9_000_000;
const NANOS_PER_DOLLAR: u64 = 1_000_000_000;

/// Reads values and collects problems. A method that finds one reports it and gives `None` (or the
/// default), so that the rest is checked, too; [`Reader::finish`] fails if there was any.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader of the given layers that starts with problems found before.
    pub fn new(layers: &'a Layers, problems: Vec<Problem>) -> Self {
        Self { layers, problems }
    }

    /// Fails if any problem was found.
    pub fn finish(self) -> Result<(), ConfigError> {
        ConfigError::check(self.problems)
    }

    /// Reports the value at a path, or its absence.
    pub fn refuse(&mut self, path: &KeyPath, rule: impl fmt::Display) {
        self.problems.push(self.layers.problem(path, rule.to_string()));
    }

    /// Reports the value at a path when there is an error.
    pub fn accept<T>(&mut self, path: &KeyPath, result: Result<T, impl fmt::Display>) -> Option<T> {
        result.map_err(|rule| self.refuse(path, rule)).ok()
    }

    /// A value that must be there.
    pub fn required<'s>(&mut self, path: &KeyPath, value: Option<&'s Scalar>) -> Option<&'s Scalar> {
        if value.is_none() {
            self.refuse(path, "is required");
        }
        value
    }

    /// A whole number in a range, with underscores between digits if one likes.
    pub fn whole(&mut self, path: &KeyPath, value: &Scalar, range: RangeInclusive<u64>) -> Option<u64> {
        let number = value.number().parse().ok().filter(|number| range.contains(number));
        let rule = || format!("must be a whole number from {} to {}", range.start(), range.end());
        self.accept(path, number.ok_or_else(rule))
    }

    /// A whole number in a range, or the default.
    pub fn whole_or(&mut self, path: &KeyPath, value: Option<&Scalar>, range: RangeInclusive<u64>, default: u64) -> u64 {
        value.and_then(|value| self.whole(path, value, range)).unwrap_or(default)
    }

    /// An amount of a unit: dollars for money, else a whole number.
    pub fn amount(&mut self, path: &KeyPath, value: &Scalar, unit: &Unit) -> Option<u64> {
        if !unit.is_money() {
            return self.whole(path, value, 0..=MAX_AMOUNT);
        }
        let nanos = parse_money(&value.number()).ok().filter(|nanos| *nanos <= MAX_DOLLARS * NANOS_PER_DOLLAR);
        let rule = || format!("must be dollars from 0 to {MAX_DOLLARS} with at most 9 decimal places, such as 12.50");
        self.accept(path, nanos.ok_or_else(rule))
    }

    /// A fraction of one, in thousandths, at least `lowest` of them.
    pub fn thousandths(&mut self, path: &KeyPath, value: Option<&Scalar>, lowest: u16, default: u16) -> u16 {
        let Some(value) = value else { return default };
        let exact = value.number().parse::<Decimal>().ok().and_then(|fraction| fraction.checked_mul(Decimal::ONE_THOUSAND));
        let thousandths = exact.filter(|number| number.is_integer()).and_then(|number| u16::try_from(number).ok());
        let allowed = thousandths.filter(|number| (lowest..=1000).contains(number));
        let range = if lowest == 0 { "from 0 to 1" } else { "above 0 and up to 1" };
        let rule = || format!("must be a fraction {range} with at most 3 decimal places, such as 0.9");
        self.accept(path, allowed.ok_or_else(rule)).unwrap_or(default)
    }

    /// A duration of whole milliseconds in a range.
    pub fn duration(&mut self, path: &KeyPath, value: &Scalar, range: RangeInclusive<Duration>) -> Option<Duration> {
        let parsed = humantime::parse_duration(value.text().trim()).ok();
        let allowed = parsed.filter(|d| range.contains(d) && d.subsec_nanos() % 1_000_000 == 0);
        let rule = || {
            format!("must be a duration from {} to {}, such as \"90s\" or \"1m30s\"", span(*range.start()), span(*range.end()))
        };
        self.accept(path, allowed.ok_or_else(rule))
    }

    /// A duration in a range, or the default.
    pub fn duration_or(
        &mut self,
        path: &KeyPath,
        value: Option<&Scalar>,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        value.and_then(|value| self.duration(path, value, range)).unwrap_or(default)
    }

    /// Yes or no, or the default.
    pub fn flag_or(&mut self, path: &KeyPath, value: Option<&Scalar>, default: bool) -> bool {
        let Some(value) = value else { return default };
        match value.text().trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => true,
            "false" | "no" | "off" | "0" => false,
            _ => {
                self.refuse(path, "must be true or false");
                default
            }
        }
    }

    /// One of the named choices.
    pub fn choice<T: Copy>(&mut self, path: &KeyPath, value: &Scalar, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == value.text()).map(|(_, choice)| *choice);
        let names = || choices.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        self.accept(path, found.ok_or_else(|| format!("must be one of {}", names())))
    }

    /// One of the named choices, or the default.
    pub fn choice_or<T: Copy>(&mut self, path: &KeyPath, value: Option<&Scalar>, choices: &[(&str, T)], default: T) -> T {
        value.and_then(|value| self.choice(path, value, choices)).unwrap_or(default)
    }

    /// An address and port.
    pub fn address(&mut self, path: &KeyPath, value: &Scalar) -> Option<SocketAddr> {
        let text = value.text().trim().replace("localhost:", "127.0.0.1:");
        self.accept(path, text.parse().map_err(|_| "must be an IP address and port, such as 127.0.0.1:8080 or [::]:8080"))
    }
}

/// A duration as people write it, in days and shorter units: `90s` is `1m30s`. Reads back as the same.
pub(super) fn span(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= ms {
            text = format!("{text}{}{unit}", rest / ms);
            rest %= ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Gives every configured value its key in [`File`].
///
/// # Errors
/// A key that does not exist, or a list or table in the wrong place. The message of serde repeats
/// the value, which may be a secret; it is rewritten to name the key and what is allowed.
pub(super) fn deserialize(layers: &Layers) -> Result<File, ConfigError> {
    serde_path_to_error::deserialize::<_, File>(&layers.json).map_err(|error| {
        let path = KeyPath::from(error.path());
        let message = error.inner().to_string();
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let expected = rest.split_once(", expected ").map_or("", |(_, expected)| expected);
            let allowed = expected.trim_start_matches("one of ");
            let problem = Problem { value: None, ..layers.problem(&path, format!("is not a known key; known here: {allowed}")) };
            return problem.into();
        }
        let allowed = message.split_once(", expected ").map_or(message.as_str(), |(_, expected)| expected);
        let rule = format!("must be {}", allowed.replace("a sequence", "a list").replace("a map", "a table"));
        let mut problem = layers.problem(&path, rule);
        // Whatever was meant to stand here, it may have been a secret.
        if path.find(&layers.json).is_some_and(serde_json::Value::is_string) {
            problem.value = Some("a text".to_owned());
        }
        problem.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back() {
        for (ms, text) in [(0, "0s"), (10_000, "10s"), (90_000, "1m30s"), (86_401_001, "1d1s1ms"), (2_678_400_000, "31d")] {
            let duration = Duration::from_millis(ms);
            assert_eq!(span(duration), text);
            assert_eq!(humantime::parse_duration(text).unwrap(), duration);
        }
    }
}
