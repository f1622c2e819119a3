//! Single values as text, whatever they look like. The environment knows nothing but text, and a
//! password of digits or a model named `true` must survive a file, too; so each key reads its own text.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::path::KeyPath;

/// A text, number or boolean, as text. Numbers keep their shortest exact decimal form: `0.1` stays `0.1`.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar(String);

impl Scalar {
    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text of a number, without the underscores that group its digits.
    pub fn number(&self) -> String {
        self.0.trim().replace('_', "")
    }
}

struct ScalarVisitor;

impl de::Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value (text, a number, true or false)")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.to_string()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        // Display of a float is the shortest text that reads back, and never has an exponent.
        Ok(Scalar(value.to_string()))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// One value, or a list of them.
#[derive(Clone, Default)]
pub struct OneOrMany {
    /// The values, in order.
    pub values: Vec<Scalar>,
    /// Written as a list (which matters to the key path of an element).
    pub is_list: bool,
}

impl OneOrMany {
    /// Each value with its own path.
    pub fn each<'a>(&'a self, path: &'a KeyPath) -> impl Iterator<Item = (KeyPath, &'a Scalar)> {
        let of = move |at| if self.is_list { path.index(at) } else { path.clone() };
        self.values.iter().enumerate().map(move |(at, value)| (of(at), value))
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> de::Visitor<'de> for ListVisitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value or a list of them")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany { values: vec![ScalarVisitor.visit_str(text)?], is_list: false })
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<OneOrMany, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<OneOrMany, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<OneOrMany, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<OneOrMany, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany { values, is_list: true })
            }
        }
        deserializer.deserialize_any(ListVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        serde_json::from_str::<Scalar>(json).unwrap().text().to_owned()
    }

    #[test]
    fn floats_keep_their_shortest_text() {
        for (json, expected) in
            [("0.1", "0.1"), ("50.0", "50"), ("1e-9", "0.000000001"), ("12.3456789", "12.3456789"), ("1e6", "1000000")]
        {
            assert_eq!(text(json), expected);
        }
    }

    #[test]
    fn everything_single_is_text() {
        assert_eq!((text("true"), text("-5"), text("\"007\"")), ("true".into(), "-5".into(), "007".into()));
        assert!(serde_json::from_str::<Scalar>("[1]").is_err());
        assert_eq!(serde_json::from_str::<OneOrMany>("[1, \"a\"]").unwrap().values.len(), 2);
        assert_eq!(serde_json::from_str::<OneOrMany>("\"a\"").unwrap().values.len(), 1);
    }
}
