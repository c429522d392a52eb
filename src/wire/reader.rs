use super::NameList;
use crate::error::{Error, Result};

/// Reads the data types of RFC 4251 section 5 from a peer's bytes. Never panics, never allocates.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What has not been read yet.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| Error::protocol("message ends in the middle of a field"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| Error::protocol("message ends in the middle of a field"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// All non-zero values are TRUE.
    pub fn boolean(&mut self) -> Result<bool> {
        Ok(self.u8()? != 0)
    }

    pub fn string(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()?;
        self.bytes(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// A string that a standard defines as text of printable US-ASCII, such as a method's name.
    pub fn ascii(&mut self) -> Result<&'a str> {
        let bytes = self.string()?;
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| text.bytes().all(|b| (0x20..0x7f).contains(&b)))
            .ok_or_else(|| Error::protocol("a name is not printable US-ASCII"))
    }

    pub fn name_list(&mut self) -> Result<NameList<'a>> {
        NameList::parse(self.string()?)
    }

    /// A non-negative mpint as its magnitude without leading zero bytes.
    pub fn mpint(&mut self) -> Result<&'a [u8]> {
        magnitude(self.string()?)
    }

    /// Ends the reading: bytes that are left over are an error.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::protocol("message has bytes after its last field")) }
    }
}

/// The magnitude, without leading zero bytes, of what stands inside of a non-negative mpint.
pub fn magnitude(content: &[u8]) -> Result<&[u8]> {
    match content {
        [first, ..] if first & 0x80 != 0 => Err(Error::protocol("a negative number where none may be")),
        [0, second, ..] if second & 0x80 == 0 => Err(Error::protocol("a number with needless leading zeros")),
        [0] => Err(Error::protocol("a number with needless leading zeros")),
        [0, magnitude @ ..] => Ok(magnitude),
        magnitude => Ok(magnitude),
    }
}
