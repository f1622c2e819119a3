//! Who may call, and as what.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{file::AuthFile, file::KeyFile, path::KeyPath, reader::Reader, redact::REDACTED, scalar::OneOrMany};
use crate::domain::{Pool, PoolId, Scope};

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether keys are asked for. Absent when it was not configured; a server does not start then.
    pub mode: Option<AuthMode>,
    /// Listen beyond loopback although nobody is asked for a key.
    pub force: bool,
    /// The configured keys.
    pub keys: Vec<ApiKey>,
}

/// Whether keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Each call needs a key.
    Keys,
    /// Anybody may read, consume and report; admin operations still need the admin key.
    None,
}

impl AuthMode {
    /// The word used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::None => "none",
        }
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See status, usage and events.
    Read,
    /// Reserve and settle.
    Consume,
    /// Say what the provider answered.
    Report,
    /// Change limits, reset counters.
    Admin,
}

impl Role {
    /// Every role, with the word used in configuration.
    pub const ALL: [(&str, Self); 4] =
        [("read", Self::Read), ("consume", Self::Consume), ("report", Self::Report), ("admin", Self::Admin)];

    /// The word used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Consume => "consume",
            Self::Report => "report",
            Self::Admin => "admin",
        }
    }
}

/// SHA-256 of a key. Compare it with another in constant time. `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a key as a caller presents it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// The 64 hex digits used in configuration.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads 64 hex digits; `None` when they are not.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
        let bytes: Vec<u8> =
            digits.chunks(2).filter_map(|pair| u8::try_from(pair.iter().fold(0, |n, d| n * 16 + d)).ok()).collect();
        (digits.len() == 64).then(|| bytes.try_into().ok().map(Self))?
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// One configured key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Who holds it; the principal of its calls.
    pub name: String,
    /// Recognizes it.
    pub sha256: KeyHash,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// The pools that it sees; absent = all.
    pub pools: Option<Vec<PoolId>>,
    /// Values of scope keys that it is confined to; it sees, spends and clears nothing else.
    pub scope: Vec<(Box<str>, Vec<Box<str>>)>,
    /// Until when it is good; absent = until it is taken out.
    pub expires_at: Option<Timestamp>,
}

pub(super) fn read_auth(reader: &mut Reader<'_>, file: &AuthFile, pools: &[Pool]) -> Auth {
    let at = KeyPath::of(["auth"]);
    let modes = [("keys", AuthMode::Keys), ("none", AuthMode::None)];
    let mode = file.mode.as_ref().and_then(|mode| reader.choice(&at.key("mode"), mode, &modes));
    let force = reader.flag_or(&at.key("force"), file.force.as_ref(), false);
    let mut keys: Vec<ApiKey> = Vec::new();
    for (index, key) in file.keys.iter().enumerate() {
        let path = at.key("keys").index(index);
        let Some(key) = read_key(reader, &path, key, pools) else { continue };
        if keys.iter().any(|other| other.name == key.name) {
            reader.refuse(&path.key("name"), "is the name of an earlier key, too; each key needs its own");
        }
        if keys.iter().any(|other| other.sha256 == key.sha256) {
            reader.refuse(&path.key("sha256"), "is the hash of an earlier key, too; each key needs its own");
        }
        keys.push(key);
    }
    Auth { mode, force, keys }
}

fn read_key(reader: &mut Reader<'_>, path: &KeyPath, file: &KeyFile, known: &[Pool]) -> Option<ApiKey> {
    let name_path = path.key("name");
    let name = reader.required(&name_path, file.name.as_ref()).and_then(|name| {
        let id = PoolId::new(name.text()).map(|id| id.as_str().to_owned());
        reader.accept(&name_path, id.map_err(|_| super::ID_RULE))
    });
    let hash_path = path.key("sha256");
    let sha256 = reader.required(&hash_path, file.sha256.as_ref()).and_then(|hash| {
        let rule = "must be the 64 hex digits of the key's SHA-256; `quota-coordinator key new` prints a key with its hash";
        reader.accept(&hash_path, KeyHash::from_hex(hash.text().trim()).ok_or(rule))
    });
    let roles = read_roles(reader, &path.key("roles"), file.roles.as_ref());
    let pools = file.pools.as_ref().map(|pools| read_pool_ids(reader, &path.key("pools"), pools, known));
    let scope = file.scope.iter().map(|(key, values)| read_scope(reader, &path.key("scope").key(key), key, values)).collect();
    let expires_path = path.key("expires_at");
    let expires_at = file.expires_at.as_ref().and_then(|at| {
        let rule = "must be an instant with its offset (RFC 3339), such as \"2027-01-31T00:00:00Z\"";
        reader.accept(&expires_path, at.text().trim().parse::<Timestamp>().map_err(|_| rule))
    });
    Some(ApiKey { name: name?, sha256: sha256?, roles, pools, scope, expires_at })
}

/// The values of one scope key. One that is refused is left out: the configuration is not used then.
fn read_scope(reader: &mut Reader<'_>, path: &KeyPath, key: &str, values: &OneOrMany) -> (Box<str>, Vec<Box<str>>) {
    if values.values.is_empty() {
        reader.refuse(path, "must list at least one value, or be left out for all");
    }
    let check = |value: &str| Scope::new([(key, value)]).map(|_| Box::from(value));
    let values = values.each(path).filter_map(|(path, value)| reader.accept(&path, check(value.text()))).collect();
    (key.into(), values)
}

fn read_roles(reader: &mut Reader<'_>, path: &KeyPath, roles: Option<&OneOrMany>) -> BTreeSet<Role> {
    let roles = roles.cloned().unwrap_or_default();
    if roles.values.is_empty() {
        reader.refuse(path, "must list at least one of `read`, `consume`, `report`, `admin`");
    }
    roles.each(path).filter_map(|(path, role)| reader.choice(&path, role, &Role::ALL)).collect()
}

fn read_pool_ids(reader: &mut Reader<'_>, path: &KeyPath, ids: &OneOrMany, known: &[Pool]) -> Vec<PoolId> {
    if ids.values.is_empty() {
        reader.refuse(path, "must list at least one pool, or be left out for all");
    }
    let names = || known.iter().map(|pool| format!("`{}`", pool.id)).collect::<Vec<_>>().join(", ");
    let find = |id: &str| known.iter().find(|pool| pool.id.as_str() == id).map(|pool| pool.id.clone());
    ids.each(path)
        .filter_map(|(path, id)| reader.accept(&path, find(id.text()).ok_or_else(|| format!("must be one of {}", names()))))
        .collect()
}
