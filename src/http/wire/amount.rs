//! Amounts on the wire: integers, and decimal text for money.

use std::{borrow::Cow, fmt};

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
    ser::SerializeMap,
};

use super::schema::documented;
use crate::domain::{
    Cost, Unit,
    unit::{InvalidAmount, MAX_AMOUNT, parse_money},
};

/// Most units that one request may name.
pub const MAX_UNITS: usize = 32;

/// Digits up to which a decimal number survives the way through a double.
const EXACT_DIGITS: usize = 15;

/// An amount in an answer: whole units, or dollars as decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    money: bool,
    value: u64,
}

impl Amount {
    /// An amount of a unit (nano-dollars for money).
    pub fn of(unit: &Unit, value: u64) -> Self {
        Self { money: unit.is_money(), value }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.money {
            serializer.serialize_str(&crate::domain::unit::format_money(self.value))
        } else {
            serializer.serialize_u64(self.value)
        }
    }
}

fn amount_schema(description: &'static str) -> MetaSchema {
    let whole = MetaSchema { minimum: Some(0.0), ..MetaSchema::new_with_format("integer", "int64") };
    let money = MetaSchema { pattern: Some(r"^\d{1,7}(\.\d{1,9})?$".to_owned()), ..MetaSchema::new("string") };
    MetaSchema {
        description: Some(description),
        one_of: vec![MetaSchemaRef::Inline(Box::new(whole)), MetaSchemaRef::Inline(Box::new(money))],
        ..MetaSchema::ANY
    }
}

documented!(Amount, "Amount", |_r| amount_schema(
    "Whole units from 0 to 9007199254740991; for `cost_usd` dollars as a decimal string with at most 9 places."
));

/// An amount in a request whose unit is known from elsewhere: read once the unit is known.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct GivenAmount(serde_json::Value);

impl GivenAmount {
    /// The amount in units; the error says what is allowed.
    pub fn of(&self, unit: &Unit) -> Result<u64, String> {
        AmountOf(unit).deserialize(&self.0).map_err(|error| error.to_string())
    }
}

documented!(GivenAmount, "GivenAmount", |_r| amount_schema(
    "Whole units from 0 to 9007199254740991; for `cost_usd` dollars as a decimal string with at most 9 places."
));

/// Amounts by unit, in an answer.
#[derive(Clone, Debug, Default)]
pub struct Charged(pub Vec<(Unit, u64)>);

impl Serialize for Charged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (unit, value) in &self.0 {
            map.serialize_entry(unit.as_str(), &Amount::of(unit, *value))?;
        }
        map.end()
    }
}

documented!(Charged, "Charged", |registry| {
    <Amount as poem_openapi::types::Type>::register(registry);
    MetaSchema {
        description: Some("Amounts by unit."),
        additional_properties: Some(Box::new(<Amount as poem_openapi::types::Type>::schema_ref())),
        ..MetaSchema::new("object")
    }
});

/// Costs by unit, in a request. Numbers are checked while they are read, so that an error has its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostMap(pub Cost);

documented!(CostMap, "CostMap", |registry| {
    <Amount as poem_openapi::types::Type>::register(registry);
    MetaSchema {
        description: Some("Costs by unit, such as `{\"requests\": 1, \"tokens\": 1200, \"cost_usd\": \"0.0123\"}`."),
        additional_properties: Some(Box::new(<Amount as poem_openapi::types::Type>::schema_ref())),
        max_properties: Some(MAX_UNITS),
        ..MetaSchema::new("object")
    }
});

impl<'de> Deserialize<'de> for CostMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = CostMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of amounts by unit")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CostMap, A::Error> {
                let mut cost = Cost::default();
                while let Some(UnitName(unit)) = map.next_key()? {
                    if cost.get(&unit).is_some() {
                        return Err(A::Error::custom(format_args!("unit `{unit}` appears twice")));
                    }
                    if cost.iter().len() == MAX_UNITS {
                        return Err(A::Error::custom(format_args!("a request names at most {MAX_UNITS} units")));
                    }
                    let value = map.next_value_seed(AmountOf(&unit))?;
                    cost.set(unit, value);
                }
                Ok(CostMap(cost))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

struct UnitName(Unit);

impl<'de> Deserialize<'de> for UnitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Unit::new(&name).map(Self).map_err(D::Error::custom)
    }
}

/// Reads an amount of a known unit from text, as query strings carry it.
pub fn parse_amount(unit: &Unit, text: &str) -> Result<u64, InvalidAmount> {
    if unit.is_money() {
        return parse_money(text);
    }
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let value = if plain { text.parse().ok() } else { None };
    value.filter(|v| *v <= MAX_AMOUNT).ok_or_else(|| InvalidAmount::Whole(shortened(text)))
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

struct AmountOf<'a>(&'a Unit);

impl<'de> DeserializeSeed<'de> for AmountOf<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for AmountOf<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_money() {
            f.write_str("dollars as a decimal string with at most 9 places")
        } else {
            write!(f, "a whole number from 0 to {MAX_AMOUNT}")
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        match self.0.is_money() {
            true => parse_money(&value.to_string()).map_err(E::custom),
            false if value <= MAX_AMOUNT => Ok(value),
            false => Err(E::custom(InvalidAmount::Whole(value.to_string()))),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) if self.0.is_money() => Err(E::custom(InvalidAmount::Money(value.to_string()))),
            Err(_) => Err(E::custom(InvalidAmount::Whole(value.to_string()))),
        }
    }

    /// JSON has one kind of number, so `5.0` is the whole number five. Money given as a number is taken
    /// only where the double stands for one decimal, which is so up to fifteen digits.
    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        let text = value.to_string();
        if self.0.is_money() {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let exact = text.trim_start_matches(['0', '.']).len() <= EXACT_DIGITS || digits <= EXACT_DIGITS;
            return if exact { parse_money(&text).map_err(E::custom) } else { Err(E::custom(InvalidAmount::Money(text))) };
        }
        // `to_string` writes whole doubles without a fraction, and never with an exponent.
        parse_amount(self.0, &text).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        if !self.0.is_money() {
            return Err(E::invalid_type(serde::de::Unexpected::Str(&shortened(text)), &self));
        }
        parse_money(text).map_err(|_| E::custom(InvalidAmount::Money(shortened(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Cost, String> {
        serde_json::from_str::<CostMap>(json).map(|map| map.0).map_err(|e| e.to_string())
    }

    #[test]
    fn whole_units_are_exact_up_to_2_to_the_53() {
        assert_eq!(read(r#"{"tokens":9007199254740991}"#).unwrap().get(&Unit::new("tokens").unwrap()), Some(MAX_AMOUNT));
        assert_eq!(read(r#"{"tokens":5.0,"requests":0}"#).unwrap().get(&Unit::new("tokens").unwrap()), Some(5));
        for bad in ["9007199254740992", "9007199254740993", "-1", "1.5", "\"5\"", "1e300", "null", "[1]", "true", "-0.5"] {
            assert!(read(&format!(r#"{{"tokens":{bad}}}"#)).is_err(), "{bad}");
        }
    }

    #[test]
    fn money_is_text_or_an_exact_number() {
        let money =
            |json: &str| read(&format!(r#"{{"cost_usd":{json}}}"#)).map(|c| c.get(&Unit::new("cost_usd").unwrap()).unwrap());
        assert_eq!(money("\"0.000012345\""), Ok(12_345));
        assert_eq!(money("0.000012345"), Ok(12_345));
        assert_eq!(money("50"), Ok(50_000_000_000));
        assert_eq!(money("0.1"), Ok(100_000_000));
        for bad in ["\"NaN\"", "\"-1\"", "\"0.0000000001\"", "0.0000000001", "9007200", "-1", "1234567.123456789", "\"\""] {
            assert!(money(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_unit_stands_once_and_has_a_plain_name() {
        assert!(read(r#"{"a":1,"a":1}"#).unwrap_err().contains("twice"));
        assert!(read(r#"{"a b":1}"#).is_err());
    }

    #[test]
    fn answers_write_money_as_text() {
        let charged = Charged(vec![(Unit::new("cost_usd").unwrap(), 12_345), (Unit::requests(), 1)]);
        assert_eq!(serde_json::to_string(&charged).unwrap(), r#"{"cost_usd":"0.000012345","requests":1}"#);
    }
}
