//! No instruction that a machine may lack.

use super::{Instructions, Masks};

pub(crate) struct Scalar;

impl Instructions for Scalar {
    unsafe fn begins(text: *const u8, label: *const u8, mask: u32) -> bool {
        // SAFETY: the caller holds that 32 bytes are readable at both.
        (0..32).all(|at| mask >> at & 1 == 0 || unsafe { *text.add(at) == *label.add(at) })
    }

    unsafe fn classify(block: *const u8) -> Masks {
        // SAFETY: the caller holds that 64 bytes are readable.
        let bytes = unsafe { block.cast::<[u8; 64]>().read_unaligned() };
        let bits = |each: fn(u8) -> bool| bytes.iter().rev().fold(0, |bits, byte| bits << 1 | each(*byte) as u64);
        Masks {
            quote: bits(|byte| byte == b'"'),
            backslash: bits(|byte| byte == b'\\'),
            operator: bits(|byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',')),
            white: bits(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')),
            control: bits(|byte| byte < 0x20),
            high: bits(|byte| byte >= 0x80),
            inside: u64::MAX,
        }
    }

    unsafe fn prefix_xor(mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }

    unsafe fn flatten(mut bits: u64, base: u32, out: *mut u32) -> usize {
        let count = bits.count_ones() as usize;
        for place in 0..count {
            // SAFETY: the caller holds that 64 positions are writable.
            unsafe { out.add(place).write(base + bits.trailing_zeros()) };
            bits &= bits - 1;
        }
        count
    }
}
