//! Reads packed fields, little-endian. Never panics: what does not parse is [`Malformed`].

use bytes::Bytes;

use super::record::decode_record;
use crate::store::reply::Record;

/// The bytes are not what this version of the layout says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store's reply does not have the expected layout")]
pub struct Malformed;

/// A place in packed bytes.
pub struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

/// A double that holds a whole number from 0 to 2^53.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
pub fn whole(value: f64) -> Result<u64, Malformed> {
    if (0.0..=9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0 { Ok(value as u64) } else { Err(Malformed) }
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let array = self.bytes.get(self.at..self.at + N).and_then(|s| s.try_into().ok()).ok_or(Malformed)?;
        self.at += N;
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u48(&mut self) -> Result<u64, Malformed> {
        let bytes: [u8; 6] = self.array()?;
        let mut wide = [0; 8];
        wide[..6].copy_from_slice(&bytes);
        Ok(u64::from_le_bytes(wide))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn raw_f64(&mut self) -> Result<f64, Malformed> {
        self.array().map(f64::from_le_bytes)
    }

    pub fn f64(&mut self) -> Result<u64, Malformed> {
        self.raw_f64().and_then(whole)
    }

    /// The rest, shared with the reply.
    pub fn rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        rest
    }

    /// A record after its length in 16 bits.
    pub fn record(&mut self) -> Result<Record, Malformed> {
        let length = usize::from(self.u16()?);
        if self.remaining() < length {
            return Err(Malformed);
        }
        let raw = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        decode_record(&raw)
    }
}
