//! The fields of messages (RFC 4251 section 5).

/// A message being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(pub Vec<u8>);

pub fn message(number: u8) -> Message {
    Message(vec![number])
}

impl Message {
    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }
    pub fn boolean(self, value: bool) -> Self {
        self.byte(u8::from(value))
    }
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }
    pub fn string(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.u32(u32::try_from(value.len()).unwrap()).raw(value)
    }
    pub fn raw(mut self, value: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(value.as_ref());
        self
    }
    /// A positive number, as shortly as it can be.
    pub fn mpint(self, value: &[u8]) -> Self {
        let first = value.iter().position(|byte| *byte != 0).unwrap_or(value.len());
        let value = &value[first..];
        let padded =
            if value.first().is_some_and(|byte| *byte >= 0x80) { [&[0], value].concat() } else { value.to_vec() };
        self.string(padded)
    }
    /// Without the number: only fields.
    pub fn fields() -> Self {
        Self::default()
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A message being read. What is not there panics: the library is the one that is to be right.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of a message of this number.
    pub fn of(message: &'a [u8], number: u8) -> Self {
        assert_eq!(message.first(), Some(&number), "the message is {message:?}");
        Self(&message[1..])
    }
    pub fn raw(&mut self, count: usize) -> &'a [u8] {
        let (value, rest) = self.0.split_at(count);
        self.0 = rest;
        value
    }
    pub fn byte(&mut self) -> u8 {
        self.raw(1)[0]
    }
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.raw(4).try_into().unwrap())
    }
    pub fn string(&mut self) -> &'a [u8] {
        let length = self.u32() as usize;
        self.raw(length)
    }
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.string()).unwrap()
    }
}
