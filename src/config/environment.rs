//! Environment variables, as a value: nothing else of the configuration reads the process.

use std::collections::BTreeMap;

use figment::{
    Error, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

/// Prefix of variables that name a key of the file: `QUOTA__SERVER__LISTEN` is `server.listen`.
pub const PREFIX: &str = "QUOTA__";

/// Variables with names of their own. The `QUOTA__…` form of the same key wins.
const ALIASES: [(&str, &[&str]); 4] = [
    ("QUOTA_ADMIN_KEY", &["admin_key"]),
    ("QUOTA_HISTORY_RETENTION_DAYS", &["history", "retention_days"]),
    ("ENABLE_QUOTA_PERSISTENCE", &["history", "persistence"]),
    ("QUOTA_SNAPSHOT_INTERVAL_MINUTES", &["history", "snapshot_interval_minutes"]),
];

/// Variables by name. An empty variable counts as unset: deployment templates set those.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. Bytes that are not UTF-8 become `U+FFFD`, and an error in the key that reads them.
    pub fn of_process() -> Self {
        std::env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())).collect()
    }

    /// The value of a variable; `None` when it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A figment provider for each variable that names a key, weakest first.
    pub(super) fn providers(&self) -> impl Iterator<Item = Variable> {
        let aliases = ALIASES.iter().map(|(name, path)| (*name, path.iter().map(|key| (*key).to_owned()).collect()));
        let prefixed = self.0.keys().filter_map(|name| {
            let path = name.strip_prefix(PREFIX)?.split("__").map(str::to_ascii_lowercase).collect();
            Some((name.as_str(), path))
        });
        aliases.chain(prefixed).filter_map(|(name, path)| {
            let text = self.get(name)?.to_owned();
            Some(Variable { name: name.to_owned(), path, text })
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// One variable as a layer of the configuration.
pub(super) struct Variable {
    name: String,
    path: Vec<String>,
    text: String,
}

impl Variable {
    /// Text stays text, so that a password of digits keeps its zeros; only what begins like a list
    /// or a table is read as one: JSON, or figment's `[a, b]` and `{key=value}`.
    fn value(&self) -> Value {
        let text = self.text.trim();
        if !text.starts_with(['[', '{']) {
            return Value::from(self.text.as_str());
        }
        let json = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|json| Value::serialize(json).ok());
        json.or_else(|| text.parse().ok()).unwrap_or_else(|| Value::from(text))
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variable").source(figment::Source::Custom(self.name.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = self.path.iter().rev().fold(self.value(), |value, key| Value::from(Dict::from([(key.clone(), value)])));
        Ok(Map::from([(Profile::Default, nested.into_dict().unwrap_or_default())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_retyped() {
        let value = |text: &str| Variable { name: "V".into(), path: vec!["v".into()], text: text.into() }.value();
        assert_eq!(value("0012").as_str(), Some("0012"));
        assert_eq!(value("true").as_str(), Some("true"));
        assert_eq!(value("[not a list").as_str(), Some("[not a list"));
        assert_eq!(value("[read, admin]").into_array().map(|list| list.len()), Some(2));
        assert!(value(r#"[{"name": "a", "roles": ["read"]}]"#).into_array().is_some());
    }

    #[test]
    fn empty_is_unset_and_the_prefixed_form_comes_last() {
        let env: Environment = [("QUOTA__ADMIN_KEY", "b"), ("QUOTA_ADMIN_KEY", "a"), ("QUOTA__REDIS__URL", " "), ("OTHER", "x")]
            .into_iter()
            .collect();
        let names: Vec<_> = env.providers().map(|variable| variable.name).collect();
        assert_eq!(names, ["QUOTA_ADMIN_KEY", "QUOTA__ADMIN_KEY"]);
        assert_eq!(env.get("QUOTA__REDIS__URL"), None);
    }
}
