//! Reservation ids: opaque to callers, and to a node all that it needs to name the keys of a
//! settlement without asking first. Never trusted over the record: the script compares.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    domain::{GroupId, PoolId},
    store::call::RecordId,
};

/// Groups that fit an id of at most 128 characters; a reservation in more carries none.
const MOST_GROUPS: usize = 4;
const VERSION: u8 = 1;
const HEAD: usize = 1 + 4 + 4 + 16;

/// Four bytes that stand for a pool's name.
pub fn pool_tag(pool: &PoolId) -> [u8; 4] {
    let digest = Sha256::digest(pool.as_str().as_bytes());
    [digest[0], digest[1], digest[2], digest[3]]
}

/// What an id says.
#[derive(Clone, Debug, PartialEq)]
pub struct ReservationId {
    /// Of the pool.
    pub pool: [u8; 4],
    /// Tells reservations under a reused record apart.
    pub nonce: u32,
    /// The record.
    pub record: RecordId,
    /// Groups that it holds in; none when they are too many.
    pub groups: Vec<GroupId>,
}

impl ReservationId {
    /// The text for callers: `[A-Za-z0-9_-]`, at most 119 characters.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(HEAD + 16 * MOST_GROUPS);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.pool);
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        bytes.extend_from_slice(&self.record.to_raw());
        if self.groups.len() <= MOST_GROUPS {
            self.groups.iter().for_each(|group| bytes.extend_from_slice(&group.to_raw()));
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text; `None` when no node of this kind wrote it.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() > 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, groups) = bytes.split_at_checked(HEAD)?;
        if head[0] != VERSION || groups.len() % 16 != 0 {
            return None;
        }
        let group = |raw: &[u8]| raw.try_into().ok().map(GroupId::from_raw);
        Some(Self {
            pool: head[1..5].try_into().ok()?,
            nonce: u32::from_le_bytes(head[5..9].try_into().ok()?),
            record: GroupId::from_raw(head[9..25].try_into().ok()?),
            groups: groups.chunks(16).map(group).collect::<Option<_>>()?,
        })
    }
}

/// A record name that nobody can guess.
pub fn random_record() -> RecordId {
    GroupId::from_raw(rand::random())
}

/// The record name of an idempotency key, the same on every node.
pub fn keyed_record(principal: &str, key: &str) -> RecordId {
    let mut hash = Sha256::new();
    hash.update((principal.len() as u64).to_le_bytes());
    hash.update(principal.as_bytes());
    hash.update(key.as_bytes());
    let digest = hash.finalize();
    let mut raw = [0; 16];
    raw.copy_from_slice(&digest[..16]);
    GroupId::from_raw(raw)
}

/// 64 bits of SHA-256 over parts, each after its length.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_are_short() {
        for groups in 0..=6u8 {
            let id = ReservationId {
                pool: [1, 2, 3, 4],
                nonce: 7,
                record: random_record(),
                groups: (0..groups).map(|n| GroupId::from_raw([n; 16])).collect(),
            };
            let text = id.to_text();
            assert!(text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            let expected = if groups > 4 { ReservationId { groups: Vec::new(), ..id } } else { id };
            assert_eq!(ReservationId::from_text(&text), Some(expected));
        }
        for bad in ["", "x", "AAAA", &"A".repeat(128), "../../etc"] {
            assert_eq!(ReservationId::from_text(bad), None, "{bad}");
        }
    }
}
