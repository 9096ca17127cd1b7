//! Appending to a buffer, quickly: the end is kept in a register, and short pieces are copied in steps of a fixed size.

use crate::functions::number;
use crate::json;

/// Room that is always left behind the end, so that a piece may be written in whole steps.
const SLACK: usize = 64;
const STEP: usize = 32;
/// Longer pieces are left to `memcpy`.
const STEPPED_MAX: usize = 256;

/// Appends to a buffer. What was appended is the buffer's only after `finish`.
pub struct Pen<'b> {
    out: &'b mut Vec<u8>,
    base: *mut u8,
    /// The end of what was written. All before it is initialised.
    at: usize,
    /// The capacity less the slack; never less than `at`.
    limit: usize,
}

/// Makes room for so many bytes and the slack.
#[cold]
#[inline(never)]
fn grow(out: &mut Vec<u8>, at: usize, bytes: usize) -> (*mut u8, usize) {
    // SAFETY: the pen has written all bytes before `at`, and `at` is within the capacity.
    unsafe { out.set_len(at) };
    out.reserve(bytes.saturating_add(SLACK));
    (out.as_mut_ptr(), out.capacity() - SLACK)
}

#[inline(always)]
fn room_of(out: &mut Vec<u8>) -> (*mut u8, usize) {
    match out.capacity().checked_sub(SLACK) {
        Some(limit) if limit >= out.len() => (out.as_mut_ptr(), limit),
        _ => grow(out, out.len(), 0),
    }
}

impl<'b> Pen<'b> {
    #[inline(always)]
    pub fn new(out: &'b mut Vec<u8>) -> Pen<'b> {
        let at = out.len();
        let (base, limit) = room_of(out);
        Pen { out, base, at, limit }
    }

    /// Where the next byte goes.
    #[inline(always)]
    pub fn at(&self) -> usize {
        self.at
    }

    #[inline(always)]
    pub fn finish(self) {
        // SAFETY: all bytes before `at` were written, and `at` is within the capacity.
        unsafe { self.out.set_len(self.at) };
    }

    /// Takes back what was written from `at` on.
    #[inline(always)]
    pub fn back_to(&mut self, at: usize) {
        self.at = self.at.min(at);
    }

    /// Makes sure that so many bytes, and the slack behind them, can be written.
    #[inline(always)]
    fn room(&mut self, bytes: usize) {
        if bytes > self.limit - self.at {
            (self.base, self.limit) = grow(self.out, self.at, bytes);
        }
    }

    /// Appends a byte into the slack: at most `SLACK` of them may follow one call of `room`.
    #[inline(always)]
    fn put(&mut self, byte: u8) {
        debug_assert!(self.at < self.limit + SLACK);
        // SAFETY: callers write no more than the slack beyond what they made room for, so `at` is within the capacity.
        unsafe { *self.base.add(self.at) = byte };
        self.at += 1;
    }

    #[inline(always)]
    fn put_word(&mut self, word: u64, bytes: usize) {
        debug_assert!(self.at + 8 <= self.limit + SLACK);
        // SAFETY: as in `put`: 8 bytes from `at` on are within the capacity.
        unsafe { self.base.add(self.at).cast::<u64>().write_unaligned(word.to_le()) };
        self.at += bytes;
    }

    /// Appends `from[start..end]`, for which there must be room. May write, but not count, up to a step more.
    #[inline(always)]
    fn copy(&mut self, from: &[u8], start: usize, end: usize) {
        assert!(start <= end && end <= from.len());
        let bytes = end - start;
        debug_assert!(self.at + bytes <= self.limit);
        // SAFETY: `room` made sure that `bytes` and the slack, which is more than a step, can be written from `at` on. What is
        // read in steps ends less than a step after `end`, and `from` has a whole step there. `from` is borrowed, so it is not the
        // unwritten part of the buffer that this pen alone writes.
        unsafe {
            let (first, to) = (from.as_ptr().add(start), self.base.add(self.at));
            if from.len() - end >= STEP && bytes <= STEPPED_MAX {
                let mut done = 0;
                loop {
                    std::ptr::copy_nonoverlapping(first.add(done), to.add(done), STEP);
                    done += STEP;
                    if done >= bytes {
                        break;
                    }
                }
            } else {
                std::ptr::copy_nonoverlapping(first, to, bytes);
            }
        }
        self.at += bytes;
    }

    /// Appends `from[start..end]`. Quickest where `from` goes on for a step behind `end`.
    #[inline(always)]
    pub fn piece(&mut self, from: &[u8], start: usize, end: usize) {
        self.room(end - start);
        self.copy(from, start, end);
    }

    /// Appends `from[start..end]` between quotes.
    #[inline(always)]
    pub fn quoted(&mut self, from: &[u8], start: usize, end: usize) {
        self.room(end - start + 2);
        self.put(b'"');
        self.copy(from, start, end);
        self.put(b'"');
    }

    /// Appends a byte.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.room(1);
        self.put(byte);
    }

    /// Appends eight bytes, the lowest first.
    #[inline(always)]
    pub fn word(&mut self, word: u64) {
        self.room(8);
        self.put_word(word, 8);
    }

    /// Appends a varint.
    #[inline(always)]
    pub fn varint(&mut self, value: u64) {
        self.room(10);
        self.put_varint(value);
    }

    #[inline(always)]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(value as u8 | 0x80);
            value >>= 7;
        }
        self.put(value as u8);
    }

    /// Appends a tag of at most eight bytes.
    #[inline(always)]
    pub fn tag(&mut self, tag: u64, bytes: usize) {
        self.room(8);
        self.put_word(tag, bytes);
    }

    /// Appends a tag and a varint.
    #[inline(always)]
    pub fn tagged_varint(&mut self, (tag, bytes): (u64, usize), value: u64) {
        self.room(18);
        self.put_word(tag, bytes);
        self.put_varint(value);
    }

    /// Appends a tag and `from[start..end]` behind its length.
    #[inline(always)]
    pub fn tagged_text(&mut self, (tag, bytes): (u64, usize), from: &[u8], start: usize, end: usize) {
        let length = end.saturating_sub(start);
        self.room(length.saturating_add(18));
        self.put_word(tag, bytes);
        self.put_varint(length as u64);
        self.copy(from, start, end);
    }

    /// Leaves room for a length in front of what follows.
    #[inline(always)]
    pub fn leave(&mut self, bytes: usize) {
        self.room(8);
        debug_assert!(bytes <= 8);
        self.put_word(0, bytes);
    }

    /// Appends `from[start..end]` behind its length as a varint.
    #[inline(always)]
    pub fn counted(&mut self, from: &[u8], start: usize, end: usize) {
        self.varint((end - start) as u64);
        self.piece(from, start, end);
    }

    /// Appends `from[start..end]` as a JSON string.
    #[inline(always)]
    pub fn string(&mut self, from: &[u8], start: usize, end: usize) {
        if json::is_plain(&from[start..end]) {
            self.quoted(from, start, end);
        } else {
            self.with(|out| json::write_string(&from[start..end], out));
        }
    }

    /// Appends again what stands at `start..end` of the buffer.
    #[inline(always)]
    pub fn repeat(&mut self, start: usize, end: usize) {
        assert!(start <= end && end <= self.at);
        let bytes = end - start;
        self.room(bytes);
        // SAFETY: the source ends where the target begins, or before, and there is room for the target. The last step reads less
        // than a step behind the source and writes as much behind the target: that is within the slack, and is not counted.
        unsafe {
            let (from, to) = (self.base.add(start), self.base.add(self.at));
            if bytes <= STEPPED_MAX {
                let mut done = 0;
                while done < bytes {
                    std::ptr::copy(from.add(done), to.add(done), STEP);
                    done += STEP;
                }
            } else {
                std::ptr::copy_nonoverlapping(from, to, bytes);
            }
        }
        self.at += bytes;
    }

    /// Appends again what stands at `start..end` of the buffer: parts with a comma before each, of which the first may have
    /// become a bracket.
    #[inline(always)]
    pub fn repeat_parts(&mut self, start: usize, end: usize) {
        let first = self.at;
        self.repeat(start, end);
        // SAFETY: what was appended begins there; if that is nothing, the comma goes into the slack and is not counted.
        unsafe { *self.base.add(first) = b',' };
    }

    /// Appends the decimal digits.
    #[inline(always)]
    pub fn integer(&mut self, value: i64) {
        self.room(20);
        let mut rest = value.unsigned_abs();
        if value < 0 {
            self.put(b'-');
        }
        if rest >= 10_000_000_000_000_000 {
            self.first_digits((rest / 10_000_000_000_000_000) as u32);
            rest %= 10_000_000_000_000_000;
            self.put_word(number::eight_digits((rest / 100_000_000) as u32), 8);
            self.put_word(number::eight_digits((rest % 100_000_000) as u32), 8);
        } else if rest >= 100_000_000 {
            self.first_digits((rest / 100_000_000) as u32);
            self.put_word(number::eight_digits((rest % 100_000_000) as u32), 8);
        } else {
            self.first_digits(rest as u32);
        }
    }

    /// The digits of a number below 10^8 without leading zeros.
    #[inline(always)]
    fn first_digits(&mut self, value: u32) {
        let digits = number::eight_digits(value);
        // The digits of zero are all zeros, of which one must stay.
        let zeros = (((digits ^ 0x3030_3030_3030_3030) | 1 << 56).trailing_zeros() / 8) as usize;
        self.put_word(digits >> (8 * zeros), 8 - zeros);
    }

    /// Appends by way of the buffer itself.
    #[inline(always)]
    pub fn with<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        // SAFETY: all bytes before `at` were written, and `at` is within the capacity.
        unsafe { self.out.set_len(self.at) };
        let given = write(self.out);
        self.at = self.out.len();
        (self.base, self.limit) = room_of(self.out);
        given
    }

    /// Puts brackets around what was appended since `start`, each part with a comma before it.
    #[inline(always)]
    pub fn close(&mut self, start: usize) {
        self.room(2);
        if self.at == start {
            self.put(b'{');
        }
        assert!(start < self.at);
        // SAFETY: `start` is before `at`, so it was written.
        unsafe { *self.base.add(start) = b'{' };
        self.put(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Pen)) -> Vec<u8> {
        // Whatever the buffer's room is, the same is written.
        let mut found: Option<Vec<u8>> = None;
        for room in [0, 1, SLACK - 1, SLACK, SLACK + 1, 4096] {
            let mut out = Vec::with_capacity(room);
            let mut pen = Pen::new(&mut out);
            write(&mut pen);
            pen.finish();
            assert_eq!(*found.get_or_insert_with(|| out.clone()), out);
        }
        found.unwrap()
    }

    #[test]
    fn pieces_of_every_length_and_place_are_copied() {
        let from: Vec<u8> = (0..600u32).map(|n| b'a' + (n % 26) as u8).collect();
        for length in (0..100).chain([255, 256, 257, 500]) {
            for start in [0, 1, 5, 600 - length - 33.min(600 - length), 600 - length] {
                let end = start + length;
                // Exactly so large, so that reading too far would be seen by a sanitizer.
                let exact: Box<[u8]> = from[..end].into();
                for source in [&from[..], &exact] {
                    let expected = [b"<", &from[start..end], b"\"", &from[start..end], b"\""].concat();
                    let found = written(|pen| {
                        pen.piece(b"<", 0, 1);
                        pen.piece(source, start, end);
                        pen.quoted(source, start, end);
                    });
                    assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn integers_are_written_at_every_length() {
        let powers =
            (0..19).flat_map(|power| [10i64.pow(power), -(10i64.pow(power)), 10i64.pow(power) - 1, 7 * 10i64.pow(power) / 3]);
        for number in powers.chain([i64::MIN, i64::MAX, 0, 100_000_001, 10_000_000_000_000_001]) {
            assert_eq!(String::from_utf8(written(|pen| pen.integer(number))).unwrap(), number.to_string());
        }
    }

    #[test]
    fn parts_are_repeated_taken_back_and_closed() {
        let found = written(|pen| {
            pen.piece(b",\"a\":1", 0, 6);
            let end = pen.at();
            pen.close(0);
            pen.back_to(end);
            for _ in 0..40 {
                pen.repeat_parts(0, end);
                pen.repeat_parts(end, end);
            }
            let kept = pen.at();
            pen.string(b"x\ny", 0, 3);
            pen.back_to(kept);
            pen.string(b"x\"y", 0, 3);
            pen.close(0);
            let start = pen.at();
            pen.close(start);
            pen.with(|out| out.extend_from_slice(b"end"));
        });
        let expected = format!("{{{}\"x\\\"y\"}}{{}}end", &",\"a\":1".repeat(41)[1..]);
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }
}
