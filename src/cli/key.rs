//! `key`: API keys.

use std::io::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use rand::{TryRngCore, rngs::OsRng};

use super::CliError;
use crate::config::KeyHash;

/// Arguments of `key`.
#[derive(Clone, Debug, Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What can be done with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Print a new key, once, and the lines that let it in.
    ///
    /// Give the key to its caller, and put the lines into the configuration, which knows the key by
    /// its SHA-256 only.
    New,
}

/// A new key: 256 random bits of the operating system.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn generate() -> Result<String, CliError> {
    let mut bytes = [0u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| CliError::Internal(format!("no randomness: {error}")))?;
    Ok(format!("qck_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

pub(super) fn run(args: KeyArgs, out: &mut impl Write) -> Result<(), CliError> {
    match args.command {
        KeyCommand::New => {
            let key = generate()?;
            let hash = KeyHash::of(&key).to_hex();
            writeln!(out, "# The key, shown this once: {key}\n\n[[auth.keys]]\nname = \"choose-a-name\"\nsha256 = \"{hash}\"")?;
            writeln!(out, "roles = [\"read\", \"consume\", \"report\"]")?;
            Ok(())
        }
    }
}
