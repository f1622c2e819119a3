//! `openapi`: the API's document.

use clap::{Args, ValueEnum};

use super::CliError;

/// Arguments of `openapi`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct OpenApiArgs {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = OpenApiFormat::Yaml)]
    pub format: OpenApiFormat,
}

/// How to print the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OpenApiFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

pub(super) fn run(_args: OpenApiArgs) -> Result<(), CliError> {
    Err(CliError::Internal("openapi: the API is not part of this build yet".to_owned()))
}
