//! Who may do what: API keys, their roles and their pools.
//!
//! Only SHA-256 digests of keys are kept. A presented key is hashed and compared with every digest in constant
//! time, so that neither the answer nor its duration tells how much of a key was right.

mod extract;
mod guard;
mod principal;
mod reach;

use std::fmt;

use jiff::Timestamp;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::problem::Problem;
use crate::domain::PoolId;

pub use extract::{Admin, Auth, Caller, Consume, Read, Report};
pub use guard::Guarded;
pub use principal::Principal;
pub use reach::Reach;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Read figures and statuses, ask whether a cost would be granted.
    Read,
    /// Reserve, settle, record.
    Consume,
    /// Hand in what a provider answered.
    Report,
    /// Everything.
    Admin,
}

impl Role {
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

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// What everyone has where no keys are asked for.
    pub const OPEN: Self = Self(0b0111);
    /// Every role.
    pub const ALL: Self = Self(0b1111);

    /// Is the role in the set? `admin` implies all others.
    pub fn contains(self, role: Role) -> bool {
        let admin = 1 << Role::Admin as u8;
        self.0 & (admin | 1 << role as u8) != 0
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | 1 << role as u8))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [Role::Read, Role::Consume, Role::Report, Role::Admin];
        f.debug_set().entries(all.iter().filter(|role| self.0 & (1 << **role as u8) != 0)).finish()
    }
}

/// Are keys asked for?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// Every operation needs a key.
    #[default]
    Keys,
    /// Everyone may read, consume and report; admin operations still need a key.
    None,
}

/// One API key.
#[derive(Clone)]
pub struct KeySettings {
    /// Shown in the audit; keeps idempotency keys of different callers apart.
    pub name: String,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// What it may do.
    pub roles: Vec<Role>,
    /// Where it may do it; `None` = in every pool.
    pub pools: Option<Vec<PoolId>>,
    /// For what it may do it.
    pub reach: Reach,
    /// Until when; `None` = until it is taken out.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySettings")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .field("pools", &self.pools)
            .field("reach", &self.reach)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Who may come in.
#[derive(Clone, Default)]
pub struct AuthSettings {
    /// Are keys asked for?
    pub mode: AuthMode,
    /// The keys. Several may stand at once, so that they can be rotated.
    pub keys: Vec<KeySettings>,
    /// SHA-256 of the admin key, where there is one.
    pub admin_key_sha256: Option<[u8; 32]>,
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSettings")
            .field("mode", &self.mode)
            .field("keys", &self.keys)
            .field("admin_key", &self.admin_key_sha256.map(|_| "set"))
            .finish()
    }
}

/// The keys, ready to be asked.
pub struct Keyring {
    keys: Vec<([u8; 32], Principal)>,
    anonymous: Option<Principal>,
    has_admin: bool,
}

impl Keyring {
    /// Prepares the keys.
    pub fn new(settings: &AuthSettings) -> Self {
        let configured = settings.keys.iter().map(|key| {
            let roles = key.roles.iter().copied().collect();
            let principal = Principal::new(&key.name, roles, key.pools.as_deref());
            (key.sha256, principal.within(key.reach.clone()).until(key.expires_at))
        });
        let admin = settings.admin_key_sha256.map(|sha256| (sha256, Principal::new("admin", Roles::ALL, None)));
        let keys: Vec<_> = configured.chain(admin).collect();
        let has_admin = keys.iter().any(|(_, principal)| principal.has(Role::Admin));
        let anonymous = (settings.mode == AuthMode::None).then(|| Principal::new("anonymous", Roles::OPEN, None));
        Self { keys, anonymous, has_admin }
    }

    /// Who asks, if they may do it.
    ///
    /// Admin operations answer 503 where nobody could ever be admin, so that a forgotten setting is not taken for a
    /// wrong key; a key that is missing, unknown or expired is 401, a known one without the role 403.
    pub fn authorize(&self, headers: &HeaderMap, role: Role) -> Result<&Principal, Problem> {
        if role == Role::Admin && !self.has_admin {
            let detail = "admin operations are switched off: no admin key is configured (QUOTA_ADMIN_KEY)";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "admin_disabled", "Admin operations are off", detail));
        }
        let presented = presented_key(headers);
        let found = presented.and_then(|key| self.find(key));
        let known = found.filter(|principal| !principal.is_expired());
        let open = self.anonymous.as_ref().filter(|anonymous| anonymous.has(role));
        match (known, open) {
            (Some(principal), open) if principal.has(role) || open.is_some() => Ok(principal),
            (Some(_), _) => Err(Problem::forbidden(format!("this key does not have the role `{}`", role.as_str()))),
            (None, Some(anonymous)) => Ok(anonymous),
            (None, None) if found.is_some() => Err(Problem::key_expired()),
            (None, None) if presented.is_some() => Err(Problem::unauthorized("the key is not known")),
            (None, None) => Err(Problem::unauthorized("present a key: `Authorization: Bearer …` or `X-API-Key: …`")),
        }
    }

    /// The caller with that key, as [`Self::authorize`] says.
    pub fn authorize_key(&self, key: &str, role: Role) -> Result<&Principal, Problem> {
        let unknown = || Problem::unauthorized("the key is not known");
        let value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| unknown())?;
        self.authorize(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]), role)
    }

    /// Does the request present a key at all?
    pub fn is_presented(headers: &HeaderMap) -> bool {
        presented_key(headers).is_some()
    }

    /// May everybody do that without a key?
    pub fn is_open(&self, role: Role) -> bool {
        self.anonymous.as_ref().is_some_and(|anonymous| anonymous.has(role))
    }

    /// The principal of that name, if its key still stands.
    pub fn named(&self, name: &str) -> Option<&Principal> {
        self.keys
            .iter()
            .map(|(_, principal)| principal)
            .chain(&self.anonymous)
            .find(|principal| **principal.name() == *name && !principal.is_expired())
    }

    /// Compares with every digest, whatever the earlier comparisons gave.
    fn find(&self, key: &[u8]) -> Option<&Principal> {
        let digest = Sha256::digest(key);
        let mut found = Choice::from(0);
        let mut at = 0u64;
        for (index, (sha256, _)) in (0u64..).zip(&self.keys) {
            let equal = sha256.ct_eq(digest.as_slice());
            at.conditional_assign(&index, equal);
            found |= equal;
        }
        if bool::from(found) { self.keys.get(usize::try_from(at).ok()?).map(|(_, principal)| principal) } else { None }
    }
}

/// `Authorization: Bearer …`, else `X-API-Key: …`. Another scheme belongs to somebody else on the way, such as a
/// proxy, and is passed over.
fn presented_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes()))
}

/// The digest of a key, as it stands in configuration.
pub fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests;
