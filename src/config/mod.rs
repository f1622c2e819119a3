//! The configuration of a node: defaults, under a file, under the environment.
//!
//! | layer | example |
//! | --- | --- |
//! | built in | `server.listen` is `127.0.0.1:8080` |
//! | the file (`--config`, `QUOTA_CONFIG`; TOML, YAML or JSON by extension) | `[server] listen = "0.0.0.0:80"` |
//! | the environment | `QUOTA__SERVER__LISTEN=0.0.0.0:80` |
//!
//! Some keys have a variable with a name of its own (`QUOTA_ADMIN_KEY`, `QUOTA_HISTORY_RETENTION_DAYS`,
//! `ENABLE_QUOTA_PERSISTENCE`, `QUOTA_SNAPSHOT_INTERVAL_MINUTES`), and where no pool is configured the
//! pool `openai` is made of the `OPENAI_…` variables. An empty variable counts as unset.
//!
//! Everything is checked before anything starts. Each fault is one line that names the file and key
//! or the variable, the value, and what is allowed; secrets are never among them.

mod auth;
mod default_pool;
mod effective;
mod environment;
mod error;
mod file;
mod layers;
mod limits;
mod live;
mod path;
mod pools;
mod prices;
mod reader;
mod redact;
mod scalar;
mod sections;
mod smooth;
mod sources;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

pub use auth::{ApiKey, Auth, AuthMode, KeyHash, Role};
pub use environment::Environment;
pub use error::{ConfigError, Problem};
pub use layers::Format;
pub use live::Live;
pub use path::KeyPath;
pub use pools::{MAX_LIMITS, MAX_POOLS};
pub use prices::MAX_PRICES;
pub use redact::{REDACTED, Secret, SecretUrl, redact_url};
pub use sections::{History, Log, LogFormat, Redis, Server};
pub use sources::{Source, Sources};

use crate::domain::{Pool, PoolId, Price};
use layers::Layers;
use reader::Reader;

/// What every name of ours must look like.
const ID_RULE: &str = "must be 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter or digit";

/// The effective configuration, checked. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// Every pool, in the order of the file; at least one.
    pub pools: Vec<Arc<Pool>>,
    /// Every price, in the order of the file. Each pool has those that concern it.
    pub prices: Vec<Price>,
    /// How HTTP is served.
    pub server: Server,
    /// Where all state lives.
    pub redis: Redis,
    /// Who may call.
    pub auth: Auth,
    /// Opens admin operations; absent = they are closed.
    pub admin_key: Option<Secret>,
    /// Who may watch, how many, and how long.
    pub live: Live,
    /// Snapshots of usage over time.
    pub history: History,
    /// Log output.
    pub log: Log,
    /// What is legal but probably not meant; for the log.
    pub warnings: Vec<String>,
    /// Who set what.
    pub sources: Sources,
}

impl Config {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// A named file that is missing or does not parse, an unknown key, or a value that is not
    /// allowed. All values are checked, so that one run shows every fault.
    pub fn load(file: Option<&Path>, env: &Environment) -> Result<Self, ConfigError> {
        Self::of_layers(Layers::read(file, env)?, env)
    }

    /// Like [`Self::load`], with the file's text at hand; `name` stands for the file in errors.
    pub fn parse(name: &str, format: Format, text: &str, env: &Environment) -> Result<Self, ConfigError> {
        Self::of_layers(Layers::of_text(Path::new(name), format, text, env)?, env)
    }

    fn of_layers(mut layers: Layers, env: &Environment) -> Result<Self, ConfigError> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        if layers.json.get("pools").is_none() {
            problems = default_pool::add(&mut layers, env);
        } else {
            let unused = default_pool::VARIABLES.iter().filter(|name| env.get(name).is_some());
            warnings.extend(unused.map(|name| format!("{name} is set but not used: the configuration has pools of its own")));
        }
        let file = reader::deserialize(&layers)?;
        let mut reader = Reader::new(&layers, problems);
        let prices = prices::read_prices(&mut reader, &file.prices);
        let pools = pools::read_pools(&mut reader, file.pools.as_deref().unwrap_or_default(), &prices);
        let server = sections::read_server(&mut reader, &file.server);
        let redis = sections::read_redis(&mut reader, &file.redis);
        let auth = auth::read_auth(&mut reader, &file.auth, &pools);
        let live = live::read_live(&mut reader, &file.live);
        let history = sections::read_history(&mut reader, &file.history);
        let log = sections::read_log(&mut reader, &file.log);
        let admin_key = file.admin_key.map(|key| Secret::new(key.text()));
        if admin_key.as_ref().is_some_and(|key| key.expose().trim().is_empty()) {
            reader.refuse(&KeyPath::of(["admin_key"]), "must not be empty; leave it out to close admin operations");
        }
        reader.finish()?;
        let pools = pools.into_iter().map(Arc::new).collect();
        Ok(Self { pools, prices, server, redis, auth, admin_key, live, history, log, warnings, sources: layers.sources })
    }

    /// The pool of that id.
    pub fn pool(&self, id: &PoolId) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.id == *id)
    }

    /// May a server start with this? A configuration without a decision on who may call is fine for
    /// everything else (checks, documents, the demonstration), so that this is asked apart.
    ///
    /// # Errors
    /// `auth.mode` is absent; it is `keys` and there are none; it is `none` and the server would
    /// listen beyond loopback without `auth.force`.
    pub fn check_serve(&self) -> Result<(), ConfigError> {
        let problem = |key: KeyPath, value: Option<String>, rule: &str| {
            Err(Problem { source: self.sources.of(&key), key, value, rule: rule.to_owned() }.into())
        };
        let at = |section: &'static str, key: &'static str| KeyPath::of([section, key]);
        match self.auth.mode {
            None => problem(
                at("auth", "mode"),
                None,
                "must be set to serve (QUOTA__AUTH__MODE): `keys`, with auth.keys or QUOTA_ADMIN_KEY, or `none`, which lets anybody on this host call",
            ),
            Some(AuthMode::Keys) if self.auth.keys.is_empty() && self.admin_key.is_none() => {
                problem(at("auth", "keys"), None, "must list at least one key where auth.mode = \"keys\" and no admin key is set")
            }
            Some(AuthMode::None) if !self.server.listen.ip().is_loopback() && !self.auth.force => problem(
                at("server", "listen"),
                Some(format!("\"{}\"", self.server.listen)),
                "must be a loopback address where auth.mode = \"none\"; auth.force = true lifts this",
            ),
            Some(_) => Ok(()),
        }
    }
}
