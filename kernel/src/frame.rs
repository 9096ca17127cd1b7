//! Frames of a log segment: header and checksum of a segment header, a block or a mark. `docs/formats/log.md` describes the bytes.

use std::fmt;

/// 0xF5 occurs in no UTF-8 text, so that no record stored as it is can hold a frame by accident.
pub const MAGIC: [u8; 4] = [0xF5, b'H', b'W', b'L'];
pub const VERSION: u8 = 2;
pub const PRELUDE: usize = 32;
pub(crate) const CRC_AT: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Segment,
    Block,
    Mark,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            0 => Some(Kind::Segment),
            1 => Some(Kind::Block),
            2 => Some(Kind::Mark),
            _ => None,
        }
    }
}

/// What is wrong, and at which byte of the file (or of the bytes given).
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid {
    pub at: u64,
    pub reason: String,
    /// Whole and intact, but of a format that this kernel does not know.
    pub unknown: bool,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.reason)
    }
}

pub(crate) fn invalid<T>(at: u64, reason: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid { at, reason: reason.into(), unknown: false })
}

pub(crate) fn unknown<T>(at: u64, reason: String) -> Result<T, Invalid> {
    Err(Invalid { at, reason, unknown: true })
}

/// A frame's header, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    pub group: u64,
    pub header_length: usize,
    pub body_length: u64,
    pub crc: u32,
}

pub enum Parsed {
    Frame(Frame),
    /// So many bytes are needed from the frame's start on.
    Short(usize),
}

pub(crate) fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

pub(crate) fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from(u32_at(b, at)) | u64::from(u32_at(b, at + 4)) << 32
}

fn header_crc(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[..CRC_AT]), &header[CRC_AT + 4..])
}

/// A frame header around `content`, for a body of `body_length` bytes that follows.
pub fn encode_frame(kind: u8, group: u64, content: &[u8], body_length: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(PRELUDE + content.len());
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[VERSION, kind, 0, 0]);
    header.extend_from_slice(&((PRELUDE + content.len()) as u32).to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(&group.to_le_bytes());
    header.extend_from_slice(&body_length.to_le_bytes());
    header.extend_from_slice(content);
    let crc = header_crc(&header);
    header[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads the frame header at the start of `bytes`; `at` is only for what errors say.
pub fn parse_frame(bytes: &[u8], at: u64) -> Result<Parsed, Invalid> {
    if bytes.len() < PRELUDE {
        return Ok(Parsed::Short(PRELUDE));
    }
    if bytes[..4] != MAGIC {
        return invalid(at, "no frame begins here");
    }
    let header_length = u32_at(bytes, 8) as usize;
    if header_length < PRELUDE {
        return invalid(at, format!("a frame header of {header_length} bytes is shorter than {PRELUDE}"));
    }
    if bytes.len() < header_length {
        return Ok(Parsed::Short(header_length));
    }
    let crc = u32_at(bytes, CRC_AT);
    if header_crc(&bytes[..header_length]) != crc {
        return invalid(at, "the checksum of the frame header is wrong");
    }
    // The version comes after the checksum: a damaged byte must not look like a format of the future.
    if bytes[4] != VERSION {
        return unknown(at, format!("frame version {} is not known; this Headwater reads version {VERSION}", bytes[4]));
    }
    let Some(kind) = Kind::from_byte(bytes[5]) else {
        return unknown(at, format!("frame kind {} is not known; known are 0 to 2", bytes[5]));
    };
    let frame = Frame { kind, group: u64_at(bytes, 16), header_length, body_length: u64_at(bytes, 24), crc };
    Ok(Parsed::Frame(frame))
}

/// Where from `from` on the next valid frame header of `group` or a later one begins, if any.
pub fn find_later(bytes: &[u8], from: usize, group: u64) -> Option<usize> {
    let from = from.min(bytes.len());
    memchr::memmem::find_iter(&bytes[from..], &MAGIC)
        .map(|i| from + i)
        .find(|&at| matches!(parse_frame(&bytes[at..], at as u64), Ok(Parsed::Frame(frame)) if frame.group >= group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_frame_is_found_and_an_earlier_one_is_not() {
        let mut bytes = b"torn \xF5HWL torn".to_vec();
        let at = bytes.len();
        bytes.extend(encode_frame(2, 9, b"mark", 0));
        assert_eq!(find_later(&bytes, 1, 9), Some(at));
        assert_eq!(find_later(&bytes, 1, 10), None);
        assert_eq!(find_later(&bytes, at + 1, 0), None);
        assert_eq!(find_later(&bytes, usize::MAX, 0), None);
    }

    #[test]
    fn a_version_of_the_future_is_told_from_damage() {
        let mut frame = encode_frame(2, 0, b"", 0);
        frame[4] = 3;
        let damaged = parse_frame(&frame, 5).err().unwrap();
        let crc = header_crc(&frame);
        frame[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        let future = parse_frame(&frame, 5).err().unwrap();
        assert_eq!((damaged.unknown, future.unknown, future.at), (false, true, 5));
    }
}
