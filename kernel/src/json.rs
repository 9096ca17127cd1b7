//! A strict RFC 8259 cursor over bytes: it validates and skips, and builds nothing.
//!
//! Every walk over JSON in the kernel goes through this file, so that there is one answer to what is well-formed.
//! UTF-8 is the caller's first step (`check_utf8`): the cursor then takes any byte from 0x80 up as text.

pub use crate::json_text::{is_plain, unescape, unescape_key, write_string};

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

#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    pub at: usize,
    malformed: Malformed,
}

const NOTHING: Malformed = Malformed { reason: Reason::UnexpectedByte, at: 0 };

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

/// Where the first quote, backslash or control character stands from `at` on, or the end.
#[inline(always)]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let found = stops_of_16(chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = stops(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\')) {
        at += 1;
    }
    at
}

/// A bit for every byte that is below 0x20, a quote or a backslash. SSE2 is part of x86-64.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn stops_of_16(chunk: &[u8; 16]) -> u32 {
    use std::arch::x86_64::*;
    // SAFETY: the instructions are there on every x86-64, and `chunk` has the 16 bytes that are loaded, at any alignment.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, slash))) as u32
    }
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0, malformed: NOTHING }
    }

    /// A cursor over the same bytes that starts at `at`.
    pub fn from(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at, malformed: NOTHING }
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
        if self.peek().is_some_and(|byte| byte > b' ') {
            return;
        }
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
        self.skip_value().ok_or(self.malformed)
    }

    /// Skips a string; `at` must be on its opening quote and ends behind the closing one.
    #[inline]
    pub fn string(&mut self) -> Parsed<Kind> {
        self.skip_string().ok_or(self.malformed)
    }

    /// A key and its colon: the span of the key, quotes included.
    #[inline]
    pub fn key(&mut self) -> Parsed<Span> {
        self.skip_key().ok_or(self.malformed)
    }

    /// Remembers a refusal. The hot path says no more than that there is one: a small result stays in registers.
    #[cold]
    #[inline(never)]
    fn refuse<T>(&mut self, reason: Reason) -> Option<T> {
        self.malformed = self.fail::<()>(reason).err()?;
        None
    }

    #[inline(always)]
    pub(crate) fn skip_value(&mut self) -> Option<Span> {
        self.space();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => self.skip_string()?,
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
        Some(Span { start, end: self.at, kind })
    }

    /// A number or a word. `at` must be on its first byte.
    #[inline(always)]
    fn scalar(&mut self) -> Option<Kind> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            _ => self.refuse(Reason::UnexpectedByte),
        }
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8], kind: Kind) -> Option<Kind> {
        if self.bytes.get(self.at..self.at + word.len()) == Some(word) {
            self.at += word.len();
            return Some(kind);
        }
        self.broken_word(word)
    }

    #[cold]
    #[inline(never)]
    fn broken_word(&mut self, word: &[u8]) -> Option<Kind> {
        let same = word.iter().zip(&self.bytes[self.at..]).take_while(|(expected, byte)| expected == byte).count();
        self.at += same;
        self.refuse(Reason::UnexpectedByte)
    }

    #[inline(always)]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.refuse(Reason::Number) } else { Some(()) }
    }

    #[inline(always)]
    fn number(&mut self) -> Option<Kind> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return self.refuse(Reason::Number);
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
        Some(Kind::Number)
    }

    #[inline(always)]
    fn skip_string(&mut self) -> Option<Kind> {
        self.at = plain_end(self.bytes, self.at + 1);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Some(Kind::Text);
        }
        self.rest_of_string()
    }

    /// From the first byte that is not plain on.
    #[inline(never)]
    fn rest_of_string(&mut self) -> Option<Kind> {
        let mut kind = Kind::Text;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Some(kind);
                }
                Some(b'\\') => {
                    kind = Kind::EscapedText;
                    self.escape()?;
                }
                _ => return self.refuse(Reason::Control),
            }
            self.at = plain_end(self.bytes, self.at);
        }
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        _ => return self.refuse(Reason::Escape),
                    }
                }
            }
            _ => return self.refuse(Reason::Escape),
        }
        Some(())
    }

    /// Skips an object or an array; `at` must be on its opening bracket and ends behind the closing one.
    fn container(&mut self) -> Option<()> {
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
                        return Some(());
                    }
                    self.space();
                    match (self.peek(), levels.object()) {
                        (Some(b','), _) => self.at += 1,
                        (Some(b'}'), true) | (Some(b']'), false) => continue,
                        _ => return self.refuse(Reason::UnexpectedByte),
                    }
                }
                if levels.object() {
                    self.skip_key()?;
                }
                self.space();
                match self.peek() {
                    Some(b'{' | b'[') => continue 'open,
                    Some(b'"') => {
                        self.skip_string()?;
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
                    _ => return self.refuse(Reason::UnexpectedByte),
                }
            }
        }
    }

    #[inline(always)]
    fn skip_key(&mut self) -> Option<Span> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.refuse(Reason::UnexpectedByte);
        }
        let start = self.at;
        let kind = self.skip_string()?;
        let span = Span { start, end: self.at, kind };
        self.space();
        if self.peek() != Some(b':') {
            return self.refuse(Reason::UnexpectedByte);
        }
        self.at += 1;
        Some(span)
    }

    #[inline(always)]
    fn skip_comma(&mut self, close: u8) -> Option<bool> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Some(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Some(false)
            }
            _ => self.refuse(Reason::UnexpectedByte),
        }
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
        self.skip_comma(close).ok_or(self.malformed)
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
