//! The wire format: tags, varints, and fields one after the other.

/// Why bytes are no message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub reason: &'static str,
    pub at: usize,
}

pub const CUT_OFF: &str = "cut_off";
pub const INVALID_TAG: &str = "invalid_tag";
pub const INVALID_VARINT: &str = "invalid_varint";
pub const INVALID_UTF8: &str = "invalid_utf8";
pub const UNMATCHED_GROUP: &str = "unmatched_group";
pub const TOO_DEEP: &str = "too_deep";

/// Messages and groups nest no deeper, as in Google's own libraries.
pub const DEPTH_MAX: usize = 100;

/// What stands behind a tag. Bytes come with their offset.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8], usize),
    Group(&'a [u8], usize),
}

/// Reads a message. `base` is added to the offsets of errors.
pub struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

impl<'a> Wire<'a> {
    pub fn new(bytes: &'a [u8], base: usize) -> Wire<'a> {
        Wire { bytes, at: 0, base }
    }

    fn fail<T>(&self, reason: &'static str, at: usize) -> Result<T, Malformed> {
        Err(Malformed { reason, at: self.base + at })
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else { return self.fail(CUT_OFF, self.bytes.len()) };
            self.at += 1;
            if shift == 63 && byte > 1 {
                return self.fail(INVALID_VARINT, start);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.fail(INVALID_VARINT, start)
    }

    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn fixed64(&mut self) -> Result<u64, Malformed> {
        match self.bytes[self.at..].first_chunk() {
            Some(chunk) => {
                self.at += 8;
                Ok(u64::from_le_bytes(*chunk))
            }
            None => self.fail(CUT_OFF, self.bytes.len()),
        }
    }

    pub fn fixed32(&mut self) -> Result<u32, Malformed> {
        match self.bytes[self.at..].first_chunk() {
            Some(chunk) => {
                self.at += 4;
                Ok(u32::from_le_bytes(*chunk))
            }
            None => self.fail(CUT_OFF, self.bytes.len()),
        }
    }

    /// The next field: its number and what it holds; none at the end. `depth` is how deep this message nests.
    #[inline]
    pub fn field(&mut self, depth: usize) -> Result<Option<(u32, Raw<'a>)>, Malformed> {
        if self.is_empty() {
            return Ok(None);
        }
        let (number, kind, start) = self.tag()?;
        let raw = match kind {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(self.fixed64()?),
            5 => Raw::Fixed32(self.fixed32()?),
            2 => {
                let length = self.varint()?;
                let from = self.at;
                let Some(bytes) = usize::try_from(length).ok().and_then(|length| self.bytes[from..].get(..length)) else {
                    return self.fail(CUT_OFF, self.bytes.len());
                };
                self.at += bytes.len();
                Raw::Bytes(bytes, self.base + from)
            }
            3 => self.group(number, start, depth + 1)?,
            _ => return self.fail(UNMATCHED_GROUP, start),
        };
        Ok(Some((number, raw)))
    }

    fn tag(&mut self) -> Result<(u32, u32, usize), Malformed> {
        let start = self.at;
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >> 3 > 0 && tag & 7 < 6 && self.at - start <= 5 => Ok((tag >> 3, tag & 7, start)),
            _ => self.fail(INVALID_TAG, start),
        }
    }

    /// A group up to its end; groups inside it are passed over. Depth costs no stack.
    fn group(&mut self, number: u32, start: usize, depth: usize) -> Result<Raw<'a>, Malformed> {
        let from = self.at;
        let mut open = vec![number];
        loop {
            if depth + open.len() > DEPTH_MAX {
                return self.fail(TOO_DEEP, self.at);
            }
            if self.is_empty() {
                return self.fail(UNMATCHED_GROUP, start);
            }
            let (number, kind, at) = self.tag()?;
            match kind {
                0 => drop(self.varint()?),
                1 => drop(self.fixed64()?),
                5 => drop(self.fixed32()?),
                2 => {
                    let length = self.varint()?;
                    match usize::try_from(length).ok().and_then(|length| self.at.checked_add(length)) {
                        Some(end) if end <= self.bytes.len() => self.at = end,
                        _ => return self.fail(CUT_OFF, self.bytes.len()),
                    }
                }
                3 => open.push(number),
                _ if open.last() != Some(&number) => return self.fail(UNMATCHED_GROUP, at),
                _ => {
                    open.pop();
                    if open.is_empty() {
                        return Ok(Raw::Group(&self.bytes[from..at], self.base + from));
                    }
                }
            }
        }
    }
}

#[inline]
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Puts the length in front of what was appended since `start`.
pub fn close(start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    write_varint((end - start) as u64, out);
    let bytes = out.len() - end;
    let mut prefix = [0; 10];
    prefix[..bytes].copy_from_slice(&out[end..]);
    out.copy_within(start..end, start + bytes);
    out[start..start + bytes].copy_from_slice(&prefix[..bytes]);
}

pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
