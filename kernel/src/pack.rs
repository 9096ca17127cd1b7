//! Making blocks. Packing is what costs per byte, and each caller does it for its own batches; placing gives the records of all
//! callers their offsets and joins them to one block.

use crate::chunk::{Chunk, RAW_BYTES_MAX, store};
use crate::frame::{Invalid, encode_frame, invalid};
use crate::record::RecordRef;

/// Ranges that are smaller share a chunk until it has this many bytes.
const SHARED_BYTES: usize = 64 * 1024;
/// A larger range is cut here: what a reader of one record unpacks at most, give or take a record and `SHARED_BYTES`.
const CHUNK_BYTES: usize = 256 * 1024;

/// Records of one partition.
pub struct Batch<T, D> {
    pub topic: T,
    pub partition: u32,
    pub count: u32,
    pub data: D,
}

/// Least and greatest of both times; least > greatest where no record has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub event: (i64, i64),
    pub received: (i64, i64),
}

impl Times {
    const NONE: Times = Times { event: (i64::MAX, i64::MIN), received: (i64::MAX, i64::MIN) };

    fn add(&mut self, record: &RecordRef<'_>) {
        if let Some(time) = record.event_time {
            self.event = (self.event.0.min(time), self.event.1.max(time));
        }
        self.received = (self.received.0.min(record.received_time), self.received.1.max(record.received_time));
    }

    fn join(self, other: Times) -> Times {
        let of = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        Times { event: of(self.event, other.event), received: of(self.received, other.received) }
    }
}

/// Records of one batch that go into one range: `before` of its records are in others.
#[derive(Clone, Copy)]
struct Piece {
    batch: u32,
    before: u32,
    count: u32,
    start: usize,
    end: usize,
}

/// A piece in a chunk.
struct Placed {
    piece: Piece,
    chunk: u32,
    start: u32,
}

/// Checked batches, and the chunks made of them; what is too little for a chunk waits for that of others.
pub struct Packed<T, D> {
    batches: Vec<Batch<T, D>>,
    placed: Vec<Placed>,
    rest: Vec<Piece>,
    chunks: Vec<Chunk>,
    body: Vec<u8>,
    times: Times,
    raw: u64,
}

impl<T: AsRef<str>, D: AsRef<[u8]>> Packed<T, D> {
    /// Errs where a batch is not whole records of a known version, or not as many as it says. The error names the batch.
    pub fn new(batches: Vec<Batch<T, D>>) -> Result<Self, String> {
        let mut packed = Packed {
            batches,
            placed: Vec::new(),
            rest: Vec::new(),
            chunks: Vec::new(),
            body: Vec::new(),
            times: Times::NONE,
            raw: 0,
        };
        let mut order: Vec<u32> = (0..packed.batches.len() as u32).collect();
        order.sort_by_key(|&i| {
            let batch = &packed.batches[i as usize];
            (batch.topic.as_ref(), batch.partition)
        });
        let mut joined = Vec::new();
        let mut waiting = 0;
        for batch in order {
            let bytes = packed.bytes_of(batch).len();
            if (SHARED_BYTES..CHUNK_BYTES + SHARED_BYTES).contains(&bytes) {
                // Compressing reads memory in order, as hopping from record to record does not: it goes first where nothing is cut.
                let count = packed.batches[batch as usize].count;
                packed.place(Piece { batch, before: 0, count, start: 0, end: bytes })?;
                packed.cut(batch)?;
                packed.raw += bytes as u64;
                continue;
            }
            for piece in packed.cut(batch)? {
                let bytes = piece.end - piece.start;
                packed.raw += bytes as u64;
                if bytes >= SHARED_BYTES {
                    packed.place(piece)?;
                    continue;
                }
                packed.rest.push(piece);
                waiting += bytes;
                if waiting >= SHARED_BYTES {
                    packed.place_rest(&mut joined)?;
                    waiting = 0;
                }
            }
        }
        Ok(packed)
    }

    pub fn records(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.count)).sum()
    }

    /// The chunks, as they stand in a block.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Bytes of records.
    pub fn raw_bytes(&self) -> u64 {
        self.raw
    }

    fn cut(&mut self, number: u32) -> Result<Vec<Piece>, String> {
        let batch = &self.batches[number as usize];
        let named = || format!("a batch for {}/{}", batch.topic.as_ref(), batch.partition);
        let data = batch.data.as_ref();
        let mut pieces = Vec::new();
        let (mut start, mut before, mut at, mut count) = (0, 0, 0, 0u32);
        while at < data.len() {
            let (record, end) =
                RecordRef::parse(data, at).map_err(|e| format!("{} is not whole records: byte {at}: {e}", named()))?;
            self.times.add(&record);
            at = end;
            count += 1;
            if at == data.len() || (at - start >= CHUNK_BYTES && data.len() - at >= SHARED_BYTES) {
                pieces.push(Piece { batch: number, before, count: count - before, start, end: at });
                (start, before) = (at, count);
            }
        }
        if count != batch.count {
            return Err(format!("{} holds {count} records, not {}", named(), batch.count));
        }
        Ok(pieces)
    }

    fn bytes_of(&self, batch: u32) -> &[u8] {
        self.batches[batch as usize].data.as_ref()
    }

    fn bytes(&self, piece: &Piece) -> &[u8] {
        // A `D` that gives other bytes each time would be a fault in the caller: no bytes then, and no panic.
        self.bytes_of(piece.batch).get(piece.start..piece.end).unwrap_or_default()
    }

    fn place(&mut self, piece: Piece) -> Result<(), String> {
        let mut body = std::mem::take(&mut self.body);
        let chunk = store(self.bytes(&piece), &mut body).map_err(|e| e.reason)?;
        self.body = body;
        self.placed.push(Placed { piece, chunk: self.chunks.len() as u32, start: 0 });
        self.chunks.push(chunk);
        Ok(())
    }

    fn place_rest(&mut self, joined: &mut Vec<u8>) -> Result<(), String> {
        joined.clear();
        for piece in std::mem::take(&mut self.rest) {
            self.placed.push(Placed { piece, chunk: self.chunks.len() as u32, start: joined.len() as u32 });
            joined.extend_from_slice(self.bytes(&piece));
        }
        self.chunks.push(store(joined, &mut self.body).map_err(|e| e.reason)?);
        Ok(())
    }
}

/// A range of a block that is being made; topics are numbered in the order of their names.
#[derive(Clone, Copy)]
struct Entry {
    topic: u32,
    partition: u32,
    first_offset: u64,
    count: u32,
    chunk: u32,
    start: u32,
    bytes: u32,
}

/// A block's bytes: its header, the bodies of the packed batches in order, and `rest`.
pub struct Block {
    pub header: Vec<u8>,
    pub rest: Vec<u8>,
}

impl Block {
    /// All of it in order; `bodies` are those of what it was made of.
    pub fn parts<'a>(&'a self, bodies: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.header.as_slice()).chain(bodies).chain([self.rest.as_slice()])
    }
}

/// Joins several callers' batches to one block. `firsts` are the first offsets of each one's batches in the order it gave them.
/// `None` where there is no record.
pub fn encode_block<T: AsRef<str>, D: AsRef<[u8]>>(
    group: u64,
    packed: &[&Packed<T, D>],
    firsts: &[Vec<u64>],
) -> Result<Option<Block>, Invalid> {
    if packed.iter().map(|each| each.batches.len()).ne(firsts.iter().map(Vec::len)) {
        return invalid(0, "there is not one first offset for each batch");
    }
    let raw: u64 = packed.iter().map(|each| each.raw).sum();
    if raw > RAW_BYTES_MAX {
        return invalid(0, format!("{raw} bytes of records are more than a block may hold: {RAW_BYTES_MAX}"));
    }
    let mut topics: Vec<&str> = Vec::new();
    for batch in packed.iter().flat_map(|each| &each.batches).filter(|batch| batch.count > 0) {
        if topics.last() != Some(&batch.topic.as_ref()) {
            topics.push(batch.topic.as_ref());
        }
    }
    topics.sort_unstable();
    topics.dedup();
    let mut making = Making { topics, entries: Vec::new(), chunks: Vec::new() };
    let mut waiting: Vec<(Entry, &[u8])> = Vec::new();
    for (each, firsts) in packed.iter().zip(firsts) {
        let base = making.chunks.len() as u32;
        for Placed { piece, chunk, start } in &each.placed {
            let entry = making.entry(&each.batches[piece.batch as usize], piece, firsts[piece.batch as usize])?;
            making.entries.push(Entry { chunk: base + chunk, start: *start, ..entry });
        }
        for piece in &each.rest {
            let entry = making.entry(&each.batches[piece.batch as usize], piece, firsts[piece.batch as usize])?;
            waiting.push((entry, each.bytes(piece)));
        }
        making.chunks.extend_from_slice(&each.chunks);
    }
    let rest = making.pack(waiting)?;
    if making.entries.is_empty() {
        return Ok(None);
    }
    let times = packed.iter().fold(Times::NONE, |times, each| times.join(each.times));
    let body_length = packed.iter().map(|each| each.body.len() as u64).sum::<u64>() + rest.len() as u64;
    let header = encode_frame(1, group, &making.content(&times)?, body_length);
    Ok(Some(Block { header, rest }))
}

struct Making<'a> {
    topics: Vec<&'a str>,
    entries: Vec<Entry>,
    chunks: Vec<Chunk>,
}

impl Making<'_> {
    fn entry<T: AsRef<str>, D>(&self, batch: &Batch<T, D>, piece: &Piece, first: u64) -> Result<Entry, Invalid> {
        let topic = self.topics.binary_search(&batch.topic.as_ref()).unwrap_or_default() as u32;
        let first_offset = first.checked_add(u64::from(piece.before));
        let Some(first_offset) = first_offset.filter(|first| first.checked_add(u64::from(piece.count)).is_some()) else {
            return invalid(0, format!("offsets from {first} on are too large"));
        };
        let bytes = (piece.end - piece.start) as u32;
        Ok(Entry { topic, partition: batch.partition, first_offset, count: piece.count, chunk: 0, start: 0, bytes })
    }

    /// Makes chunks of what was left over; gives their bytes.
    fn pack(&mut self, mut waiting: Vec<(Entry, &[u8])>) -> Result<Vec<u8>, Invalid> {
        waiting.sort_by_key(|(entry, _)| (entry.topic, entry.partition, entry.first_offset));
        let (mut body, mut joined) = (Vec::new(), Vec::new());
        let last = waiting.len().wrapping_sub(1);
        for (i, (entry, bytes)) in waiting.into_iter().enumerate() {
            self.entries.push(Entry { chunk: self.chunks.len() as u32, start: joined.len() as u32, ..entry });
            joined.extend_from_slice(bytes);
            if i == last || joined.len() >= SHARED_BYTES {
                self.chunks.push(store(&joined, &mut body)?);
                joined.clear();
            }
        }
        Ok(body)
    }

    /// Puts the ranges in order. Errs where the offsets of a partition leave a gap or overlap.
    fn ordered(&mut self) -> Result<Vec<Entry>, Invalid> {
        self.entries.sort_by_key(|entry| (entry.topic, entry.partition, entry.first_offset));
        let mut ordered: Vec<Entry> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            if let Some(last) = ordered.last_mut().filter(|last| (last.topic, last.partition) == (entry.topic, entry.partition)) {
                let next = last.first_offset + u64::from(last.count);
                if entry.first_offset != next {
                    let topic = self.topics[entry.topic as usize];
                    return invalid(0, format!("offset {} follows {next} in {topic}", entry.first_offset));
                }
                if (entry.chunk, entry.start) == (last.chunk, last.start + last.bytes) {
                    last.count += entry.count;
                    last.bytes += entry.bytes;
                    continue;
                }
            }
            ordered.push(*entry);
        }
        Ok(ordered)
    }

    fn content(&mut self, times: &Times) -> Result<Vec<u8>, Invalid> {
        let entries = self.ordered()?;
        let mut content = Vec::with_capacity(64 + 16 * self.chunks.len() + 32 * entries.len());
        for number in [entries.len(), self.chunks.len(), self.topics.len(), 0] {
            content.extend_from_slice(&(number as u32).to_le_bytes());
        }
        for time in [times.event.0, times.event.1, times.received.0, times.received.1] {
            content.extend_from_slice(&time.to_le_bytes());
        }
        for chunk in &self.chunks {
            chunk.write(&mut content);
        }
        for entry in &entries {
            content.extend_from_slice(&entry.topic.to_le_bytes());
            content.extend_from_slice(&entry.partition.to_le_bytes());
            content.extend_from_slice(&entry.first_offset.to_le_bytes());
            for number in [entry.count, entry.chunk, entry.start, entry.bytes] {
                content.extend_from_slice(&number.to_le_bytes());
            }
        }
        for topic in &self.topics {
            let Ok(length) = u16::try_from(topic.len()) else { return invalid(0, "a topic's name is over 65,535 bytes") };
            content.extend_from_slice(&length.to_le_bytes());
            content.extend_from_slice(topic.as_bytes());
        }
        Ok(content)
    }
}
