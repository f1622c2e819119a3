//! Whole configurations: what is accepted, and the exact line for what is not.

mod effective;
mod environment;
mod limits;
mod prices;
mod refused;

use super::{Config, ConfigError, Environment, Format};

fn env(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn parse(toml: &str) -> Result<Config, ConfigError> {
    Config::parse("q.toml", Format::Toml, toml, &Environment::default())
}

/// A file with one pool and one limit that has these lines.
fn with_limit(lines: &str) -> String {
    format!("[[pools]]\nid = \"p\"\n[[pools.limits]]\nid = \"l\"\n{lines}\n")
}
