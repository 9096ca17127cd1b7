//! AVX2: two halves of 32 bytes, classes by look-up in tables of 16.

use std::arch::x86_64::*;

use super::sse2::write_bits;
use super::{Instructions, Masks, Padded, Structure};

pub(crate) struct Avx2;

/// # Safety
/// As `Structure::find_with`.
#[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn find(structure: &mut Structure, text: Padded) -> bool {
    // SAFETY: as the caller holds.
    unsafe { structure.find_with::<Avx2>(text) }
}

impl Instructions for Avx2 {
    #[inline(always)]
    unsafe fn classify(block: *const u8) -> Masks {
        // SAFETY: the caller holds that the instructions are there and 64 bytes are readable.
        unsafe {
            let halves = [_mm256_loadu_si256(block.cast()), _mm256_loadu_si256(block.add(32).cast())];
            let bits = |each: fn(__m256i) -> __m256i| {
                let mask = |half: __m256i| _mm256_movemask_epi8(each(half)) as u32 as u64;
                mask(halves[0]) | mask(halves[1]) << 32
            };
            Masks {
                quote: bits(|half| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(b'"' as i8))),
                backslash: bits(|half| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(b'\\' as i8))),
                operator: bits(|half| {
                    // By the low half of the byte, of which the bit that tells brackets from braces is set.
                    let table = _mm256_setr_epi8(
                        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b':' as i8, b'{' as i8, b',' as i8, b'}' as i8, 0, 0, //
                        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b':' as i8, b'{' as i8, b',' as i8, b'}' as i8, 0, 0,
                    );
                    _mm256_cmpeq_epi8(_mm256_or_si256(half, _mm256_set1_epi8(0x20)), _mm256_shuffle_epi8(table, half))
                }),
                white: bits(|half| {
                    // A space at the place of another low half equals no byte that is looked up there.
                    let (s, tab, line, end) = (b' ' as i8, b'\t' as i8, b'\n' as i8, b'\r' as i8);
                    let table = _mm256_setr_epi8(
                        s, s, s, s, s, s, s, s, s, tab, line, s, s, end, s, s, //
                        s, s, s, s, s, s, s, s, s, tab, line, s, s, end, s, s,
                    );
                    _mm256_cmpeq_epi8(half, _mm256_shuffle_epi8(table, half))
                }),
                control: bits(|half| _mm256_cmpeq_epi8(_mm256_min_epu8(half, _mm256_set1_epi8(0x1F)), half)),
                high: bits(|half| half),
                inside: u64::MAX,
            }
        }
    }

    #[inline(always)]
    unsafe fn begins(text: *const u8, label: *const u8, mask: u32) -> bool {
        // SAFETY: the caller holds that the instructions are there and 32 bytes are readable at both.
        let same = unsafe { _mm256_cmpeq_epi8(_mm256_loadu_si256(text.cast()), _mm256_loadu_si256(label.cast())) };
        // SAFETY: as above.
        !unsafe { _mm256_movemask_epi8(same) } as u32 & mask == 0
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: the caller holds that the instruction is there.
        unsafe { _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1))) as u64 }
    }

    #[inline(always)]
    unsafe fn flatten(bits: u64, base: u32, out: *mut u32) -> usize {
        // SAFETY: as the caller holds.
        unsafe { write_bits(bits, base, out) }
    }
}
