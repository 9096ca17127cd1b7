//! Chunks of a block: what is compressed and checked as one. `docs/formats/log.md` describes the bytes.

use std::cell::RefCell;

use crate::frame::{Invalid, invalid, u32_at, unknown};

/// Bytes of a chunk's entry in a block's header.
pub const ENTRY_BYTES: usize = 16;
/// What a block holds at most, unpacked: a damaged or forged length allocates no more.
pub const RAW_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Below this zstd gains nothing worth its time.
const COMPRESS_BYTES_MIN: usize = 128;
/// What a thread keeps for the next chunk.
const SCRATCH_BYTES_MAX: usize = 1024 * 1024;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub stored: u32,
    pub raw: u32,
    /// Of the bytes as stored.
    pub crc: u32,
    pub codec: u8,
}

impl Chunk {
    pub fn write(&self, out: &mut Vec<u8>) {
        for number in [self.stored, self.raw, self.crc, u32::from(self.codec)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// The entry that `bytes` begin with, all `ENTRY_BYTES` of it.
    pub fn read(bytes: &[u8]) -> Chunk {
        Chunk { stored: u32_at(bytes, 0), raw: u32_at(bytes, 4), crc: u32_at(bytes, 8), codec: bytes[12] }
    }

    /// Checks the stored bytes; `at` is where they lie in the file, for errors.
    pub fn check(&self, stored: &[u8], at: u64) -> Result<(), Invalid> {
        if stored.len() != self.stored as usize || crc32c::crc32c(stored) != self.crc {
            return invalid(at, "the checksum of records is wrong");
        }
        Ok(())
    }

    /// Checks and unpacks into `out`, which has the length of the raw bytes.
    pub fn unpack_into(&self, stored: &[u8], at: u64, out: &mut [u8]) -> Result<(), Invalid> {
        self.check(stored, at)?;
        if u64::from(self.raw) > RAW_BYTES_MAX {
            return invalid(at, format!("a chunk of {} bytes is larger than {RAW_BYTES_MAX}", self.raw));
        }
        let fits = match self.codec {
            RAW => {
                let fits = stored.len() == out.len();
                if fits {
                    out.copy_from_slice(stored);
                }
                fits
            }
            ZSTD => ZSTD_CONTEXTS.with_borrow_mut(|contexts| contexts.decompress(stored, out)) == Some(out.len()),
            codec => return unknown(at, format!("codec {codec} is not known; known are 0 and 1")),
        };
        if fits { Ok(()) } else { invalid(at, "compressed records cannot be unpacked") }
    }

    /// Checks and unpacks.
    pub fn unpack(&self, stored: &[u8], at: u64) -> Result<Vec<u8>, Invalid> {
        let claimed = u64::from(self.raw).min(RAW_BYTES_MAX) as usize;
        let mut out = vec![0; claimed];
        self.unpack_into(stored, at, &mut out)?;
        Ok(out)
    }
}

#[derive(Default)]
struct Contexts {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    scratch: Vec<u8>,
}

thread_local! {
    static ZSTD_CONTEXTS: RefCell<Contexts> = RefCell::default();
}

impl Contexts {
    /// What `raw` becomes, in the scratch buffer; `None` where that saves less than a sixteenth.
    fn compress(&mut self, raw: &[u8]) -> Option<&[u8]> {
        if raw.len() < COMPRESS_BYTES_MIN {
            return None;
        }
        if self.compressor.is_none() {
            self.compressor = compressor();
        }
        self.scratch.clear();
        self.scratch.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        let bytes = self.compressor.as_mut()?.compress_to_buffer(raw, &mut self.scratch).ok()?;
        (bytes + raw.len() / 16 < raw.len()).then_some(&self.scratch)
    }

    fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.decompressor.is_none() {
            self.decompressor = zstd::bulk::Decompressor::new().ok();
        }
        self.decompressor.as_mut()?.decompress_to_buffer(stored, out).ok()
    }
}

/// Level 1, but with the least length of a match that this level has for large inputs: records repeat in long runs, and chunks
/// are too small for zstd to choose it.
fn compressor() -> Option<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(1).ok()?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::MinMatch(7)).ok()?;
    Some(compressor)
}

/// Appends `raw` to `body`, compressed where that pays.
pub fn store(raw: &[u8], body: &mut Vec<u8>) -> Result<Chunk, Invalid> {
    if raw.len() as u64 > RAW_BYTES_MAX {
        return invalid(0, format!("a record in {} bytes is larger than a block may be: {RAW_BYTES_MAX}", raw.len()));
    }
    let start = body.len();
    let codec = ZSTD_CONTEXTS.with_borrow_mut(|contexts| {
        let codec = match contexts.compress(raw) {
            Some(compressed) => {
                body.extend_from_slice(compressed);
                ZSTD
            }
            None => {
                body.extend_from_slice(raw);
                RAW
            }
        };
        if contexts.scratch.capacity() > SCRATCH_BYTES_MAX {
            contexts.scratch = Vec::new();
        }
        codec
    });
    let stored = &body[start..];
    Ok(Chunk { stored: stored.len() as u32, raw: raw.len() as u32, crc: crc32c::crc32c(stored), codec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_and_their_damage_is_found() {
        for raw in [&b"short"[..], &[7; 5000], &(0..255).collect::<Vec<u8>>()] {
            let mut body = Vec::new();
            let chunk = store(raw, &mut body).unwrap();
            assert_eq!(chunk.unpack(&body, 0).unwrap(), raw);
            assert_eq!(chunk.codec == ZSTD, raw.len() == 5000);
            for bit in 0..body.len() * 8 {
                body[bit / 8] ^= 1 << (bit % 8);
                assert!(chunk.unpack(&body, 0).is_err());
                body[bit / 8] ^= 1 << (bit % 8);
            }
            for cut in 0..body.len() {
                assert!(chunk.unpack(&body[..cut], 0).is_err());
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        let mut body = Vec::new();
        let chunk = store(&[7; 5000], &mut body).unwrap();
        for raw in [0, 1, 4999, 5001, u32::MAX] {
            assert!(Chunk { raw, ..chunk }.unpack(&body, 0).is_err());
        }
        assert!(Chunk { codec: RAW, ..chunk }.unpack(&body, 0).is_err());
        assert!(Chunk { codec: 9, ..chunk }.unpack(&body, 0).err().unwrap().unknown);
    }
}
