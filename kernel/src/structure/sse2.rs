//! What every x86-64 has: four quarters of 16 bytes, a comparison for each class.

use std::arch::x86_64::*;

use super::{Instructions, Masks};

pub(crate) struct Sse2;

/// Writes `base` plus the number of each bit that is set, eight at a time; how many.
///
/// # Safety
/// 64 positions must be writable at `out`.
#[inline(always)]
pub(super) unsafe fn write_bits(mut bits: u64, base: u32, out: *mut u32) -> usize {
    let count = bits.count_ones() as usize;
    let mut at = 0;
    while at < count {
        for place in at..at + 8 {
            // SAFETY: `place` is below the next multiple of 8 from `count`, which is at most 64. Past the last bit
            // `trailing_zeros` is 64: what is written there is not kept.
            unsafe { out.add(place).write(base.wrapping_add(bits.trailing_zeros())) };
            bits &= bits.wrapping_sub(1);
        }
        at += 8;
    }
    count
}

impl Instructions for Sse2 {
    #[inline(always)]
    unsafe fn begins(text: *const u8, label: *const u8, mask: u32) -> bool {
        let half = |at: usize| {
            // SAFETY: SSE2 is part of x86-64, and the caller holds that 32 bytes are readable at both.
            unsafe {
                let (text, label) = (_mm_loadu_si128(text.add(at).cast()), _mm_loadu_si128(label.add(at).cast()));
                _mm_movemask_epi8(_mm_cmpeq_epi8(text, label)) as u32
            }
        };
        !(half(0) | half(16) << 16) & mask == 0
    }

    #[inline(always)]
    unsafe fn classify(block: *const u8) -> Masks {
        // SAFETY: SSE2 is part of x86-64, and the caller holds that 64 bytes are readable.
        unsafe {
            let quarters: [__m128i; 4] = std::array::from_fn(|quarter| _mm_loadu_si128(block.add(16 * quarter).cast()));
            let bits = |each: fn(__m128i) -> __m128i| {
                let masks = quarters.map(|quarter| _mm_movemask_epi8(each(quarter)) as u16 as u64);
                masks[0] | masks[1] << 16 | masks[2] << 32 | masks[3] << 48
            };
            Masks {
                quote: bits(|quarter| is(quarter, b'"')),
                backslash: bits(|quarter| is(quarter, b'\\')),
                operator: bits(|quarter| {
                    // The bit that tells brackets from braces is set; the comma and the colon have it.
                    let braced = _mm_or_si128(quarter, _mm_set1_epi8(0x20));
                    let brackets = _mm_or_si128(is(braced, b'{'), is(braced, b'}'));
                    _mm_or_si128(brackets, _mm_or_si128(is(quarter, b','), is(quarter, b':')))
                }),
                white: bits(|quarter| {
                    let lines = _mm_or_si128(is(quarter, b'\n'), is(quarter, b'\r'));
                    _mm_or_si128(lines, _mm_or_si128(is(quarter, b' '), is(quarter, b'\t')))
                }),
                control: bits(|quarter| _mm_cmpeq_epi8(_mm_min_epu8(quarter, _mm_set1_epi8(0x1F)), quarter)),
                high: bits(|quarter| quarter),
                inside: u64::MAX,
            }
        }
    }

    #[inline(always)]
    unsafe fn prefix_xor(mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    #[inline(always)]
    unsafe fn flatten(bits: u64, base: u32, out: *mut u32) -> usize {
        // SAFETY: as the caller holds.
        unsafe { write_bits(bits, base, out) }
    }
}

#[inline(always)]
fn is(bytes: __m128i, byte: u8) -> __m128i {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8)) }
}
