//! Where each effective value came from.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use figment::{Figment, value::Tag};

use super::path::KeyPath;

/// Who set a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody: it is built in.
    #[default]
    Default,
    /// The configuration file.
    File(PathBuf),
    /// The environment variable of that name.
    Variable(String),
}

impl Source {
    /// The source behind a figment value.
    pub(super) fn of_tag(figment: &Figment, tag: Tag) -> Self {
        match figment.get_metadata(tag).and_then(|metadata| metadata.source.clone()) {
            Some(figment::Source::File(path)) => Self::File(path),
            Some(figment::Source::Custom(name)) => Self::Variable(name),
            _ => Self::Default,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// The source of every value that was set; what is not listed is a default.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<KeyPath, Source>);

impl Sources {
    /// Remembers who set a value.
    pub(super) fn insert(&mut self, path: KeyPath, source: Source) {
        self.0.insert(path, source);
    }

    /// Who set the value at this path; for a table or list, who set the first value in it.
    pub fn of(&self, path: &KeyPath) -> Source {
        let first_within = self.0.range(path..).next();
        first_within.filter(|(key, _)| key.is_within(path)).map(|(_, source)| source.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_source_of_its_first_value() {
        let mut sources = Sources::default();
        sources.insert(KeyPath::of(["server", "listen"]), Source::Variable("V".into()));
        assert_eq!(sources.of(&KeyPath::of(["server"])), Source::Variable("V".into()));
        assert_eq!(sources.of(&KeyPath::of(["serve"])), Source::Default);
        assert_eq!(sources.of(&KeyPath::of(["server", "max_body_bytes"])), Source::Default);
    }
}
