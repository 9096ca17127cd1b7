//! The structure of one line of JSON: where its brackets, colons, commas and values begin, found 64 bytes at a time.
//!
//! The method is that of Langdale and Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28 (2019): classify bytes,
//! tell what is inside of strings by a prefix XOR over the quotes, and write the positions of what is left as a list.
//! The grammar is not checked here; strings are: that they end, their escapes, and that they have no control character.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sse2;

use std::sync::OnceLock;

/// The way of `Dispatch::Portable`.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use scalar::Scalar as Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Sse2 as Portable;

/// Bytes that may be read behind the end of a text.
pub const PADDING: usize = 64;
/// Positions behind the last one, all of them the length of the text, so that a look ahead needs no check.
pub const SENTINELS: usize = 8;
const BLOCK: usize = 64;
/// The environment variable that forces a way of finding structure.
pub const DISPATCH_VARIABLE: &str = "HEADWATER_DISPATCH";

/// A way of finding structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// AVX-512 with BW, VL, VBMI and VBMI2, and PCLMULQDQ.
    Avx512,
    /// AVX2, BMI2 and PCLMULQDQ.
    Avx2,
    /// What every machine of this architecture has.
    Portable,
}

impl Dispatch {
    pub const ALL: [Dispatch; 3] = [Dispatch::Avx512, Dispatch::Avx2, Dispatch::Portable];

    pub fn name(self) -> &'static str {
        match self {
            Dispatch::Avx512 => "avx512",
            Dispatch::Avx2 => "avx2",
            Dispatch::Portable => "portable",
        }
    }

    /// Whether this machine can do it.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            match self {
                Dispatch::Avx512 => {
                    has!("avx512f")
                        && has!("avx512bw")
                        && has!("avx512vl")
                        && has!("avx512vbmi")
                        && has!("avx512vbmi2")
                        && has!("pclmulqdq")
                        && has!("bmi2")
                }
                Dispatch::Avx2 => has!("avx2") && has!("pclmulqdq") && has!("bmi2"),
                Dispatch::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Dispatch::Portable
        }
    }

    /// The best of this machine, or the one that the environment names. Settled once. The error says what is wrong with that name.
    pub fn of_machine() -> Result<Dispatch, &'static str> {
        static SETTLED: OnceLock<Result<Dispatch, String>> = OnceLock::new();
        let asked = || std::env::var_os(DISPATCH_VARIABLE).unwrap_or_default().to_string_lossy().into_owned();
        SETTLED.get_or_init(|| Dispatch::named(&asked())).as_ref().copied().map_err(String::as_str)
    }

    /// The one of this name; the best of this machine where there is none.
    fn named(asked: &str) -> Result<Dispatch, String> {
        let available = || Dispatch::ALL.into_iter().filter(|each| each.available());
        let valid = || available().map(Dispatch::name).collect::<Vec<_>>().join(", ");
        match Dispatch::ALL.into_iter().find(|each| each.name() == asked) {
            Some(found) if found.available() => Ok(found),
            Some(_) => Err(format!("{DISPATCH_VARIABLE}={asked}: this machine lacks its instructions; it has {}", valid())),
            None if asked.is_empty() => Ok(available().next().unwrap_or(Dispatch::Portable)),
            None => Err(format!("{DISPATCH_VARIABLE}={asked} is not known; valid here is {}", valid())),
        }
    }
}

/// A text behind which `PADDING` bytes may be read, whatever they are.
#[derive(Clone, Copy)]
pub struct Padded<'a> {
    /// The text and what may be read behind it: a pointer to the text alone would give no right to that.
    padded: &'a [u8],
}

impl<'a> Padded<'a> {
    /// `batch[start..end]`, if that many bytes of the batch follow it.
    #[inline(always)]
    pub fn within(batch: &'a [u8], start: usize, end: usize) -> Option<Padded<'a>> {
        if start > end { None } else { batch.get(start..end + PADDING).map(|padded| Padded { padded }) }
    }

    /// A copy of the text in `space`.
    pub fn copied(text: &[u8], space: &'a mut Vec<u8>) -> Padded<'a> {
        space.clear();
        space.extend_from_slice(text);
        space.resize(text.len() + PADDING, 0);
        Padded { padded: space }
    }

    #[inline(always)]
    pub fn text(self) -> &'a [u8] {
        &self.padded[..self.padded.len() - PADDING]
    }

    /// The byte at `at`, which may be up to `PADDING - 1` behind the end.
    #[inline(always)]
    pub fn byte(self, at: usize) -> u8 {
        self.bytes::<1>(at)[0]
    }

    /// The bytes from `at` on. `at + N` may be up to `PADDING` behind the end.
    #[inline(always)]
    pub fn bytes<const N: usize>(self, at: usize) -> [u8; N] {
        debug_assert!(at + N <= self.padded.len());
        // SAFETY: every caller passes an offset of at most the length of the text (a position of its structure), or in messages a
        // few bytes more, and reads at most 32 bytes from there on; both constructors hold that 64 bytes behind it may be read.
        unsafe { self.padded.as_ptr().add(at).cast::<[u8; N]>().read_unaligned() }
    }
}

/// The kind of what may be the beginning of a number or a word.
const SCALAR: u8 = b's';

/// By byte: its kind. Of bytes that have no place in the grammar it is 0.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        kinds[byte] = match byte as u8 {
            b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"' => byte as u8,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => SCALAR,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// What one block of 64 bytes has, a bit a byte.
pub(crate) struct Masks {
    quote: u64,
    backslash: u64,
    /// Brackets, braces, colons, commas. It may have other control characters too: the grammar has no place for them.
    operator: u64,
    white: u64,
    /// Below 0x20.
    control: u64,
    /// 0x80 and up.
    high: u64,
    /// Of the text, and not behind its end.
    inside: u64,
}

/// The instructions of one way.
pub(crate) trait Instructions {
    /// # Safety
    /// The machine must have the instructions, and 64 bytes must be readable at `block`.
    unsafe fn classify(block: *const u8) -> Masks;

    /// Every bit becomes the XOR of itself and all below it.
    /// # Safety
    /// The machine must have the instructions.
    unsafe fn prefix_xor(bits: u64) -> u64;

    /// Whether the bytes at `text` are those at `label` where `mask` has a bit.
    /// # Safety
    /// The machine must have the instructions, and 32 bytes must be readable at both.
    unsafe fn begins(text: *const u8, label: *const u8, mask: u32) -> bool;

    /// Whether `kinds` is there; otherwise the bytes are looked up one by one.
    const KINDS: bool = false;

    /// Writes the kind of each byte whose bit is set.
    /// # Safety
    /// The machine must have the instructions, 64 bytes must be readable at `block` and writable at `out`.
    unsafe fn kinds(_block: *const u8, _bits: u64, _out: *mut u8) {}

    /// Writes `base` plus the number of each bit that is set; how many.
    /// # Safety
    /// The machine must have the instructions, and 64 positions must be writable at `out`.
    unsafe fn flatten(bits: u64, base: u32, out: *mut u32) -> usize;
}

/// The structure of a text. The memory is kept from text to text.
#[derive(Debug, Default)]
pub struct Structure {
    positions: Vec<u32>,
    count: usize,
    /// By position, what stands there.
    kinds: Vec<u8>,
    /// By block of 64 bytes: the backslashes that begin an escape.
    backslashes: Vec<u64>,
    /// Whether any string has an escape.
    pub escapes: bool,
    /// Whether any escape may be of a surrogate.
    pub surrogates: bool,
    /// Whether there is white space outside of strings.
    pub white: bool,
}

/// Memory beyond this many positions is given back after a text that needed it.
const KEPT_POSITIONS_MAX: usize = 1 << 20;

impl Structure {
    /// Finds the structure of a text of less than 4 GiB. False where a string is wrong or the text is not UTF-8.
    pub fn find(&mut self, text: Padded, dispatch: Dispatch) -> bool {
        let bytes = text.text().len();
        if self.positions.capacity() > KEPT_POSITIONS_MAX && bytes < KEPT_POSITIONS_MAX {
            self.positions = Vec::new();
            self.kinds = Vec::new();
            self.backslashes = Vec::new();
        }
        self.positions.clear();
        self.positions.reserve(bytes + BLOCK + SENTINELS);
        self.kinds.clear();
        self.kinds.reserve(bytes + BLOCK);
        self.backslashes.clear();
        self.backslashes.reserve(bytes / BLOCK + 1);
        match dispatch {
            // SAFETY: a `Dispatch` other than the portable one is only got where the machine can do it (`of_machine`), or by
            // tests that ask `available` first; the room for positions and blocks was reserved above.
            #[cfg(target_arch = "x86_64")]
            Dispatch::Avx512 => unsafe { avx512::find(self, text) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Dispatch::Avx2 => unsafe { avx2::find(self, text) },
            // SAFETY: as above; it uses no instruction that a machine may lack.
            _ => unsafe { self.find_with::<Portable>(text) },
        }
    }

    /// # Safety
    /// The machine must have the instructions, and room for `bytes + 64 + SENTINELS` positions and all blocks is reserved.
    #[inline(always)]
    unsafe fn find_with<I: Instructions>(&mut self, padded: Padded) -> bool {
        let (text, first) = (padded.text(), padded.padded.as_ptr());
        let out = self.positions.as_mut_ptr();
        let kinds = self.kinds.as_mut_ptr();
        let marks = self.backslashes.as_mut_ptr();
        let mut count = 0;
        let mut carry = Carry::default();
        let mut seen = Seen { high_first: usize::MAX, ..Seen::default() };
        let mut at = 0;
        while at < text.len() {
            // SAFETY: at most 63 bytes behind the text are read, which is padded; the room is as the caller holds: a block
            // adds at most one position a byte, and 64 more may be written than are kept.
            unsafe {
                let mut masks = I::classify(first.add(at));
                let left = text.len() - at;
                if left < BLOCK {
                    masks.cut(left);
                }
                let escapes = carry.escapes(masks.backslash);
                marks.add(at / BLOCK).write(escapes.starts);
                seen.escapes |= escapes.starts;
                let structural = carry.step::<I>(&masks, escapes.escaped, &mut seen, at);
                if I::KINDS {
                    I::kinds(first.add(at), structural, kinds.add(count));
                }
                count += I::flatten(structural, at as u32, out.add(count));
            }
            at += BLOCK;
        }
        // SAFETY: `count` positions, which are in the text, as many kinds and as many marks as there are blocks were written; there
        // is room for the sentinels.
        unsafe {
            for sentinel in 0..SENTINELS {
                out.add(count + sentinel).write(text.len() as u32);
            }
            if !I::KINDS {
                for number in 0..count {
                    let byte = *text.get_unchecked(*out.add(number) as usize);
                    kinds.add(number).write(KINDS[byte as usize]);
                }
            }
            self.kinds.set_len(count);
            self.positions.set_len(count + SENTINELS);
            self.backslashes.set_len(text.len().div_ceil(BLOCK));
        }
        self.count = count;
        self.white = seen.white != 0;
        self.escapes = seen.escapes != 0;
        self.surrogates = false;
        if seen.control != 0 || carry.in_string != 0 {
            return false;
        }
        if seen.high_first != usize::MAX && simdutf8::basic::from_utf8(&text[seen.high_first..seen.high_end]).is_err() {
            return false;
        }
        !self.escapes || self.check_escapes(padded)
    }

    /// Checks every escape. A backslash outside of a string has no place in the grammar.
    #[inline(never)]
    fn check_escapes(&mut self, padded: Padded) -> bool {
        for (block, marks) in self.backslashes.iter().enumerate() {
            let mut left = *marks;
            while left != 0 {
                let at = block * BLOCK + left.trailing_zeros() as usize;
                left &= left - 1;
                match padded.byte(at + 1) {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        let digits = padded.bytes::<4>(at + 2);
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return false;
                        }
                        self.surrogates |= matches!(digits[0], b'd' | b'D') && !matches!(digits[1], b'0'..=b'7');
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    /// How many positions there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What stands at each position: a bracket, a colon, a comma, a quote, or `SCALAR`.
    #[inline(always)]
    pub fn kinds(&self) -> &[u8] {
        &self.kinds
    }

    /// The positions, with the sentinels behind them.
    #[inline(always)]
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Whether there is a backslash in `start..end`.
    #[inline]
    pub fn escaped(&self, start: usize, end: usize) -> bool {
        if start >= end {
            // A string that only seems to begin: what follows the text has a quote there.
            return false;
        }
        let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
        let low = u64::MAX << (start % BLOCK);
        let high = u64::MAX >> (BLOCK - 1 - (end - 1) % BLOCK);
        if first == last {
            return self.backslashes[first] & low & high != 0;
        }
        let between = &self.backslashes[first + 1..last];
        self.backslashes[first] & low != 0 || self.backslashes[last] & high != 0 || between.iter().any(|marks| *marks != 0)
    }
}

/// Finds the structure of each line, for measuring; how many positions there are.
pub fn positions_of_lines(batch: &[u8], dispatch: Dispatch) -> usize {
    let (mut structure, mut space, mut start, mut count) = (Structure::default(), Vec::new(), 0, 0);
    for end in memchr::memchr_iter(b'\n', batch).chain(std::iter::once(batch.len())) {
        let text = match Padded::within(batch, start, end) {
            Some(text) => text,
            None => Padded::copied(&batch[start..end], &mut space),
        };
        structure.find(text, dispatch);
        count += structure.count();
        start = end + 1;
    }
    count
}

impl Masks {
    /// Only the first `bytes` belong to the text; the rest is as white space.
    #[inline(always)]
    fn cut(&mut self, bytes: usize) {
        let valid = (1u64 << bytes) - 1;
        for mask in [&mut self.quote, &mut self.backslash, &mut self.operator, &mut self.control, &mut self.high] {
            *mask &= valid;
        }
        self.white |= !valid;
        self.inside = valid;
    }
}

/// What goes over from block to block: bit 0, or all bits.
#[derive(Default)]
struct Carry {
    escaped: u64,
    in_string: u64,
    scalar: u64,
}

/// What was seen in any block.
#[derive(Default)]
struct Seen {
    control: u64,
    white: u64,
    escapes: u64,
    high_first: usize,
    high_end: usize,
}

impl Carry {
    /// The structural bits of a block.
    ///
    /// # Safety
    /// The machine must have the instructions.
    #[inline(always)]
    unsafe fn step<I: Instructions>(&mut self, masks: &Masks, escaped: u64, seen: &mut Seen, at: usize) -> u64 {
        let quote = masks.quote & !escaped;
        // SAFETY: as the caller holds.
        let in_string = unsafe { I::prefix_xor(quote) } ^ self.in_string;
        self.in_string = ((in_string as i64) >> 63) as u64;
        // A string's inside and its closing quote.
        let tail = in_string ^ quote;
        let scalar = !(masks.operator | masks.white);
        let unquoted = scalar & !quote;
        let follows = unquoted << 1 | self.scalar;
        self.scalar = unquoted >> 63;
        seen.control |= masks.control & in_string;
        seen.white |= masks.white & !in_string & masks.inside;
        if masks.high != 0 {
            seen.high_first = seen.high_first.min(at + masks.high.trailing_zeros() as usize);
            seen.high_end = at + BLOCK - masks.high.leading_zeros() as usize;
        }
        (masks.operator | (scalar & !follows)) & !tail
    }

    /// The backslashes that begin an escape, and the bytes behind them.
    #[inline(always)]
    fn escapes(&mut self, backslash: u64) -> Escapes {
        let mut found = Escapes { starts: 0, escaped: std::mem::take(&mut self.escaped) };
        let mut left = backslash & !found.escaped;
        while left != 0 {
            let start = left & left.wrapping_neg();
            found.starts |= start;
            found.escaped |= start << 1;
            self.escaped = start >> 63;
            left &= !(start | start << 1);
        }
        found
    }
}

struct Escapes {
    starts: u64,
    escaped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(text: &[u8], find: impl Fn(&mut Structure, Padded) -> bool) -> (bool, Vec<u32>, bool) {
        let mut space = Vec::new();
        let mut structure = Structure::default();
        let padded = Padded::copied(text, &mut space);
        structure.positions.reserve(text.len() + BLOCK + SENTINELS);
        structure.kinds.reserve(text.len() + BLOCK);
        structure.backslashes.reserve(text.len() / BLOCK + 1);
        let fine = find(&mut structure, padded);
        let kinds = structure.positions[..structure.count].iter().map(|at| KINDS[text[*at as usize] as usize]);
        assert!(structure.kinds.iter().copied().eq(kinds));
        (fine, structure.positions[..structure.count].to_vec(), structure.white)
    }

    /// The positions of JSON-like bytes of every length around a block, on all ways.
    #[test]
    fn all_ways_find_the_same() {
        let bytes = b"\"\"\"\"\\\\{}[]:,,,01a \t\nu\x01\xc3\xa9";
        let mut state = 7u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            (state >> 33) as usize % limit
        };
        let mut fine = 0;
        for round in 0..40_000 {
            let plain = round % 2 == 0;
            let kinds = if plain { b"\"\"{}[]:,1a     ".as_slice() } else { bytes.as_slice() };
            let text: Vec<u8> = (0..below(300)).map(|_| kinds[below(kinds.len())]).collect();
            // SAFETY: it uses no instruction that a machine may lack; `positions` has reserved the room.
            let expected = positions(&text, |structure, text| unsafe { structure.find_with::<scalar::Scalar>(text) });
            fine += expected.0 as usize;
            for way in Dispatch::ALL.into_iter().filter(|way| way.available()) {
                assert_eq!(positions(&text, |structure, text| structure.find(text, way)), expected, "{way:?} {text:?}");
            }
        }
        assert!((4_000..36_000).contains(&fine), "{fine}");
    }

    /// No way takes any of the 256 bytes for another class than the others, wherever in a block it stands.
    #[test]
    fn all_ways_class_every_byte_alike() {
        for byte in 0..=255 {
            for before in 0..BLOCK {
                let text = [&b" ".repeat(before)[..], b"1", &[byte], b"1 "].concat();
                // SAFETY: as above.
                let (fine, expected, white) =
                    positions(&text, |structure, text| unsafe { structure.find_with::<scalar::Scalar>(text) });
                let operator = |at: &u32| !matches!(text[*at as usize], 0x0C | 0x1A);
                for way in Dispatch::ALL.into_iter().filter(|way| way.available()) {
                    let found = positions(&text, |structure, text| structure.find(text, way));
                    assert_eq!((found.0, found.2), (fine, white), "{way:?} {byte}");
                    // Two control characters may be operators or not; the grammar has no place for them.
                    if operator(&(before as u32 + 1)) {
                        assert_eq!(found.1, expected, "{way:?} {byte}");
                    }
                }
            }
        }
    }

    #[test]
    fn positions_are_those_of_brackets_and_beginnings() {
        let text = br#" {"a\"{" : [12, true,"b"]} "#;
        for way in Dispatch::ALL.into_iter().filter(|way| way.available()) {
            let (fine, found, white) = positions(text, |structure, text| structure.find(text, way));
            assert!(fine && white);
            let bytes: Vec<u8> = found.iter().map(|at| text[*at as usize]).collect();
            assert_eq!(bytes, b"{\":[1,t,\"]}");
        }
    }
}
