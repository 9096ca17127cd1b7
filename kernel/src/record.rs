//! The codec of records: `docs/formats/record.md`.
//!
//! A batch is records one after the other. Reading borrows from the batch; writing appends to a buffer, header first, so that
//! a payload can be made in its place and its length be set afterwards.

use std::fmt;

/// The only version that this reader knows.
pub const VERSION: u8 = 1;
/// Bytes of the header before its texts, length field included.
pub const FIXED_BYTES: usize = 48;
/// What stands for "the event had no time".
const NO_TIME: i64 = i64::MIN;

/// One record of a batch. Times are ms since 1970, UTC. `origin_topic` is empty on an ingest record, which is its own origin;
/// `rule` is empty where no rule wrote the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RecordRef<'a> {
    pub tier: u8,
    pub event_time: Option<i64>,
    pub received_time: i64,
    pub origin_offset: u64,
    pub origin_partition: u32,
    pub snapshot: u32,
    pub key: &'a str,
    pub event_id: &'a str,
    pub origin_topic: &'a str,
    pub rule: &'a str,
    pub payload: &'a [u8],
}

/// Why bytes are not a batch of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The bytes end inside the record that begins at `at`.
    CutOff { at: usize, bytes: usize },
    /// A version that this reader does not know.
    Version { version: u8, at: usize },
    /// A text of the header is not UTF-8.
    Text { at: usize },
    /// A text of the header, or the record itself, is longer than its length field can say.
    TooLong { what: &'static str, bytes: usize, bytes_max: usize },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RecordError::CutOff { at, bytes } => write!(f, "a record is cut off at byte {at} of {bytes}"),
            RecordError::Version { version, at } => {
                write!(f, "record version {version} at byte {at} is not known; this Headwater reads version {VERSION}")
            }
            RecordError::Text { at } => write!(f, "a text in the header of the record at byte {at} is not UTF-8"),
            RecordError::TooLong { what, bytes, bytes_max } => {
                write!(f, "the {what} of a record has {bytes} bytes; valid are at most {bytes_max}")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// Reads a batch record by record: `(offset in the batch, record)`. It ends after the first error.
pub struct Records<'a> {
    batch: &'a [u8],
    at: usize,
}

/// The records of a batch.
pub fn records(batch: &[u8]) -> Records<'_> {
    Records { batch, at: 0 }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(usize, RecordRef<'a>), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.batch.len() {
            return None;
        }
        let at = self.at;
        match RecordRef::parse(self.batch, at) {
            Ok((record, end)) => {
                self.at = end;
                Some(Ok((at, record)))
            }
            Err(error) => {
                self.at = self.batch.len();
                Some(Err(error))
            }
        }
    }
}

/// Where the record that begins at `at` ends. Looks at its length and version only: for bytes that were checked when they came in.
pub fn end_of(batch: &[u8], at: usize) -> Result<usize, RecordError> {
    let cut_off = RecordError::CutOff { at, bytes: batch.len() };
    let (header, _) = batch.get(at..).and_then(<[u8]>::split_first_chunk::<FIXED_BYTES>).ok_or(cut_off)?;
    if header[4] != VERSION {
        return Err(RecordError::Version { version: header[4], at });
    }
    let bytes = 4 + u32_at(header, 0) as usize;
    if bytes < FIXED_BYTES || bytes > batch.len() - at {
        return Err(cut_off);
    }
    Ok(at + bytes)
}

impl<'a> RecordRef<'a> {
    /// The record that begins at `at`, and where it ends.
    pub fn parse(batch: &'a [u8], at: usize) -> Result<(Self, usize), RecordError> {
        let cut_off = RecordError::CutOff { at, bytes: batch.len() };
        let rest = batch.get(at..).ok_or(cut_off)?;
        let (header, _) = rest.split_first_chunk::<FIXED_BYTES>().ok_or(cut_off)?;
        if header[4] != VERSION {
            return Err(RecordError::Version { version: header[4], at });
        }
        let end = 4 + u32_at(header, 0) as usize;
        let mut texts = rest.get(FIXED_BYTES..end).ok_or(cut_off)?;
        let mut text = |length: u16| {
            let (text, after) = texts.split_at_checked(length as usize).ok_or(cut_off)?;
            texts = after;
            simdutf8::basic::from_utf8(text).map_err(|_| RecordError::Text { at })
        };
        let (key, event_id) = (text(u16_at(header, 6))?, text(u16_at(header, 40))?);
        let (origin_topic, rule) = (text(u16_at(header, 42))?, text(u16_at(header, 44))?);
        let event_time = u64_at(header, 8) as i64;
        let record = RecordRef {
            tier: header[5],
            event_time: (event_time != NO_TIME).then_some(event_time),
            received_time: u64_at(header, 16) as i64,
            origin_offset: u64_at(header, 24),
            origin_partition: u32_at(header, 32),
            snapshot: u32_at(header, 36),
            key,
            event_id,
            origin_topic,
            rule,
            payload: texts,
        };
        Ok((record, at + end))
    }

    /// Appends the header and its texts, not the payload. Append the payload, then call `finish` with what this returns.
    /// On an error nothing is appended.
    pub fn begin(&self, out: &mut Vec<u8>) -> Result<Begun, RecordError> {
        let key = length("key", self.key)?;
        let event_id = length("event_id", self.event_id)?;
        let topic = length("origin topic", self.origin_topic)?;
        let rule = length("rule name", self.rule)?;
        let start = out.len();
        let mut header = [0; FIXED_BYTES];
        header[4] = VERSION;
        header[5] = self.tier;
        header[6..8].copy_from_slice(&key);
        header[8..16].copy_from_slice(&self.event_time.unwrap_or(NO_TIME).to_le_bytes());
        header[16..24].copy_from_slice(&self.received_time.to_le_bytes());
        header[24..32].copy_from_slice(&self.origin_offset.to_le_bytes());
        header[32..36].copy_from_slice(&self.origin_partition.to_le_bytes());
        header[36..40].copy_from_slice(&self.snapshot.to_le_bytes());
        header[40..42].copy_from_slice(&event_id);
        header[42..44].copy_from_slice(&topic);
        header[44..46].copy_from_slice(&rule);
        out.extend_from_slice(&header);
        for text in [self.key, self.event_id, self.origin_topic, self.rule] {
            out.extend_from_slice(text.as_bytes());
        }
        Ok(Begun { start })
    }

    /// Appends the whole record.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let begun = self.begin(out)?;
        out.extend_from_slice(self.payload);
        begun.finish(out)
    }
}

/// A record whose header stands in a buffer and whose payload is being appended.
#[must_use]
pub struct Begun {
    start: usize,
}

impl Begun {
    /// Sets the length, now that the payload is there. Where it is too long, the record is taken back.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.finish_without(out, 0)
    }

    /// As `finish`, but the last `missing` bytes of the payload do not stand in the buffer.
    pub fn finish_without(self, out: &mut Vec<u8>, missing: usize) -> Result<(), RecordError> {
        let bytes = out.len() + missing - self.start - 4;
        let Ok(length) = u32::try_from(bytes) else {
            out.truncate(self.start);
            return Err(RecordError::TooLong { what: "whole", bytes, bytes_max: u32::MAX as usize });
        };
        out[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

fn length(what: &'static str, text: &str) -> Result<[u8; 2], RecordError> {
    match u16::try_from(text.len()) {
        Ok(length) => Ok(length.to_le_bytes()),
        Err(_) => Err(RecordError::TooLong { what, bytes: text.len(), bytes_max: u16::MAX as usize }),
    }
}

#[inline(always)]
fn u16_at(header: &[u8; FIXED_BYTES], at: usize) -> u16 {
    u16::from_le_bytes([header[at], header[at + 1]])
}

#[inline(always)]
fn u32_at(header: &[u8; FIXED_BYTES], at: usize) -> u32 {
    u16_at(header, at) as u32 | (u16_at(header, at + 2) as u32) << 16
}

#[inline(always)]
fn u64_at(header: &[u8; FIXED_BYTES], at: usize) -> u64 {
    u32_at(header, at) as u64 | (u32_at(header, at + 4) as u64) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> RecordRef<'static> {
        RecordRef {
            tier: 2,
            event_time: Some(-1),
            received_time: 1_760_000_000_000,
            origin_offset: u64::MAX,
            origin_partition: 7,
            snapshot: 9,
            key: "dévice",
            event_id: "e-1",
            origin_topic: "app_events",
            rule: "likes",
            payload: b"{\"a\":1}",
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let records_in = [example(), RecordRef::default(), RecordRef { event_time: None, ..example() }];
        let mut batch = Vec::new();
        for record in &records_in {
            record.encode(&mut batch).unwrap();
        }
        let read: Vec<_> = records(&batch).map(|item| item.unwrap().1).collect();
        assert_eq!(read, records_in);
    }

    #[test]
    fn the_bytes_are_those_of_the_page() {
        let mut batch = Vec::new();
        RecordRef { payload: b"{}", key: "k", ..RecordRef::default() }.encode(&mut batch).unwrap();
        let mut expected = vec![47, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80];
        expected.resize(FIXED_BYTES, 0);
        expected.extend_from_slice(b"k{}");
        let no_time = RecordRef { event_time: None, ..RecordRef::default() };
        assert_eq!(no_time.event_time, None);
        assert_eq!(batch, expected);
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut batch = Vec::new();
        example().encode(&mut batch).unwrap();
        for bytes in 1..batch.len() {
            assert_eq!(records(&batch[..bytes]).collect::<Result<Vec<_>, _>>(), Err(RecordError::CutOff { at: 0, bytes }));
        }
    }

    #[test]
    fn a_damaged_header_is_an_error() {
        let mut batch = Vec::new();
        example().encode(&mut batch).unwrap();
        for (at, byte, expected) in [
            (4, 2, RecordError::Version { version: 2, at: 0 }),
            (7, 1, RecordError::CutOff { at: 0, bytes: batch.len() }),
            (0, 47, RecordError::CutOff { at: 0, bytes: batch.len() }),
            (48, 0xFF, RecordError::Text { at: 0 }),
        ] {
            let mut damaged = batch.clone();
            damaged[at] = byte;
            assert_eq!(records(&damaged).next(), Some(Err(expected)), "byte {at}");
        }
        batch[0] = 10;
        assert_eq!(RecordRef::parse(&batch, 0), Err(RecordError::CutOff { at: 0, bytes: batch.len() }));
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_and_nothing_is_written() {
        let long = "x".repeat(65_536);
        let mut out = Vec::new();
        let error = RecordRef { rule: &long, ..example() }.encode(&mut out).unwrap_err();
        assert_eq!(error.to_string(), "the rule name of a record has 65536 bytes; valid are at most 65535");
        assert!(out.is_empty());
    }
}
