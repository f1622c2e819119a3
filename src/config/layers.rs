//! Defaults, file and environment, laid over each other.

use std::path::Path;

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    providers::{Format as _, Json as JsonFormat, Toml, Yaml},
    value::{Dict, Map, Value},
};
use serde_json::Value as Json;

use super::{
    environment::Environment,
    error::{ConfigError, Problem},
    path::KeyPath,
    sources::{Source, Sources},
};

/// What was configured, and by whom. What is absent takes its default when it is read.
pub(super) struct Layers {
    /// Every configured value, without nulls.
    pub json: Json,
    /// Who set each.
    pub sources: Sources,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// The format of a file by its extension; `None` when the extension is unknown.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Parses a text; the error is one line and says where.
    fn parse(self, text: &str) -> Result<Dict, String> {
        let syntax = |kind: &str, error: &dyn std::fmt::Display| format!("is not valid {kind}: {error}");
        match self {
            // An empty YAML or JSON file is no table; a file of comments alone is fine all the same.
            Self::Yaml => {
                Yaml::from_str::<Option<Dict>>(text).map(Option::unwrap_or_default).map_err(|error| syntax("YAML", &error))
            }
            Self::Json => JsonFormat::from_str(text).map_err(|error| syntax("JSON", &error)),
            Self::Toml => Toml::from_str(text).map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                let line = 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
                syntax("TOML", &format_args!("{} at line {line}", error.message().trim()))
            }),
        }
    }
}

/// A file that was read and parsed.
struct FileLayer {
    name: std::path::PathBuf,
    content: Dict,
}

impl Provider for FileLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named("configuration file").source(figment::Source::File(self.name.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.content.clone())]))
    }
}

impl Layers {
    /// Reads the file, if one is named, and lays the environment over it.
    ///
    /// # Errors
    /// A named file must exist, have a known extension, and parse.
    pub fn read(file: Option<&Path>, env: &Environment) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::lay(None, env) };
        let fault = |rule: String| file_fault(path, rule);
        let format = Format::of_path(path).ok_or_else(|| fault("must end in .toml, .yaml, .yml or .json".to_owned()))?;
        let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
        Self::of_text(path, format, &text, env)
    }

    /// Like [`Self::read`], with the file's text at hand.
    pub fn of_text(path: &Path, format: Format, text: &str, env: &Environment) -> Result<Self, ConfigError> {
        let content = format.parse(text).map_err(|rule| file_fault(path, rule))?;
        Self::lay(Some(FileLayer { name: path.to_owned(), content }), env)
    }

    fn lay(file: Option<FileLayer>, env: &Environment) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(file) = file {
            figment = figment.merge(file);
        }
        for variable in env.providers() {
            figment = figment.merge(variable);
        }
        let root = figment.find_value("").map_err(|error| ConfigError::from(unplaced(error.to_string())))?;
        let mut sources = Sources::default();
        let json = plain(&root, &KeyPath::default(), &figment, &mut sources);
        Ok(Self { json, sources })
    }

    /// A problem with the value at a path: finds the value and its source. What is missing is the
    /// fault of whoever wrote the table that it is missing from.
    pub fn problem(&self, key: &KeyPath, rule: String) -> Problem {
        let value = key.find(&self.json).map(|value| super::redact::show(key, value));
        let set = |path: &KeyPath| Some(self.sources.of(path)).filter(|source| *source != Source::Default);
        let source = set(key).or_else(|| set(&key.parent())).unwrap_or_default();
        Problem { source, key: key.clone(), value, rule }
    }
}

fn file_fault(path: &Path, rule: String) -> ConfigError {
    Problem { source: Source::File(path.to_owned()), key: KeyPath::default(), value: None, rule }.into()
}

fn unplaced(rule: String) -> Problem {
    Problem { source: Source::Default, key: KeyPath::of(["configuration"]), value: None, rule }
}

/// Turns a figment value into JSON, noting who set each single value. Nulls are left out: a YAML key
/// without value is a key that was not set.
fn plain(value: &Value, path: &KeyPath, figment: &Figment, sources: &mut Sources) -> Json {
    match value {
        Value::Dict(_, dict) => {
            let set = dict.iter().filter(|(_, value)| !matches!(value, Value::Empty(..)));
            set.map(|(key, value)| (key.clone(), plain(value, &path.key(key), figment, sources))).collect()
        }
        Value::Array(tag, list) => {
            if list.is_empty() {
                sources.insert(path.clone(), Source::of_tag(figment, *tag));
            }
            list.iter().enumerate().map(|(at, value)| plain(value, &path.index(at), figment, sources)).collect()
        }
        single => {
            sources.insert(path.clone(), Source::of_tag(figment, single.tag()));
            serde_json::to_value(single).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_lies_over_the_file_and_each_value_knows_its_source() {
        let env: Environment = [("QUOTA__SERVER__LISTEN", "[::]:1")].into_iter().collect();
        let toml = "[server]\nlisten = \"127.0.0.1:9\"\nmax_body_bytes = 1_000\n[[pools]]\nid = \"a\"";
        let layers = Layers::of_text(Path::new("q.toml"), Format::Toml, toml, &env).unwrap();
        let server = KeyPath::of(["server"]);
        assert_eq!(layers.json["server"]["listen"], "[::]:1");
        assert_eq!(layers.json["server"]["max_body_bytes"], 1000);
        assert_eq!(layers.sources.of(&server.key("listen")), Source::Variable("QUOTA__SERVER__LISTEN".into()));
        assert_eq!(layers.sources.of(&server.key("max_body_bytes")), Source::File("q.toml".into()));
        assert_eq!(layers.sources.of(&KeyPath::of(["pools"]).index(0).key("id")), Source::File("q.toml".into()));
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why_in_one_line() {
        let read = |name: &str, format, text| {
            Layers::of_text(Path::new(name), format, text, &Environment::default()).err().map(|error| error.to_string())
        };
        assert_eq!(read("a.yaml", Format::Yaml, "# nothing\nserver:\n"), None);
        let toml = read("a.toml", Format::Toml, "a = 1\nb = [\n").unwrap();
        assert!(toml.starts_with("a.toml: is not valid TOML: ") && toml.ends_with(" at line 3"), "{toml}");
        let json = read("a.json", Format::Json, "{").unwrap();
        assert!(json.starts_with("a.json: is not valid JSON: EOF while parsing") && json.lines().count() == 1, "{json}");

        let missing = Layers::read(Some(Path::new("/nowhere/q.toml")), &Environment::default()).err().unwrap().to_string();
        assert!(missing.starts_with("/nowhere/q.toml: cannot be read: No such file"), "{missing}");
        let unknown = Layers::read(Some(Path::new("q.ini")), &Environment::default()).err().unwrap().to_string();
        assert_eq!(unknown, "q.ini: must end in .toml, .yaml, .yml or .json");
    }
}
