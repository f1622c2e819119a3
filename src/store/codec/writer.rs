//! Appends packed fields, little-endian.

/// The bytes so far.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u48(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes()[..6]);
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A whole number below 2^53 as the double that Lua computes with.
    #[expect(clippy::cast_precision_loss, reason = "amounts and instants are below 2^53")]
    pub fn f64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&(value as f64).to_le_bytes());
        self
    }

    pub fn f64s(&mut self, values: &[u64]) -> &mut Self {
        for value in values {
            self.f64(*value);
        }
        self
    }

    /// Bytes after their length in 16 bits. Callers keep them below 64 KiB.
    pub fn bytes16(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert!(u16::try_from(bytes.len()).is_ok());
        self.u16(u16::try_from(bytes.len()).unwrap_or(0));
        self.0.extend_from_slice(bytes);
        self
    }
}
