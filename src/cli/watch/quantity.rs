//! Amounts as nodes write them: whole numbers, and decimal text for money.

use serde::Deserialize;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// Whole units.
    Whole(u64),
    /// Dollars.
    Money(String),
}

impl Quantity {
    /// As a number, for bars.
    #[expect(clippy::cast_precision_loss, reason = "a bar has fewer cells than a double has digits")]
    pub fn value(&self) -> f64 {
        match self {
            Self::Whole(value) => *value as f64,
            Self::Money(text) => text.parse().unwrap_or(0.0),
        }
    }

    /// In at most so many characters: exact where it fits, else with three digits and a suffix.
    pub fn fit(&self, width: usize) -> String {
        let exact = self.to_string();
        if exact.len() <= width {
            return exact;
        }
        if let Self::Money(_) = self {
            // Fewer decimals first: cents still say more than three digits.
            let short = format!("{:.2}", self.value());
            if short.len() <= width {
                return short;
            }
        }
        shortened(self.value())
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Money(text) => f.write_str(text),
        }
    }
}

/// Three digits and a suffix: `123k`, `1.23M`.
fn shortened(value: f64) -> String {
    let steps = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
    // From where rounding would give four digits, the next suffix is the shorter one.
    let (step, suffix) = steps.into_iter().find(|(step, _)| value >= step * 0.9995).unwrap_or((1.0, ""));
    let value = value / step;
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_fit_their_columns() {
        let whole = |value| Quantity::Whole(value).fit(6);
        assert_eq!(whole(123_456), "123456");
        assert_eq!(whole(1_234_567), "1.23M");
        assert_eq!(whole(999_999_999), "1.00G");
        assert_eq!(whole(99_960_000), "100M");
        assert_eq!(whole(9_007_199_254_740_991), "9.01P");
        let money = |text: &str| Quantity::Money(text.to_owned()).fit(7);
        assert_eq!(money("12.5"), "12.5");
        assert_eq!(money("0.000012345"), "0.00");
        assert_eq!(money("1234567.123456789"), "1.23M");
    }
}
