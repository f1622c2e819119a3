//! What is wrong with a configuration, one line for each fault.

use std::fmt;

use super::{path::KeyPath, sources::Source};

/// One fault: where, what was given, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or variable that said it.
    pub source: Source,
    /// The key at fault; empty when the file as a whole is.
    pub key: KeyPath,
    /// The value as given, without secrets; absent when it is missing or must not be shown.
    pub value: Option<String>,
    /// What is allowed.
    pub rule: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.to_string();
        match &self.source {
            Source::Default => f.write_str(&key)?,
            Source::File(path) if key.is_empty() => write!(f, "{}", path.display())?,
            Source::File(path) => write!(f, "{}: {key}", path.display())?,
            // A variable that holds a whole list needs the place inside, too.
            Source::Variable(name) if name.starts_with("QUOTA__") && self.key.is_in_list() => write!(f, "{name}: {key}")?,
            Source::Variable(name) => f.write_str(name)?,
        }
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, ": {}", self.rule.replace('\n', " "))
    }
}

/// Why a configuration was refused: at least one problem. Displays one line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<Problem>);

impl ConfigError {
    /// Fails when there are problems.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// Everything that is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
