//! Hashes of text.

use md5::{Digest, Md5};

/// Appends the MD5 digest as 32 lower-case hexadecimal digits.
pub fn md5(text: &[u8], out: &mut Vec<u8>) {
    for byte in Md5::digest(text) {
        for digit in [byte >> 4, byte & 15] {
            out.push(b"0123456789abcdef"[digit as usize]);
        }
    }
}

/// The lower 64 bits of the MD5 digest.
pub fn md5_number_lower(text: &[u8]) -> u64 {
    let digest = Md5::digest(text);
    digest[8..].iter().rev().fold(0, |number, byte| number << 8 | *byte as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_duckdbs() {
        let mut out = Vec::new();
        md5(b"a", &mut out);
        assert_eq!(out, b"0cc175b9c0f1b6a831c399e269772661");
        assert_eq!(md5_number_lower(b"a"), 7_000_413_967_451_013_937);
    }
}
