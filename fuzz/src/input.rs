//! Reads decisions from the bytes of a fuzzer. What is not there any more is zero, so that any bytes are an input.

#[derive(Clone)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    pub fn boolean(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Less than `bound`, of which 0 counts as 1.
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = if bound <= 256 { usize::from(self.byte()) } else { usize::from(self.u16()) };
        drawn % bound.max(1)
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// A number as a hostile peer chooses it: small, at an edge, or any.
    pub fn number(&mut self) -> u32 {
        match self.byte() {
            small @ 0..=199 => u32::from(small),
            kind => match kind % 8 {
                0 => u32::MAX,
                1 => 1 << 31,
                2 => (1 << 31) - 1,
                3 => u32::MAX - u32::from(self.byte()),
                4 => 32_768 + u32::from(self.byte()),
                5 => u32::from(self.u16()),
                6 => u32::from(self.u16()) << 8,
                _ => u32::from_be_bytes(self.array()),
            },
        }
    }

    /// At most so many bytes, as long as the input says.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = match self.byte() {
            short @ 0..=250 => usize::from(short),
            _ => usize::from(self.u16()),
        };
        self.take(length.min(most))
    }

    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(length.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// Text, or what is left of the bytes when they are none.
    pub fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }
}
