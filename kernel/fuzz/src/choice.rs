//! Choices drawn from the bytes of an input: small changes of the bytes are small changes of what is made.

pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes }
    }

    pub fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte; 0 where there are no more.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A number below `limit`, which is at most 65,536.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = limit > 256;
        let drawn = self.byte() as usize | if wide { (self.byte() as usize) << 8 } else { 0 };
        drawn % limit.max(1)
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 1
    }

    pub fn number(&mut self) -> i64 {
        let bytes: [u8; 8] = std::array::from_fn(|_| self.byte());
        i64::from_le_bytes(bytes)
    }

    /// Up to `limit` bytes, as they are.
    pub fn take(&mut self, limit: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(limit.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }
}
