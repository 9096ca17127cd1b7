//! What a walk over messages asks of the machine, in a way that every machine has and a quicker one.

use crate::structure::Padded;

/// So many bytes are looked at in one step.
pub const STEP: usize = 32;
const HIGH: u64 = 0x8080_8080_8080_8080;

pub trait Instructions: Copy {
    /// Which of the bytes from `at` on are not ASCII, a bit each. `at` is at most the length of the event.
    fn high_bits(self, event: Padded, at: usize) -> u32;

    /// The lower seven bits of each byte, one behind the other.
    fn sevens(self, word: u64) -> u64;
}

/// A varint that ends within a word, and its length.
#[inline(always)]
pub fn short_varint(machine: impl Instructions, word: u64) -> Option<(u64, usize)> {
    let stops = !word & HIGH;
    if stops == 0 {
        return None;
    }
    // The bytes up to the first that has no bit of going on.
    let value = machine.sevens(word & (stops ^ (stops - 1)));
    Some((value, stops.trailing_zeros() as usize / 8 + 1))
}

#[derive(Clone, Copy)]
pub struct Plain;

impl Instructions for Plain {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn high_bits(self, event: Padded, at: usize) -> u32 {
        use std::arch::x86_64::{_mm_loadu_si128, _mm_movemask_epi8};
        let bytes: [u8; STEP] = event.bytes(at);
        let half = |at: usize| {
            // SAFETY: SSE2 is part of x86-64, and `bytes` has 16 bytes from `at` on, which is 0 or 16.
            unsafe { _mm_movemask_epi8(_mm_loadu_si128(bytes.as_ptr().add(at).cast())) as u32 }
        };
        half(0) | half(16) << 16
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn high_bits(self, event: Padded, at: usize) -> u32 {
        event.bytes::<STEP>(at).iter().rev().fold(0, |bits, byte| bits << 1 | u32::from(byte >> 7))
    }

    #[inline(always)]
    fn sevens(self, word: u64) -> u64 {
        let bits = word & !HIGH;
        let pairs = (bits & 0x7f00_7f00_7f00_7f00) >> 1 | (bits & 0x007f_007f_007f_007f);
        let fours = (pairs & 0x3fff_0000_3fff_0000) >> 2 | (pairs & 0x0000_3fff_0000_3fff);
        (fours & 0x0fff_ffff_0000_0000) >> 4 | (fours & 0x0000_0000_0fff_ffff)
    }
}

/// AVX2 and BMI2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Wide(());

#[cfg(target_arch = "x86_64")]
impl Wide {
    /// # Safety
    /// The machine must have these instructions.
    #[inline(always)]
    pub unsafe fn new() -> Wide {
        Wide(())
    }
}

#[cfg(target_arch = "x86_64")]
impl Instructions for Wide {
    #[inline(always)]
    fn high_bits(self, event: Padded, at: usize) -> u32 {
        use std::arch::x86_64::{_mm256_loadu_si256, _mm256_movemask_epi8};
        let bytes: [u8; STEP] = event.bytes(at);
        // SAFETY: `bytes` has 32 bytes; there is a `Wide` only where the machine has the instructions.
        unsafe { _mm256_movemask_epi8(_mm256_loadu_si256(bytes.as_ptr().cast())) as u32 }
    }

    #[inline(always)]
    fn sevens(self, word: u64) -> u64 {
        // SAFETY: there is a `Wide` only where the machine has the instructions.
        unsafe { std::arch::x86_64::_pext_u64(word, !HIGH) }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::structure::Dispatch;

    #[test]
    fn both_ways_take_varints_apart_alike() {
        if !Dispatch::Avx2.available() {
            return;
        }
        // SAFETY: the machine has AVX2 and BMI2.
        let wide = unsafe { Wide::new() };
        let mut word = 0x0123_4567_89ab_cdef_u64;
        for bit in (0..64).cycle().take(10_000) {
            word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 1 << bit;
            for word in [word, word & HIGH, word | HIGH, word & !HIGH, u64::MAX >> bit] {
                assert_eq!(short_varint(wide, word), short_varint(Plain, word), "{word:x}");
            }
        }
    }
}
