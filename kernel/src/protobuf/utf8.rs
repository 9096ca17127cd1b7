//! Whether texts are UTF-8. Most are short and ASCII: they are told without a loop.

use super::instructions::{Instructions, STEP};
use crate::structure::Padded;

/// Longer texts that are not ASCII are left to vector instructions.
const SHORT_MAX: usize = 64;

/// Whether `from..to` of an event, which ends within it, is UTF-8.
#[inline(always)]
pub fn is_text(machine: impl Instructions, event: Padded, from: usize, to: usize) -> bool {
    (to - from <= STEP && is_short_ascii(machine, event, from, (to - from) as u8)) || is_utf8(&event.text()[from..to])
}

/// Whether a text from `from` on, which may be a few bytes behind the end of the event, is ASCII and so short that it is told at once.
#[inline(always)]
pub fn is_short_ascii(machine: impl Instructions, event: Padded, from: usize, length: u8) -> bool {
    usize::from(length) <= STEP && u64::from(machine.high_bits(event, from)) & ((1 << length) - 1) == 0
}

#[inline(never)]
pub fn is_utf8(text: &[u8]) -> bool {
    if text.len() > SHORT_MAX {
        return simdutf8::basic::from_utf8(text).is_ok();
    }
    let state = text.iter().fold(WHOLE, |state, byte| STEPS[*byte as usize].wrapping_shr(state) as u32);
    state & 63 == WHOLE
}

/// States between bytes, as the shifts by which `STEPS` are read: no text, between characters, and by what may follow.
const NOWHERE: u32 = 0;
const WHOLE: u32 = 6;
const LAST: u32 = 12;
const LAST_TWO: u32 = 18;
const LAST_THREE: u32 = 24;
const AFTER_E0: u32 = 30;
const AFTER_ED: u32 = 36;
const AFTER_F0: u32 = 42;
const AFTER_F4: u32 = 48;

/// By byte: for each state the next one, as many bits up as the state says.
static STEPS: [u64; 256] = {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let first = match byte {
            0x00..=0x7f => WHOLE,
            0xc2..=0xdf => LAST,
            0xe0 => AFTER_E0,
            0xe1..=0xec | 0xee..=0xef => LAST_TWO,
            0xed => AFTER_ED,
            0xf0 => AFTER_F0,
            0xf1..=0xf3 => LAST_THREE,
            0xf4 => AFTER_F4,
            _ => NOWHERE,
        };
        steps[byte] = (first as u64) << WHOLE;
        if byte >= 0x80 && byte < 0xc0 {
            steps[byte] |= (WHOLE as u64) << LAST | (LAST as u64) << LAST_TWO | (LAST_TWO as u64) << LAST_THREE;
            let (two, three) = if byte >= 0xa0 { (AFTER_E0, AFTER_F0) } else { (AFTER_ED, AFTER_F0) };
            steps[byte] |= (LAST as u64) << two;
            let three = if byte >= 0x90 { three } else { AFTER_F4 };
            steps[byte] |= (LAST_TWO as u64) << three;
        }
        byte += 1;
    }
    steps
};

#[cfg(test)]
mod tests {
    use super::super::instructions::Plain;
    #[cfg(target_arch = "x86_64")]
    use super::super::instructions::Wide;
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::structure::Dispatch;

    fn told(bytes: &[u8]) -> bool {
        // What follows a text does not count.
        let padded = [&b"\xff"[..], bytes, &[0xff; 64]].concat();
        let (event, end) = (Padded::within(&padded, 0, 1 + bytes.len()).unwrap(), 1 + bytes.len());
        let plain = is_text(Plain, event, 1, end);
        #[cfg(target_arch = "x86_64")]
        if Dispatch::Avx2.available() {
            // SAFETY: the machine has AVX2 and BMI2.
            assert_eq!(is_text(unsafe { Wide::new() }, event, 1, end), plain);
        }
        plain
    }

    #[test]
    fn every_short_text_is_told() {
        for first in 0..=255u8 {
            for second in 0..=255 {
                let bytes = [first, second];
                assert_eq!(told(&bytes), std::str::from_utf8(&bytes).is_ok(), "{bytes:?}");
                for third in [0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff] {
                    for fourth in [0x61, 0x80, 0xbf, 0xc2] {
                        let bytes = [first, second, third, fourth];
                        assert_eq!(told(&bytes), std::str::from_utf8(&bytes).is_ok(), "{bytes:?}");
                        assert_eq!(told(&bytes[..3]), std::str::from_utf8(&bytes[..3]).is_ok(), "{:?}", &bytes[..3]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_byte_that_is_no_text_is_found_at_every_place() {
        for length in 0..130 {
            let mut bytes = vec![b'a'; length];
            assert!(told(&bytes));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!told(&bytes));
                bytes[at] = b'z';
                if at + 1 < length {
                    bytes[at..at + 2].copy_from_slice("é".as_bytes());
                    assert!(told(&bytes));
                    bytes[at..at + 2].copy_from_slice(b"zz");
                }
            }
        }
    }
}
