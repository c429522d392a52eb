//! Writes the data types of RFC 4251 section 5.

/// What our side writes is bounded long before 2^32 bytes; a longer string is cut nowhere: the length
/// of every caller's data is checked where it enters the library.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    super::append(out, bytes);
}

pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// A non-negative number given as big-endian bytes, with or without leading zeros.
pub fn put_mpint(out: &mut Vec<u8>, magnitude: &[u8]) {
    let at = out.len();
    put_u32(out, 0);
    put_magnitude(out, magnitude);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(at..at + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// What stands inside of an mpint.
pub fn put_magnitude(out: &mut Vec<u8>, magnitude: &[u8]) {
    let start = magnitude.iter().position(|b| *b != 0).unwrap_or(magnitude.len());
    let magnitude = magnitude.get(start..).unwrap_or_default();
    if magnitude.first().is_some_and(|b| b & 0x80 != 0) {
        out.push(0);
    }
    out.extend_from_slice(magnitude);
}

pub fn put_name_list<'n>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'n str>) {
    let at = out.len();
    put_u32(out, 0);
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
    }
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(at..at + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// A small builder over the `put_*` functions, for blobs that are built in one expression.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.bytes.push(value);
        self
    }
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        put_u32(&mut self.bytes, value);
        self
    }
    #[must_use]
    pub fn boolean(mut self, value: bool) -> Self {
        put_boolean(&mut self.bytes, value);
        self
    }
    #[must_use]
    pub fn string(mut self, bytes: impl AsRef<[u8]>) -> Self {
        put_string(&mut self.bytes, bytes.as_ref());
        self
    }
    #[must_use]
    pub fn mpint(mut self, magnitude: impl AsRef<[u8]>) -> Self {
        put_mpint(&mut self.bytes, magnitude.as_ref());
        self
    }
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
