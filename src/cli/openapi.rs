//! `openapi`: the API's document.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::CliError;
use crate::http::openapi;

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

pub(super) fn run(args: OpenApiArgs, out: &mut impl Write) -> Result<(), CliError> {
    match args.format {
        OpenApiFormat::Yaml => write!(out, "{}", openapi::yaml())?,
        OpenApiFormat::Json => {
            let document = serde_json::to_string_pretty(&openapi::document()).map_err(|e| CliError::Internal(e.to_string()))?;
            writeln!(out, "{document}")?;
        }
    }
    Ok(())
}
