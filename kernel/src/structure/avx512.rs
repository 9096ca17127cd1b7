//! AVX-512: one table look-up classifies 64 bytes, one compression lists the bits.

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::{Instructions, KINDS, Masks, Padded, Structure};

const OPERATOR: u8 = 1;
const WHITE: u8 = 2;
const QUOTE: u8 = 4;
const BACKSLASH: u8 = 8;
const CONTROL: u8 = 16;

/// The classes of the bytes below 0x80.
static CLASSES: [u8; 128] = {
    let mut classes = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'{' | b'}' | b'[' | b']' | b':' | b',' => OPERATOR,
            b' ' => WHITE,
            b'\t' | b'\n' | b'\r' => WHITE | CONTROL,
            b'"' => QUOTE,
            b'\\' => BACKSLASH,
            0..0x20 => CONTROL,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

static NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut at = 0;
    while at < 64 {
        numbers[at] = at as u8;
        at += 1;
    }
    numbers
};

pub(crate) struct Avx512;

/// # Safety
/// As `Structure::find_with`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,pclmulqdq,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn find(structure: &mut Structure, text: Padded) -> bool {
    // SAFETY: as the caller holds.
    unsafe { structure.find_with::<Avx512>(text) }
}

impl Instructions for Avx512 {
    const KINDS: bool = true;

    #[inline(always)]
    unsafe fn kinds(block: *const u8, bits: u64, out: *mut u8) {
        // SAFETY: the caller holds that the instructions are there and 64 bytes are readable and writable; the table has 256 bytes,
        // of which the upper half is of bytes that are looked up as 0.
        unsafe {
            let bytes = _mm512_loadu_si512(block.cast());
            let low = _mm512_loadu_si512(KINDS.as_ptr().cast());
            let high_half = _mm512_loadu_si512(KINDS.as_ptr().add(64).cast());
            let kinds = _mm512_maskz_permutex2var_epi8(!_mm512_movepi8_mask(bytes), low, bytes, high_half);
            _mm512_storeu_si512(out.cast(), _mm512_maskz_compress_epi8(bits, kinds));
        }
    }

    #[inline(always)]
    unsafe fn classify(block: *const u8) -> Masks {
        // SAFETY: the caller holds that the instructions are there and 64 bytes are readable; the table has 128 bytes.
        unsafe {
            let bytes = _mm512_loadu_si512(block.cast());
            let low = _mm512_loadu_si512(CLASSES.as_ptr().cast());
            let high_half = _mm512_loadu_si512(CLASSES.as_ptr().add(64).cast());
            let high = _mm512_movepi8_mask(bytes);
            let classes = _mm512_maskz_permutex2var_epi8(!high, low, bytes, high_half);
            let of = |class: u8| _mm512_test_epi8_mask(classes, _mm512_set1_epi8(class as i8));
            Masks {
                quote: of(QUOTE),
                backslash: of(BACKSLASH),
                operator: of(OPERATOR),
                white: of(WHITE),
                control: of(CONTROL),
                high,
                inside: u64::MAX,
            }
        }
    }

    #[inline(always)]
    unsafe fn begins(text: *const u8, label: *const u8, mask: u32) -> bool {
        // SAFETY: the caller holds that the instructions are there and 32 bytes are readable at both.
        unsafe { _mm256_mask_cmpneq_epu8_mask(mask, _mm256_loadu_si256(text.cast()), _mm256_loadu_si256(label.cast())) == 0 }
    }

    #[inline(always)]
    unsafe fn prefix_xor(bits: u64) -> u64 {
        // SAFETY: the caller holds that the instruction is there.
        unsafe { Avx2::prefix_xor(bits) }
    }

    #[inline(always)]
    unsafe fn flatten(bits: u64, base: u32, out: *mut u32) -> usize {
        let count = bits.count_ones() as usize;
        // SAFETY: the caller holds that the instructions are there and 64 positions are writable.
        unsafe {
            let numbers = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(NUMBERS.as_ptr().cast()));
            let base = _mm512_set1_epi32(base as i32);
            let put = |at: usize, numbers: __m128i| {
                _mm512_storeu_si512(out.add(at).cast(), _mm512_add_epi32(_mm512_cvtepu8_epi32(numbers), base));
            };
            put(0, _mm512_castsi512_si128(numbers));
            if count > 16 {
                put(16, _mm512_extracti32x4_epi32::<1>(numbers));
                if count > 32 {
                    put(32, _mm512_extracti32x4_epi32::<2>(numbers));
                    put(48, _mm512_extracti32x4_epi32::<3>(numbers));
                }
            }
        }
        count
    }
}
