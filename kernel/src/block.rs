//! Reading blocks: records of several partitions, in ranges that lie in chunks which are compressed and checked one by one.
//!
//! `docs/formats/log.md` describes the bytes; `pack` writes them. Who reads one partition unpacks the chunks that hold
//! records of it and no others.

use crate::chunk::{Chunk, ENTRY_BYTES, RAW_BYTES_MAX};
use crate::frame::{Invalid, Kind, PRELUDE, Parsed, invalid, parse_frame, u16_at, u32_at, u64_at};
use crate::record::{self, RecordRef};

const FIXED: usize = PRELUDE + 48;
const RANGE_BYTES: usize = 32;

/// How many records `data` holds. Errs where it is not whole records of a known version.
pub fn count_records(data: &[u8]) -> Result<u32, Invalid> {
    let (mut at, mut count) = (0, 0u32);
    while at < data.len() {
        at = RecordRef::parse(data, at).or_else(|e| invalid(at as u64, e.to_string()))?.1;
        count += 1;
    }
    Ok(count)
}

/// The index of the first record that was received at `time` or later; the number of records where none was.
pub fn index_at_time(data: &[u8], time: i64) -> Result<u32, Invalid> {
    let (mut at, mut index) = (0, 0u32);
    while at < data.len() {
        let (record, end) = RecordRef::parse(data, at).or_else(|e| invalid(at as u64, e.to_string()))?;
        if record.received_time >= time {
            break;
        }
        at = end;
        index += 1;
    }
    Ok(index)
}

/// Where a range lies in the file, and what it holds: `bytes` from `start` on of a chunk, once that is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub at: u64,
    pub chunk: Chunk,
    pub start: u32,
    pub bytes: u32,
    pub first_offset: u64,
    pub count: u32,
}

impl Range {
    fn end(&self) -> u64 {
        self.first_offset.saturating_add(u64::from(self.count))
    }

    fn is_whole_chunk(&self) -> bool {
        (self.start, self.bytes) == (0, self.chunk.raw)
    }

    fn of<'a>(&self, raw: &'a [u8]) -> Result<&'a [u8], Invalid> {
        let start = self.start as usize;
        raw.get(start..start.saturating_add(self.bytes as usize))
            .map_or_else(|| invalid(self.at, "records do not fit their chunk"), Ok)
    }

    /// Checks that `records` are as many as the directory says.
    fn check_count(&self, records: &[u8]) -> Result<(), Invalid> {
        let (mut at, mut count) = (0, 0);
        while at < records.len() {
            at = self.record_end(records, at)?;
            count += 1;
        }
        if count == self.count { Ok(()) } else { invalid(self.at, "the number of records differs from the directory") }
    }

    fn record_end(&self, records: &[u8], at: usize) -> Result<usize, Invalid> {
        record::end_of(records, at).or_else(|e| invalid(self.at, e.to_string()))
    }
}

/// A range as the directory has it.
struct Entry {
    topic: usize,
    partition: u32,
    first_offset: u64,
    count: u32,
    chunk: usize,
    start: u32,
    bytes: u32,
}

/// The directory of a block: its ranges in the order of topic, partition and offset.
pub struct Directory<'a> {
    at: u64,
    header: &'a [u8],
    chunks: &'a [u8],
    ranges: &'a [u8],
    topics: Vec<&'a str>,
}

impl<'a> Directory<'a> {
    /// Of the block whose header is `header`; the frame begins at `at`.
    pub fn parse(header: &'a [u8], at: u64) -> Result<Self, Invalid> {
        let Some(tables) = header.get(FIXED..) else { return invalid(at, "a block header is cut off") };
        let length = |field: usize, entry: usize| (u32_at(header, PRELUDE + field) as usize).saturating_mul(entry);
        let parts = tables.split_at_checked(length(4, ENTRY_BYTES)).and_then(|(chunks, rest)| {
            let (ranges, topics) = rest.split_at_checked(length(0, RANGE_BYTES))?;
            Some((chunks, ranges, topics))
        });
        let Some((chunks, ranges, mut names)) = parts else { return invalid(at, "a block's directory is cut off") };
        let mut topics = Vec::new();
        for _ in 0..u32_at(header, PRELUDE + 8) {
            let name = names.split_at_checked(2).and_then(|(length, rest)| rest.split_at_checked(u16_at(length, 0).into()));
            let text = name.and_then(|(text, rest)| Some((std::str::from_utf8(text).ok()?, rest)));
            let Some((text, rest)) = text else {
                return invalid(at, "a topic in a block's directory is cut off or not UTF-8");
            };
            topics.push(text);
            names = rest;
        }
        if !names.is_empty() {
            return invalid(at, "something follows a block's directory");
        }
        Ok(Directory { at, header, chunks, ranges, topics })
    }

    /// Least and greatest event time, least and greatest received time, in ms; least > greatest where no record has one.
    pub fn times(&self) -> [i64; 4] {
        [48, 56, 64, 72].map(|at| u64_at(self.header, at) as i64)
    }

    pub fn len(&self) -> usize {
        self.ranges.len() / RANGE_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn entry(&self, i: usize) -> Entry {
        let bytes = &self.ranges[i * RANGE_BYTES..][..RANGE_BYTES];
        Entry {
            topic: u32_at(bytes, 0) as usize,
            partition: u32_at(bytes, 4),
            first_offset: u64_at(bytes, 8),
            count: u32_at(bytes, 16),
            chunk: u32_at(bytes, 20) as usize,
            start: u32_at(bytes, 24),
            bytes: u32_at(bytes, 28),
        }
    }

    /// The chunks with their places in the file.
    fn chunks(&self) -> Vec<(u64, Chunk)> {
        let mut at = self.at.saturating_add(self.header.len() as u64);
        let mut chunks = Vec::with_capacity(self.chunks.len() / ENTRY_BYTES);
        for bytes in self.chunks.chunks_exact(ENTRY_BYTES) {
            let chunk = Chunk::read(bytes);
            chunks.push((at, chunk));
            at = at.saturating_add(u64::from(chunk.stored));
        }
        chunks
    }

    fn range(&self, entry: &Entry, chunks: &[(u64, Chunk)]) -> Result<Range, Invalid> {
        let Some(&(at, chunk)) = chunks.get(entry.chunk) else {
            return invalid(self.at, format!("a range lies in chunk {} of {}", entry.chunk, chunks.len()));
        };
        let &Entry { start, bytes, first_offset, count, .. } = entry;
        if start.checked_add(bytes).is_none_or(|end| end > chunk.raw) || u64::from(chunk.raw) > RAW_BYTES_MAX {
            return invalid(self.at, "a range does not fit its chunk");
        }
        if first_offset.checked_add(u64::from(count)).is_none() || count == 0 {
            return invalid(self.at, format!("a range cannot have {count} records from offset {first_offset} on"));
        }
        Ok(Range { at, chunk, start, bytes, first_offset, count })
    }

    /// The numbers of a topic's ranges.
    fn of_topic(&self, topic: &str) -> std::ops::Range<usize> {
        match self.topics.binary_search(&topic) {
            Ok(number) => self.first(number, 0)..self.first(number + 1, 0),
            Err(_) => 0..0,
        }
    }

    /// The first range of that topic and partition, or of a later one.
    fn first(&self, topic: usize, partition: u32) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let entry = self.entry(middle);
            if (entry.topic, entry.partition) < (topic, partition) { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// The ranges of one partition that hold records from `offset` on.
    pub fn of(&self, topic: &str, partition: u32, offset: u64) -> Result<Vec<Range>, Invalid> {
        let Ok(number) = self.topics.binary_search(&topic) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut chunks = Vec::new();
        for i in self.first(number, partition)..self.len() {
            let entry = self.entry(i);
            if (entry.topic, entry.partition) != (number, partition) {
                break;
            }
            if chunks.is_empty() {
                chunks = self.chunks();
            }
            let range = self.range(&entry, &chunks)?;
            if range.end() > offset {
                found.push(range);
            }
        }
        Ok(found)
    }

    /// (topic, partition, first offset, records) of each partition in the block. Checks the order and every range.
    pub fn partitions(&self) -> Result<Vec<(&'a str, u32, u64, u32)>, Invalid> {
        let chunks = self.chunks();
        let mut found: Vec<(&'a str, u32, u64, u32)> = Vec::with_capacity(self.len());
        let mut before: Option<Entry> = None;
        for i in 0..self.len() {
            let entry = self.entry(i);
            let Some(topic) = self.topics.get(entry.topic) else {
                return invalid(self.at, format!("a range is of topic {} of {}", entry.topic, self.topics.len()));
            };
            let range = self.range(&entry, &chunks)?;
            let place = |entry: &Entry| (entry.topic, entry.partition);
            match (&before, found.last_mut()) {
                (Some(before), _) if place(before) > place(&entry) => {
                    return invalid(self.at, "the ranges of a block are not in order");
                }
                (Some(before), Some(last)) if place(before) == place(&entry) => {
                    let count = last.3.checked_add(range.count);
                    match count.filter(|_| last.2 + u64::from(last.3) == range.first_offset) {
                        Some(count) => last.3 = count,
                        None => return invalid(self.at, format!("offset {} does not follow in {topic}", range.first_offset)),
                    }
                }
                _ => found.push((*topic, entry.partition, range.first_offset, range.count)),
            }
            before = Some(entry);
        }
        Ok(found)
    }
}

/// A whole block frame, its header checked: its directory and its body.
fn whole(frame: &[u8], at: u64) -> Result<(Directory<'_>, &[u8]), Invalid> {
    let Parsed::Frame(found) = parse_frame(frame, at)? else { return invalid(at, "a block is cut off") };
    if found.kind != Kind::Block {
        return invalid(at, "a block does not begin here");
    }
    let (header, body) = frame.split_at(found.header_length);
    match usize::try_from(found.body_length).ok().and_then(|length| body.get(..length)) {
        Some(body) => Ok((Directory::parse(header, at)?, body)),
        None => invalid(at, "a block is cut off"),
    }
}

/// Checks the directory and the chunks of a whole block frame against their checksums.
pub fn check_block(frame: &[u8], at: u64) -> Result<(), Invalid> {
    let (directory, mut body) = whole(frame, at)?;
    directory.partitions()?;
    for (at, chunk) in directory.chunks() {
        let Some((stored, rest)) = body.split_at_checked(chunk.stored as usize) else {
            return invalid(at, "records are cut off");
        };
        chunk.check(stored, at)?;
        body = rest;
    }
    if body.is_empty() { Ok(()) } else { invalid(at, "something follows a block's last chunk") }
}

/// What a walk over frames found.
#[derive(Debug, Default)]
pub struct Found {
    pub ranges: Vec<Range>,
    /// Where the first frame begins that was not looked at; the end of the walk where no more is wanted.
    pub next: u64,
    /// Bytes that the frame at `next` needs for its header; 0 where the walk ended for another reason.
    pub need: usize,
}

/// How much a walk may find: it stops before a range by which all would be more, unless that is the first one.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub raw_max: u64,
    /// What was found before this walk.
    pub raw: u64,
}

/// Walks the frames of `bytes`, which begin at `base` in the file, up to `end`: ranges of the partition from `offset` on.
///
/// Only headers need to lie within `bytes`.
pub fn find(
    bytes: &[u8],
    base: u64,
    end: u64,
    (topic, partition): (&str, u32),
    offset: u64,
    mut budget: Budget,
) -> Result<Found, Invalid> {
    let mut found = Found { next: base, ..Found::default() };
    while found.next < end {
        let Some(rest) = bytes.get((found.next - base) as usize..).filter(|rest| !rest.is_empty()) else { break };
        let frame = match parse_frame(rest, found.next)? {
            Parsed::Frame(frame) => frame,
            Parsed::Short(need) => {
                found.need = need;
                break;
            }
        };
        if frame.kind == Kind::Block {
            let directory = Directory::parse(&rest[..frame.header_length], found.next)?;
            for range in directory.of(topic, partition, offset)? {
                let raw = budget.raw.saturating_add(u64::from(range.bytes));
                if budget.raw > 0 && raw > budget.raw_max {
                    found.next = end;
                    return Ok(found);
                }
                budget.raw = raw;
                found.ranges.push(range);
            }
        }
        found.next = found.next.saturating_add(frame.header_length as u64).saturating_add(frame.body_length);
    }
    Ok(found)
}

/// Records that a read wants from a range.
enum Wanted<'a> {
    /// All of them; they are unpacked when it is known where to.
    All(Range, &'a [u8]),
    Some(Vec<u8>),
}

/// A read of ranges that follow one another: how long it is, before most of it is unpacked.
pub struct Reading<'a> {
    wanted: Vec<Wanted<'a>>,
    pub length: usize,
    pub next: u64,
}

/// Reads ranges, each with the stored bytes of its chunk, from the record at `offset` on, up to `bytes_max` (one record at least).
pub fn decode<'a>(ranges: &[(Range, &'a [u8])], offset: u64, bytes_max: usize) -> Result<Reading<'a>, Invalid> {
    let mut reading = Reading { wanted: Vec::new(), length: 0, next: offset };
    for (range, stored) in ranges {
        if range.first_offset > reading.next || range.first_offset.checked_add(u64::from(range.count)).is_none() {
            return invalid(range.at, "records do not fit their directory");
        }
        if range.end() <= reading.next {
            continue;
        }
        let length = reading.length.saturating_add(range.bytes as usize);
        if range.first_offset == reading.next && length <= bytes_max {
            reading.wanted.push(Wanted::All(*range, stored));
            (reading.length, reading.next) = (length, range.end());
        } else if !reading.take_some(range, stored, bytes_max)? {
            break;
        }
    }
    Ok(reading)
}

impl Reading<'_> {
    /// Takes what fits of a range that is not wanted from its start or may not fit; whether there was room for all of it.
    fn take_some(&mut self, range: &Range, stored: &[u8], bytes_max: usize) -> Result<bool, Invalid> {
        let raw = range.chunk.unpack(stored, range.at)?;
        let records = range.of(&raw)?;
        let (mut at, mut index, mut start) = (0, range.first_offset, 0);
        let mut full = false;
        while at < records.len() {
            let end = range.record_end(records, at)?;
            if index < self.next {
                start = end;
            } else if self.length.saturating_add(end - start) > bytes_max && self.length + at - start > 0 {
                full = true;
                break;
            }
            at = end;
            index += 1;
        }
        if !full && index != range.end() {
            return invalid(range.at, "the number of records differs from the directory");
        }
        let some = records[start..at].to_vec();
        self.length += some.len();
        self.next = self.next.max(index);
        self.wanted.push(Wanted::Some(some));
        Ok(!full)
    }

    /// Checks and unpacks everything into `out`, which has `length` bytes.
    pub fn fill(&self, out: &mut [u8]) -> Result<(), Invalid> {
        let mut rest = out;
        // Ranges of a partition may share a chunk, with those of others between them.
        let mut shared: Option<(u64, Vec<u8>)> = None;
        for wanted in &self.wanted {
            let length = match wanted {
                Wanted::All(range, _) => range.bytes as usize,
                Wanted::Some(records) => records.len(),
            };
            let Some((records, after)) = rest.split_at_mut_checked(length) else { return invalid(0, "there is too little room") };
            rest = after;
            match wanted {
                Wanted::Some(some) => records.copy_from_slice(some),
                Wanted::All(range, stored) => {
                    if range.is_whole_chunk() {
                        range.chunk.unpack_into(stored, range.at, records)?;
                    } else {
                        if shared.as_ref().is_none_or(|(at, _)| *at != range.at) {
                            shared = Some((range.at, range.chunk.unpack(stored, range.at)?));
                        }
                        let raw = shared.as_ref().map_or(&[][..], |(_, raw)| raw);
                        records.copy_from_slice(range.of(raw)?);
                    }
                    range.check_count(records)?;
                }
            }
        }
        Ok(())
    }
}

/// Records of one partition in a block: `bytes` of the unpacked chunk `chunk`.
pub struct Part {
    pub partition: u32,
    pub first_offset: u64,
    pub count: u32,
    chunk: usize,
    bytes: std::ops::Range<usize>,
}

/// Records of many partitions of one block, with the chunks that they lie in.
pub struct Parts {
    pub parts: Vec<Part>,
    chunks: Vec<Vec<u8>>,
}

impl Parts {
    pub fn records(&self, part: &Part) -> &[u8] {
        self.chunks.get(part.chunk).and_then(|raw| raw.get(part.bytes.clone())).unwrap_or_default()
    }
}

/// A block that is read for many partitions of one topic at once, each of its chunks unpacked once.
pub struct Split<'a> {
    directory: Directory<'a>,
    body: &'a [u8],
    topic: std::ops::Range<usize>,
    wanted: Vec<(usize, u64)>,
}

impl<'a> Split<'a> {
    /// Of a whole block frame that begins at `at`.
    pub fn new(frame: &'a [u8], at: u64, topic: &str) -> Result<Self, Invalid> {
        let (directory, body) = whole(frame, at)?;
        let topic = directory.of_topic(topic);
        Ok(Split { directory, body, topic, wanted: Vec::new() })
    }

    /// Asks for each partition from which offset on its records are wanted, if any are.
    pub fn choose<E>(&mut self, mut from: impl FnMut(u32) -> Result<Option<u64>, E>) -> Result<(), E> {
        let mut last = None;
        for i in self.topic.clone() {
            let Entry { partition, first_offset, count, .. } = self.directory.entry(i);
            let offset = match last {
                Some((same, offset)) if same == partition => offset,
                _ => from(partition)?,
            };
            last = Some((partition, offset));
            if let Some(offset) = offset.filter(|&offset| first_offset.saturating_add(u64::from(count)) > offset) {
                self.wanted.push((i, offset));
            }
        }
        Ok(())
    }

    /// Checks and unpacks what was chosen.
    pub fn unpack(&self) -> Result<Parts, Invalid> {
        let chunks = self.directory.chunks();
        let mut unpacked: Vec<Vec<u8>> = vec![Vec::new(); chunks.len()];
        let mut raw_bytes = 0;
        let mut parts = Vec::with_capacity(self.wanted.len());
        for &(i, offset) in &self.wanted {
            let entry = self.directory.entry(i);
            let range = self.directory.range(&entry, &chunks)?;
            let raw = &mut unpacked[entry.chunk];
            if raw.is_empty() {
                raw_bytes += u64::from(range.chunk.raw);
                if raw_bytes > RAW_BYTES_MAX {
                    return invalid(range.at, format!("a block holds more than {RAW_BYTES_MAX} bytes"));
                }
                let stored = usize::try_from(range.at - self.directory.at)
                    .ok()
                    .and_then(|at| at.checked_sub(self.directory.header.len()))
                    .and_then(|at| self.body.get(at..at.saturating_add(range.chunk.stored as usize)));
                let Some(stored) = stored else { return invalid(range.at, "records are cut off") };
                *raw = range.chunk.unpack(stored, range.at)?;
            }
            let records = range.of(raw)?;
            range.check_count(records)?;
            let (mut start, mut first_offset) = (0, range.first_offset);
            while first_offset < offset {
                start = range.record_end(records, start)?;
                first_offset += 1;
            }
            let (from, to) = (range.start as usize + start, range.start as usize + records.len());
            let count = (range.end() - first_offset) as u32;
            parts.push(Part { partition: entry.partition, first_offset, count, chunk: entry.chunk, bytes: from..to });
        }
        Ok(Parts { parts, chunks: unpacked })
    }
}
