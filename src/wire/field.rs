use super::{NameList, Reader, put_boolean, put_string, put_u32, put_u64};
use crate::error::Result;

/// A type that stands as one field of a message.
pub trait Field<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self>;
    fn write(&self, out: &mut Vec<u8>);
    /// How many bytes `write` appends.
    fn length(&self) -> usize;
}

/// All bytes up to the end of the message: fields whose meaning another field decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest<'a>(pub &'a [u8]);

impl<'a> Field<'a> for u8 {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.u8()
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn length(&self) -> usize {
        1
    }
}

impl<'a> Field<'a> for u32 {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.u32()
    }
    fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, *self);
    }
    fn length(&self) -> usize {
        4
    }
}

impl<'a> Field<'a> for u64 {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.u64()
    }
    fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, *self);
    }
    fn length(&self) -> usize {
        8
    }
}

impl<'a> Field<'a> for bool {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.boolean()
    }
    fn write(&self, out: &mut Vec<u8>) {
        put_boolean(out, *self);
    }
    fn length(&self) -> usize {
        1
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.string()
    }
    fn write(&self, out: &mut Vec<u8>) {
        put_string(out, self);
    }
    fn length(&self) -> usize {
        4 + self.len()
    }
}

/// Text that a standard defines as printable US-ASCII.
impl<'a> Field<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.ascii()
    }
    fn write(&self, out: &mut Vec<u8>) {
        put_string(out, self.as_bytes());
    }
    fn length(&self) -> usize {
        4 + self.len()
    }
}

impl<'a> Field<'a> for NameList<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.name_list()
    }
    fn write(&self, out: &mut Vec<u8>) {
        put_string(out, self.as_str().as_bytes());
    }
    fn length(&self) -> usize {
        4 + self.as_str().len()
    }
}

impl<'a, const N: usize> Field<'a> for [u8; N] {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        reader.array()
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn length(&self) -> usize {
        N
    }
}

impl<'a> Field<'a> for Rest<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        Ok(Self(reader.rest()))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
    fn length(&self) -> usize {
        self.0.len()
    }
}
