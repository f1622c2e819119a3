//! A provider's own usage object: any JSON object, within bounds; its fields are read later, by the pool's provider.

use poem_openapi::registry::MetaSchema;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

use super::schema::documented;
use crate::{
    domain::{
        Provider,
        usage::{self, Said},
    },
    http::checks::Checks,
};

/// Most values, nested ones included.
const MAX_VALUES: usize = 256;
/// Deepest nesting.
const MAX_DEPTH: usize = 8;

/// Usage as a provider writes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderUsage(Map<String, Value>);

documented!(ProviderUsage, "ProviderUsage", |_r| MetaSchema {
    description: Some(
        "The provider's own usage object, such as `{\"prompt_tokens\": 1200, \"completion_tokens\": 300}`: at most 256 values, \
         nested at most 8 deep. What is counted depends on the pool's provider; fields that it does not know are ignored."
    ),
    ..MetaSchema::new("object")
});

impl<'de> Deserialize<'de> for ProviderUsage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        let mut room = MAX_VALUES;
        if object.values().all(|value| fits(value, MAX_DEPTH - 1, &mut room)) {
            return Ok(Self(object));
        }
        Err(D::Error::custom(format_args!("usage must have at most {MAX_VALUES} values, nested at most {MAX_DEPTH} deep")))
    }
}

fn fits(value: &Value, deeper: usize, room: &mut usize) -> bool {
    let Some(left) = room.checked_sub(1) else { return false };
    *room = left;
    match value {
        Value::Object(map) => deeper > 0 && map.values().all(|inner| fits(inner, deeper - 1, room)),
        Value::Array(list) => deeper > 0 && list.iter().all(|inner| fits(inner, deeper - 1, room)),
        _ => true,
    }
}

impl ProviderUsage {
    /// What it stands for, by the rules of the provider.
    pub fn read(&self, provider: Provider, checks: &mut Checks) -> Said {
        usage::read(provider, &self.0).unwrap_or_else(|error| {
            checks.refuse(&format!("/usage{}", error.pointer), &error);
            Said::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ProviderUsage, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "{\"a\":".repeat(depth), "1".to_owned() + &"}".repeat(depth))
    }

    #[test]
    fn size_and_depth_are_bounded() {
        assert!(read(&nested(8)).is_ok());
        assert!(read(&nested(9)).unwrap_err().contains("8 deep"));
        let list = |n: usize| format!("{{\"a\":[{}]}}", vec!["1"; n].join(","));
        assert!(read(&list(255)).is_ok());
        assert!(read(&list(256)).unwrap_err().contains("256 values"));
        for bad in ["[]", "1", "\"x\"", "null", "{\"a\":NaN}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_field_is_refused_at_its_place() {
        let mut checks = Checks::inside("/operations/2".into());
        read(r#"{"prompt_tokens":"x"}"#).unwrap().read(Provider::Openai, &mut checks);
        assert_eq!(checks.into_errors()[0].pointer.as_deref(), Some("/operations/2/usage/prompt_tokens"));
    }
}
