//! Frames of a log segment, and the block: records of several partitions in ranges that are compressed and checked one by one.
//!
//! `docs/formats/log.md` describes the bytes. A range holds records of one partition, so that a reader of one partition
//! decompresses nothing of another's.

use std::cell::RefCell;
use std::fmt;

use crate::record::RecordRef;

/// 0xF5 occurs in no UTF-8 text, so that no record stored as it is can hold a frame by accident.
pub const MAGIC: [u8; 4] = [0xF5, b'H', b'W', b'L'];
pub const VERSION: u8 = 1;
pub const PRELUDE: usize = 32;
const CRC_AT: usize = 12;
const BLOCK_FIXED: usize = PRELUDE + 40;
const RANGE_FIXED: usize = 32;
/// A range is closed at this many bytes of records: what a reader decompresses at least.
const RANGE_BYTES: usize = 256 * 1024;
/// Below this zstd gains nothing worth its time.
const COMPRESS_BYTES_MIN: usize = 128;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

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

fn invalid<T>(at: u64, reason: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid { at, reason: reason.into(), unknown: false })
}

fn unknown<T>(at: u64, reason: String) -> Result<T, Invalid> {
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

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn u64_at(b: &[u8], at: usize) -> u64 {
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

/// Records of one partition, as the caller of `encode_block` gives them.
pub struct Batch<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub first_offset: u64,
    pub count: u32,
    pub data: &'a [u8],
}

struct Times {
    event: (i64, i64),
    received: (i64, i64),
}

impl Times {
    fn add(&mut self, record: &RecordRef<'_>) {
        if let Some(time) = record.event_time {
            self.event = (self.event.0.min(time), self.event.1.max(time));
        }
        self.received = (self.received.0.min(record.received_time), self.received.1.max(record.received_time));
    }
}

/// How many records `data` holds. Errs where it is not whole records of a known version.
pub fn count_records(data: &[u8]) -> Result<u32, Invalid> {
    let (mut at, mut count) = (0, 0u32);
    while at < data.len() {
        at = parse_record(data, at)?.1;
        count += 1;
    }
    Ok(count)
}

fn parse_record(data: &[u8], at: usize) -> Result<(RecordRef<'_>, usize), Invalid> {
    RecordRef::parse(data, at).or_else(|e| invalid(at as u64, e.to_string()))
}

/// One block: records of several partitions, those of one partition next to each other.
pub fn encode_block(group: u64, batches: &[Batch<'_>]) -> Result<Vec<u8>, Invalid> {
    let mut order: Vec<usize> = (0..batches.len()).collect();
    order.sort_by_key(|&i| (batches[i].topic, batches[i].partition, batches[i].first_offset));
    let mut times = Times { event: (i64::MAX, i64::MIN), received: (i64::MAX, i64::MIN) };
    let mut directory = Vec::new();
    let mut body = Vec::new();
    let mut ranges = 0u32;
    let mut joined: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < order.len() {
        let first = &batches[order[at]];
        joined.clear();
        let mut next_offset = first.first_offset;
        while at < order.len() {
            let batch = &batches[order[at]];
            if (batch.topic, batch.partition) != (first.topic, first.partition) {
                break;
            }
            if batch.first_offset != next_offset {
                return invalid(0, format!("offset {} follows {next_offset} in {}", batch.first_offset, batch.topic));
            }
            joined.extend_from_slice(batch.data);
            next_offset += u64::from(batch.count);
            at += 1;
        }
        let (mut start, mut offset) = (0, first.first_offset);
        while start < joined.len() {
            let (end, count) = next_range(&joined, start, &mut times)?;
            encode_range(first, offset, count, &joined[start..end], &mut directory, &mut body)?;
            offset += u64::from(count);
            start = end;
            ranges += 1;
        }
        if offset != next_offset {
            let got = offset - first.first_offset;
            return invalid(
                0,
                format!("{} records were said for {}, found {got}", next_offset - first.first_offset, first.topic),
            );
        }
    }
    let mut content = Vec::with_capacity(BLOCK_FIXED - PRELUDE + directory.len());
    content.extend_from_slice(&ranges.to_le_bytes());
    content.extend_from_slice(&[0; 4]);
    for time in [times.event.0, times.event.1, times.received.0, times.received.1] {
        content.extend_from_slice(&time.to_le_bytes());
    }
    content.extend_from_slice(&directory);
    let mut block = encode_frame(1, group, &content, body.len() as u64);
    block.extend_from_slice(&body);
    Ok(block)
}

fn next_range(data: &[u8], start: usize, times: &mut Times) -> Result<(usize, u32), Invalid> {
    let (mut at, mut count) = (start, 0);
    while at < data.len() && at - start < RANGE_BYTES {
        let (record, end) = parse_record(data, at)?;
        times.add(&record);
        at = end;
        count += 1;
    }
    Ok((at, count))
}

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends `raw` to `body`, compressed, where that saves a sixteenth at least. Gives the codec.
fn store(raw: &[u8], body: &mut Vec<u8>) -> u8 {
    if raw.len() >= COMPRESS_BYTES_MIN {
        let packed = COMPRESSOR.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = zstd::bulk::Compressor::new(1).ok();
            }
            slot.as_mut().and_then(|compressor| compressor.compress(raw).ok())
        });
        if let Some(packed) = packed.filter(|packed| packed.len() + raw.len() / 16 < raw.len()) {
            body.extend_from_slice(&packed);
            return ZSTD;
        }
    }
    body.extend_from_slice(raw);
    RAW
}

fn encode_range(
    batch: &Batch<'_>,
    offset: u64,
    count: u32,
    raw: &[u8],
    directory: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> Result<(), Invalid> {
    let (Ok(raw_length), Ok(topic_length)) = (u32::try_from(raw.len()), u16::try_from(batch.topic.len())) else {
        return invalid(0, "a record is over 4 GiB, or a topic's name over 65,535 bytes");
    };
    let start = body.len();
    let codec = store(raw, body);
    let stored = &body[start..];
    directory.extend_from_slice(&topic_length.to_le_bytes());
    directory.extend_from_slice(&[codec, 0]);
    directory.extend_from_slice(&batch.partition.to_le_bytes());
    directory.extend_from_slice(&offset.to_le_bytes());
    for number in [count, crc32c::crc32c(stored), stored.len() as u32, raw_length] {
        directory.extend_from_slice(&number.to_le_bytes());
    }
    directory.extend_from_slice(batch.topic.as_bytes());
    Ok(())
}

/// Where a range lies in the file, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub at: u64,
    pub stored: u32,
    pub raw: u32,
    pub codec: u8,
    pub crc: u32,
    pub first_offset: u64,
    pub count: u32,
}

impl Range {
    fn end(&self) -> u64 {
        self.first_offset.saturating_add(u64::from(self.count))
    }
}

/// Calls `each(topic, partition, range)` for every range of the block whose header is `header`; the frame begins at `at`.
pub fn directory<'a>(header: &'a [u8], at: u64, mut each: impl FnMut(&'a str, u32, Range)) -> Result<(), Invalid> {
    if header.len() < BLOCK_FIXED {
        return invalid(at, "a block header is cut off");
    }
    let mut entry = BLOCK_FIXED;
    let mut start = at.saturating_add(header.len() as u64);
    for _ in 0..u32_at(header, PRELUDE) {
        let Some(fixed) = header.get(entry..entry + RANGE_FIXED) else { return invalid(at, "a block's directory is cut off") };
        let name = entry + RANGE_FIXED;
        let topic = header.get(name..name + usize::from(u16_at(fixed, 0))).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(topic) = topic else { return invalid(at, "a topic in a block's directory is cut off or not UTF-8") };
        let range = Range {
            at: start,
            stored: u32_at(fixed, 24),
            raw: u32_at(fixed, 28),
            codec: fixed[2],
            crc: u32_at(fixed, 20),
            first_offset: u64_at(fixed, 8),
            count: u32_at(fixed, 16),
        };
        each(topic, u32_at(fixed, 4), range);
        start = start.saturating_add(u64::from(range.stored));
        entry = name + topic.len();
    }
    Ok(())
}

/// Checks the ranges of a whole block frame against their checksums.
pub fn check_block(frame: &[u8], at: u64) -> Result<(), Invalid> {
    let Parsed::Frame(found) = parse_frame(frame, at)? else { return invalid(at, "a block is cut off") };
    let mut result = Ok(());
    directory(&frame[..found.header_length], at, |topic, partition, range| {
        let start = (range.at - at) as usize;
        let whole = frame.get(start..start + range.stored as usize).is_some_and(|stored| crc32c::crc32c(stored) == range.crc);
        if !whole && result.is_ok() {
            result = invalid(range.at, format!("the checksum of records of {topic}/{partition} is wrong"));
        }
    })?;
    result
}

/// What a walk over frames found.
#[derive(Debug, Default)]
pub struct Found {
    pub ranges: Vec<Range>,
    /// Where the first frame begins that was not looked at.
    pub next: u64,
    /// Bytes that the frame at `next` needs for its header; 0 where the walk ended for another reason.
    pub need: usize,
}

/// Walks the frames of `bytes`, which begin at `base` in the file, up to `end`: ranges of the partition from `offset` on.
///
/// Stops when `raw_max` bytes of records are found. Only headers need to lie within `bytes`.
pub fn find(
    bytes: &[u8],
    base: u64,
    end: u64,
    (topic, partition): (&str, u32),
    offset: u64,
    raw_max: u64,
) -> Result<Found, Invalid> {
    let mut found = Found { next: base, ..Found::default() };
    let mut raw = 0;
    while found.next < end && raw < raw_max {
        let Some(rest) = bytes.get((found.next - base) as usize..).filter(|rest| !rest.is_empty()) else { break };
        let frame = match parse_frame(rest, found.next)? {
            Parsed::Frame(frame) => frame,
            Parsed::Short(need) => {
                found.need = need;
                break;
            }
        };
        if frame.kind == Kind::Block {
            directory(&rest[..frame.header_length], found.next, |name, number, range| {
                if number == partition && name == topic && range.end() > offset {
                    raw += u64::from(range.raw);
                    found.ranges.push(range);
                }
            })?;
        }
        found.next = found.next.saturating_add(frame.header_length as u64).saturating_add(frame.body_length);
    }
    Ok(found)
}

/// Checks and unpacks ranges that follow one another, from the record at `offset` on, up to `bytes_max` (one record at least).
///
/// Gives the records and the offset after them.
pub fn decode(ranges: &[(Range, &[u8])], offset: u64, bytes_max: usize) -> Result<(Vec<u8>, u64), Invalid> {
    let mut out = Vec::new();
    let mut next = offset;
    for (range, stored) in ranges {
        let scratch;
        let raw = match (crc32c::crc32c(stored) == range.crc, range.codec) {
            (true, RAW) => *stored,
            (true, ZSTD) => {
                scratch = unpack(stored, range)?;
                &scratch
            }
            (true, codec) => return unknown(range.at, format!("codec {codec} is not known; known are 0 and 1")),
            (false, _) => return invalid(range.at, "the checksum of records is wrong"),
        };
        if raw.len() != range.raw as usize || range.first_offset > next {
            return invalid(range.at, "records do not fit their directory");
        }
        let (mut at, mut index, mut start) = (0, range.first_offset, 0);
        let mut full = false;
        while at < raw.len() {
            let (_, end) = parse_record(raw, at).or_else(|e| invalid(range.at, e.reason))?;
            if index < next {
                start = end;
            } else if out.len() + end - start > bytes_max && (out.len() + at - start) > 0 {
                full = true;
                break;
            }
            at = end;
            index += 1;
        }
        out.extend_from_slice(&raw[start..at]);
        next = next.max(index);
        if full {
            break;
        }
        if index != range.end() {
            return invalid(range.at, "the number of records differs from the directory");
        }
    }
    Ok((out, next))
}

fn unpack(stored: &[u8], range: &Range) -> Result<Vec<u8>, Invalid> {
    let raw = DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut().and_then(|decompressor| decompressor.decompress(stored, range.raw as usize).ok())
    });
    raw.map_or_else(|| invalid(range.at, "compressed records cannot be unpacked"), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize, payload: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..count {
            let payload: Vec<u8> = (0..payload).map(|i| (i * i * (n + 1) / 7) as u8).collect();
            let record = RecordRef {
                payload: &payload,
                event_time: (n % 2 == 0).then_some(n as i64),
                received_time: n as i64,
                ..Default::default()
            };
            record.encode(&mut out).unwrap();
        }
        out
    }

    fn batch<'a>(topic: &'a str, first_offset: u64, count: u32, data: &'a [u8]) -> Batch<'a> {
        Batch { topic, partition: 0, first_offset, count, data }
    }

    fn read(block: &[u8], topic: &str, offset: u64, bytes_max: usize) -> (Vec<u8>, u64) {
        let found = find(block, 1000, 1000 + block.len() as u64, (topic, 0), offset, bytes_max as u64).unwrap();
        let ranges: Vec<_> = found
            .ranges
            .iter()
            .map(|range| {
                let start = (range.at - 1000) as usize;
                (*range, &block[start..start + range.stored as usize])
            })
            .collect();
        decode(&ranges, offset, bytes_max).unwrap()
    }

    #[test]
    fn records_come_back_by_partition_and_offset() {
        let (many, few) = (records(5000, 300), records(3, 10));
        let block = encode_block(7, &[batch("b", 10, 3, &few), batch("a", 100, 5000, &many), batch("b", 13, 3, &few)]).unwrap();
        assert!(check_block(&block, 0).is_ok());
        let (data, next) = read(&block, "a", 100, usize::MAX);
        assert!((data.as_slice(), next) == (many.as_slice(), 5100));
        assert_eq!(read(&block, "b", 10, usize::MAX), ([few.clone(), few.clone()].concat(), 16));
        let size = 48 + 300;
        assert_eq!(read(&block, "a", 4000, 10 * size + 1), (many[3900 * size..3910 * size].to_vec(), 4010));
        assert_eq!(read(&block, "a", 5099, 1), (many[4999 * size..].to_vec(), 5100));
        assert_eq!(read(&block, "c", 0, 1), (vec![], 0));
    }

    #[test]
    fn a_count_or_an_offset_that_does_not_fit_is_an_error() {
        let few = records(3, 10);
        assert!(encode_block(0, &[batch("a", 0, 2, &few)]).unwrap_err().reason.contains("found 3"));
        assert!(encode_block(0, &[batch("a", 0, 3, &few), batch("a", 4, 3, &few)]).is_err());
        assert!(encode_block(0, &[batch("a", 0, 3, &few[..few.len() - 1])]).is_err());
    }

    #[test]
    fn every_flipped_bit_is_an_error_and_none_a_panic() {
        let few = records(3, 200);
        let block = encode_block(0, &[batch("a", 0, 3, &few), batch("b", 0, 3, &few)]).unwrap();
        for bit in 0..block.len() * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(check_block(&damaged, 0).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn headers_that_lie_under_a_good_checksum_are_errors_and_no_panics() {
        let few = records(3, 200);
        let block = encode_block(0, &[batch("a", 0, 3, &few)]).unwrap();
        let Ok(Parsed::Frame(frame)) = parse_frame(&block, 0) else { panic!("no frame") };
        let content = &block[PRELUDE..frame.header_length];
        for at in 0..content.len() {
            for byte in [0, 1, 2, 0x7F, 0xFF] {
                let mut lie = content.to_vec();
                lie[at] = byte;
                let mut forged = encode_frame(1, 0, &lie, frame.body_length);
                forged.extend_from_slice(&block[frame.header_length..]);
                let _ = check_block(&forged, u64::MAX);
                let Ok(found) = find(&forged, 0, forged.len() as u64, ("a", 0), 1, 10_000) else { continue };
                let ranges: Vec<_> = found
                    .ranges
                    .iter()
                    .filter_map(|r| Some((*r, forged.get(r.at as usize..(r.at + u64::from(r.stored)) as usize)?)))
                    .filter(|(r, _)| r.raw < 1 << 20)
                    .collect();
                let _ = decode(&ranges, 1, 10_000);
            }
        }
        for cut in 0..content.len() {
            let forged = encode_frame(1, 0, &content[..cut], 0);
            assert!(check_block(&forged, 0).is_err());
        }
    }

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
        frame[4] = 2;
        let damaged = parse_frame(&frame, 5).err().unwrap();
        let crc = header_crc(&frame);
        frame[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        let future = parse_frame(&frame, 5).err().unwrap();
        assert_eq!((damaged.unknown, future.unknown, future.at), (false, true, 5));
    }
}
