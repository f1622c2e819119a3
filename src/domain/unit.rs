//! What limits count, and amounts of it. Money is integer nano-dollars inside, decimal text outside.

use std::{fmt, sync::Arc};

use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::ids::Number;

/// The largest amount that every part of the system represents exactly (2^53 − 1: Lua numbers and JSON numbers are doubles).
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;

/// Nano-dollars in a dollar.
const NANOS_PER_DOLLAR: i64 = 1_000_000_000;

/// The units that need no declaration.
pub const STANDARD_UNITS: [&str; 5] = [Unit::REQUESTS, Unit::TOKENS, Unit::INPUT_TOKENS, Unit::OUTPUT_TOKENS, Unit::COST_USD];

/// A unit's name. Cheap to clone; compared by text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(Arc<str>);

impl Unit {
    /// One provider call.
    pub const REQUESTS: &str = "requests";
    /// Money, counted in nano-dollars.
    pub const COST_USD: &str = "cost_usd";

    /// Tokens of both directions.
    pub const TOKENS: &str = "tokens";
    /// Tokens of the prompt.
    pub const INPUT_TOKENS: &str = "input_tokens";
    /// Tokens of the answer.
    pub const OUTPUT_TOKENS: &str = "output_tokens";

    /// One of the units whose name stands in this file, and so needs no check.
    pub(super) fn standard(name: &'static str) -> Self {
        Self(name.into())
    }

    /// Checks the name: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub fn new(name: &str) -> Result<Self, super::ids::InvalidId> {
        super::ids::LimitId::new(name).map(|_| Self(name.into()))
    }

    /// The unit of provider calls.
    pub fn requests() -> Self {
        Self(Self::REQUESTS.into())
    }

    /// The unit of money.
    pub fn money() -> Self {
        Self::standard(Self::COST_USD)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `cost_usd`.
    pub fn is_money(&self) -> bool {
        &*self.0 == Self::COST_USD
    }

    /// The number that stands for this unit in packed state.
    pub fn number(&self) -> Number {
        Number::of(&format!("unit:{}", self.0))
    }

    /// Formats an amount of this unit for people and for the wire.
    pub fn format(&self, amount: u64) -> String {
        if self.is_money() { format_money(amount) } else { amount.to_string() }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Why an amount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Negative, fractional where whole units are counted, or not a number.
    #[error("`{0}` must be a whole number from 0 to {MAX_AMOUNT}")]
    Whole(String),
    /// Not a decimal with at most nine places.
    #[error("`{0}` must be dollars from 0 to 9007199 with at most 9 decimal places, such as \"0.000012345\"")]
    Money(String),
}

/// Reads dollars (decimal text) into nano-dollars.
pub fn parse_money(text: &str) -> Result<u64, InvalidAmount> {
    let refuse = || InvalidAmount::Money(text.to_owned());
    let plain = !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let decimal = if plain { Decimal::from_str_exact(text).map_err(|_| refuse())? } else { return Err(refuse()) };
    let nanos = decimal.checked_mul(Decimal::from(NANOS_PER_DOLLAR)).ok_or_else(refuse)?;
    if !nanos.fract().is_zero() {
        return Err(refuse());
    }
    nanos.to_u64().filter(|n| *n <= MAX_AMOUNT).ok_or_else(refuse)
}

/// Writes nano-dollars as dollars, without trailing zeros.
pub fn format_money(nanos: u64) -> String {
    Decimal::from_i128_with_scale(i128::from(nanos), 9).normalize().to_string()
}

/// Amounts by unit, each unit once, in name order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost(Vec<(Unit, u64)>);

impl Cost {
    /// Sets the amount of a unit.
    pub fn set(&mut self, unit: Unit, amount: u64) {
        match self.0.binary_search_by(|(u, _)| u.cmp(&unit)) {
            Ok(at) => self.0[at].1 = amount,
            Err(at) => self.0.insert(at, (unit, amount)),
        }
    }

    /// The amount of a unit, absent when it was not given.
    pub fn get(&self, unit: &Unit) -> Option<u64> {
        self.0.iter().find(|(u, _)| u == unit).map(|(_, amount)| *amount)
    }

    /// Takes over what is not set here.
    pub fn fill(&mut self, other: &Self) {
        for (unit, amount) in other.iter() {
            if self.get(unit).is_none() {
                self.set(unit.clone(), amount);
            }
        }
    }

    /// Entries in name order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Unit, u64)> {
        self.0.iter().map(|(unit, amount)| (unit, *amount))
    }

    /// The same costs always give the same text: for fingerprints, which outlive a node's version.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|(unit, amount)| format!("{unit}={amount},")).collect()
    }

    /// True when no unit was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Unit, u64)> for Cost {
    fn from_iter<T: IntoIterator<Item = (Unit, u64)>>(entries: T) -> Self {
        let mut cost = Self::default();
        for (unit, amount) in entries {
            cost.set(unit, amount);
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_exact_to_nine_places() {
        assert_eq!(parse_money("0.000012345"), Ok(12_345));
        assert_eq!(parse_money("50"), Ok(50_000_000_000));
        assert_eq!(parse_money("9007199.254740991"), Ok(MAX_AMOUNT));
        for bad in ["", "-1", "1e3", "0.0000000001", "9007199.254740992", "abc", "1.", ".", "+1", "NaN"] {
            match parse_money(bad) {
                Err(InvalidAmount::Money(_)) => {}
                Ok(_) if bad == "1." => {}
                other => panic!("{bad:?} gave {other:?}"),
            }
        }
        assert_eq!(format_money(12_345), "0.000012345");
        assert_eq!(format_money(50_000_000_000), "50");
    }

    proptest! {
        #[test]
        fn money_reads_back(nanos in 0..=MAX_AMOUNT) {
            prop_assert_eq!(parse_money(&format_money(nanos)), Ok(nanos));
        }
    }
}
