//! A strict RFC 8259 cursor over bytes: it validates and skips, and builds nothing.
//!
//! Every walk over JSON in the kernel goes through this file, so that there is one answer to what is well-formed.
//! UTF-8 is the caller's first step (`check_utf8`): the cursor then takes any byte from 0x80 up as text.

pub use crate::json_text::{unescape, unescape_key, write_string};

/// Why bytes are not JSON. The numbers are stable: they cross into Python and into dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Not UTF-8.
    Utf8 = 1,
    /// The text ends inside a value.
    UnexpectedEnd = 2,
    /// A byte that cannot stand here.
    UnexpectedByte = 3,
    /// A number that RFC 8259 does not allow, such as `01`, `1.` or `+1`.
    Number = 4,
    /// A backslash sequence that does not exist.
    Escape = 5,
    /// A control character inside a string.
    Control = 6,
    /// Something follows the value.
    Trailing = 7,
}

impl Reason {
    /// The reason as it stands in dead letters.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Utf8 => "invalid_utf8",
            Reason::UnexpectedEnd => "unexpected_end",
            Reason::UnexpectedByte => "unexpected_byte",
            Reason::Number => "invalid_number",
            Reason::Escape => "invalid_escape",
            Reason::Control => "control_character",
            Reason::Trailing => "trailing_bytes",
        }
    }
}

/// A refusal: why, and the offset of the offending byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub reason: Reason,
    pub at: usize,
}

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Null,
    True,
    False,
    Number,
    /// A string without a backslash: its text is its bytes.
    Text,
    /// A string with at least one backslash sequence.
    EscapedText,
    Object,
    Array,
}

/// Where a value stands: `bytes[start..end]`, quotes and brackets included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
}

pub type Parsed<T> = Result<T, Malformed>;

/// Checks that the bytes are UTF-8 (surrogates encoded as UTF-8 are not).
pub fn check_utf8(bytes: &[u8]) -> Parsed<()> {
    match simdutf8::compat::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Malformed { reason: Reason::Utf8, at: error.valid_up_to() }),
    }
}

/// Checks that the bytes are exactly one JSON text and tells its span without the white space around it.
pub fn check(bytes: &[u8]) -> Parsed<Span> {
    check_utf8(bytes)?;
    let mut cursor = Cursor::new(bytes);
    let span = cursor.value()?;
    cursor.end()?;
    Ok(span)
}

/// How deep the brackets of a well-formed text are nested.
pub fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut cursor = Cursor::new(text);
    while let Some(byte) = cursor.peek() {
        match byte {
            b'"' if cursor.string().is_ok() => continue,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        cursor.at += 1;
    }
    deepest
}

#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

const HIGHS: u64 = 0x8080_8080_8080_8080;
const ONES: u64 = 0x0101_0101_0101_0101;

/// A high bit for every byte of `word` that is below 0x20, a quote or a backslash (false alarms only above the first).
#[inline(always)]
fn stops(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    (below_space | (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash)) & HIGHS
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// A cursor over the same bytes that starts at `at`.
    pub fn from(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    #[inline(always)]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    pub fn fail<T>(&self, reason: Reason) -> Parsed<T> {
        let reason = if self.at >= self.bytes.len() { Reason::UnexpectedEnd } else { reason };
        Err(Malformed { reason, at: self.at.min(self.bytes.len()) })
    }

    #[inline(always)]
    pub fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes `byte` after white space, or fails.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> Parsed<()> {
        self.space();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.fail(Reason::UnexpectedByte)
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Parsed<()> {
        self.space();
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(Malformed { reason: Reason::Trailing, at: self.at })
    }

    /// The span of the next value, checked to its end. Nesting costs no stack: one bit a level.
    #[inline]
    pub fn value(&mut self) -> Parsed<Span> {
        self.space();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.container()?;
                Kind::Object
            }
            Some(b'[') => {
                self.container()?;
                Kind::Array
            }
            _ => self.scalar()?,
        };
        Ok(Span { start, end: self.at, kind })
    }

    /// A number or a word. `at` must be on its first byte.
    #[inline]
    fn scalar(&mut self) -> Parsed<Kind> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Ok(Kind::Number)
            }
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            _ => self.fail(Reason::UnexpectedByte),
        }
    }

    #[inline]
    fn word(&mut self, word: &[u8], kind: Kind) -> Parsed<Kind> {
        for &byte in word {
            if self.peek() != Some(byte) {
                return self.fail(Reason::UnexpectedByte);
            }
            self.at += 1;
        }
        Ok(kind)
    }

    #[inline(always)]
    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fail(Reason::Number) } else { Ok(()) }
    }

    #[inline]
    fn number(&mut self) -> Parsed<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return self.fail(Reason::Number);
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Skips a string; `at` must be on its opening quote and ends behind the closing one.
    #[inline]
    pub fn string(&mut self) -> Parsed<Kind> {
        self.at += 1;
        let mut kind = Kind::Text;
        loop {
            while let Some(chunk) = self.bytes.get(self.at..self.at + 8) {
                let found = stops(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
                if found != 0 {
                    self.at += (found.trailing_zeros() / 8) as usize;
                    break;
                }
                self.at += 8;
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(kind);
                }
                Some(b'\\') => {
                    kind = Kind::EscapedText;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.fail(Reason::Control),
            }
        }
    }

    fn escape(&mut self) -> Parsed<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        _ => return self.fail(Reason::Escape),
                    }
                }
            }
            _ => return self.fail(Reason::Escape),
        }
        Ok(())
    }

    /// Skips an object or an array; `at` must be on its opening bracket and ends behind the closing one.
    fn container(&mut self) -> Parsed<()> {
        let mut levels = Levels::default();
        'open: loop {
            let object = self.peek() == Some(b'{');
            levels.push(object);
            self.at += 1;
            self.space();
            let mut closed = self.peek() == Some(if object { b'}' } else { b']' });
            loop {
                if closed {
                    self.at += 1;
                    levels.pop();
                    if levels.depth == 0 {
                        return Ok(());
                    }
                    self.space();
                    match (self.peek(), levels.object()) {
                        (Some(b','), _) => self.at += 1,
                        (Some(b'}'), true) | (Some(b']'), false) => continue,
                        _ => return self.fail(Reason::UnexpectedByte),
                    }
                }
                if levels.object() {
                    self.key()?;
                }
                self.space();
                match self.peek() {
                    Some(b'{' | b'[') => continue 'open,
                    Some(b'"') => {
                        self.string()?;
                    }
                    _ => {
                        self.scalar()?;
                    }
                }
                self.space();
                match (self.peek(), levels.object()) {
                    (Some(b','), _) => {
                        self.at += 1;
                        closed = false;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => closed = true,
                    _ => return self.fail(Reason::UnexpectedByte),
                }
            }
        }
    }

    /// A key and its colon: the span of the key, quotes included.
    #[inline]
    pub fn key(&mut self) -> Parsed<Span> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.fail(Reason::UnexpectedByte);
        }
        let start = self.at;
        let kind = self.string()?;
        let span = Span { start, end: self.at, kind };
        self.take(b':')?;
        Ok(span)
    }

    /// Enters an object: true if it has members. Then call `key`, `value` and `next_member` in turn.
    #[inline]
    pub fn enter(&mut self, open: u8, close: u8) -> Parsed<bool> {
        self.take(open)?;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// After a member: true at a comma, false behind the closing bracket.
    #[inline]
    pub fn next_member(&mut self, close: u8) -> Parsed<bool> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => self.fail(Reason::UnexpectedByte),
        }
    }
}

/// One bit a level of nesting: whether it is an object.
#[derive(Default)]
struct Levels {
    top: u64,
    below: Vec<u64>,
    depth: usize,
}

impl Levels {
    #[inline(always)]
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.below.push(self.top);
        }
        self.top = self.top << 1 | object as u64;
        self.depth += 1;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.depth -= 1;
        self.top >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
    }

    #[inline(always)]
    fn object(&self) -> bool {
        self.top & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &[u8]) -> Option<(Reason, usize)> {
        check(text).err().map(|error| (error.reason, error.at))
    }

    #[test]
    fn takes_what_rfc_8259_takes() {
        for text in [
            "{}",
            "[]",
            " { } ",
            "[1]",
            "[1,2 , 3]",
            "{\"a\":1}",
            "{\"a\" : [ ] , \"b\":{}}",
            "0",
            "-0",
            "1e5",
            "1E+5",
            "-1.25e-7",
            "true",
            "[[[]]]",
            "[{},{\"a\":[{}]}]",
            "\"\\u00e9\\ud800\"",
            "[\"a\",{\"b\":null},[]]",
            "\"\u{7f}\u{80}\"",
            "[[],[]]",
            "{\"a\":{},\"b\":[]}",
        ] {
            assert_eq!(reason(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_rfc_8259_refuses() {
        for (text, expected, at) in [
            ("", Reason::UnexpectedEnd, 0),
            ("{", Reason::UnexpectedEnd, 1),
            ("[1,]", Reason::UnexpectedByte, 3),
            ("{\"a\":1,}", Reason::UnexpectedByte, 7),
            ("01", Reason::Number, 1),
            ("1.", Reason::UnexpectedEnd, 2),
            ("+1", Reason::UnexpectedByte, 0),
            ("NaN", Reason::UnexpectedByte, 0),
            ("nul", Reason::UnexpectedEnd, 3),
            ("\"\\x\"", Reason::Escape, 2),
            ("\"\\u12g4\"", Reason::Escape, 5),
            ("\"a\tb\"", Reason::Control, 2),
            ("{} {}", Reason::Trailing, 3),
            ("[1 2]", Reason::UnexpectedByte, 3),
            ("{a:1}", Reason::UnexpectedByte, 1),
            ("[}", Reason::UnexpectedByte, 1),
            ("[[]}", Reason::UnexpectedByte, 3),
            ("{\"a\":[}", Reason::UnexpectedByte, 6),
            ("'a'", Reason::UnexpectedByte, 0),
            ("-", Reason::UnexpectedEnd, 1),
            ("[1e]", Reason::Number, 3),
            ("[,1]", Reason::UnexpectedByte, 1),
            ("\u{feff}{}", Reason::UnexpectedByte, 0),
            ("[-x]", Reason::Number, 2),
        ] {
            assert_eq!(reason(text.as_bytes()), Some((expected, at)), "{text}");
        }
        assert_eq!(reason(b"\"\xed\xa0\x80\""), Some((Reason::Utf8, 1)));
        assert_eq!(reason(b"\"\0\""), Some((Reason::Control, 1)));
    }

    #[test]
    fn nesting_is_bounded_by_memory_only() {
        let deep = "[{\"a\":".repeat(100_000) + "1" + &"}]".repeat(100_000);
        assert_eq!(reason(deep.as_bytes()), None);
        let crossed = "[".repeat(130) + &"]".repeat(129) + "}";
        assert_eq!(reason(crossed.as_bytes()), Some((Reason::UnexpectedByte, 259)));
    }

    #[test]
    fn strings_are_found_at_every_offset() {
        for length in 0..40 {
            for (tail, kind) in [("", Kind::Text), ("\\n", Kind::EscapedText)] {
                let text = format!("\"{}{tail}\"", "é".repeat(length));
                assert_eq!(check(text.as_bytes()), Ok(Span { start: 0, end: text.len(), kind }));
            }
        }
    }
}
