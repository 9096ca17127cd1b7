//! Any bytes as batches of records, as frames and blocks of the log, and through the deduplication filter. The first byte chooses.
//! A damaged log fails at its checksums, so bytes are also put behind right ones.

#![no_main]

use headwater_kernel::block::{self, Budget, Directory, Split};
use headwater_kernel::deduplicate::Deduplicator;
use headwater_kernel::frame::{self, Kind, Parsed};
use headwater_kernel::pack::{self, Batch, Packed};
use headwater_kernel::payload;
use headwater_kernel::record::{self, RecordRef};
use headwater_kernel_fuzz::choice::Choices;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    match first % 5 {
        0 => check_records(rest),
        1 => check_log(rest),
        2 => check_directory(rest),
        3 => check_block(rest),
        _ => check_filter(rest),
    }
});

fn check_records(batch: &[u8]) {
    let read: Result<Vec<(usize, RecordRef)>, _> = record::records(batch).collect();
    let counted = block::count_records(batch);
    assert_eq!(counted.is_ok(), read.is_ok());
    assert_eq!(payload::lines(batch).is_ok(), read.is_ok());
    assert_eq!(payload::delays(batch, i64::MAX).is_ok(), read.is_ok());
    let Ok(read) = read else { return };
    assert_eq!(counted, Ok(read.len() as u32));
    // Two bytes of the header say nothing yet: what is written has zeros there.
    let mut written = Vec::new();
    for (at, record) in &read {
        assert!(*at <= batch.len());
        record.encode(&mut written).unwrap();
    }
    let again: Vec<RecordRef> = record::records(&written).map(|record| record.unwrap().1).collect();
    assert_eq!(again, read.iter().map(|(_, record)| *record).collect::<Vec<_>>());
}

const ALL: Budget = Budget { raw_max: u64::MAX, raw: 0 };

/// Bytes as a segment of the log.
fn check_log(bytes: &[u8]) {
    let _ = block::find(bytes, 0, u64::MAX, ("t", 0), 0, ALL);
    let _ = block::find(bytes, u64::MAX - 64, u64::MAX, ("t", 0), 7, Budget { raw_max: 1, raw: 0 });
    let _ = block::check_block(bytes, u64::MAX - 16);
    if let Some(at) = frame::find_later(bytes, bytes.len() / 2, 1) {
        assert!(matches!(frame::parse_frame(&bytes[at..], 0), Ok(Parsed::Frame(_))));
    }
}

/// Records of a topic from an offset on, of every partition.
fn split(frame: &[u8], at: u64, offset: u64) {
    let Ok(mut split) = Split::new(frame, at, "t") else { return };
    split.choose(|_| Ok::<_, ()>(Some(offset))).unwrap();
    let Ok(parts) = split.unpack() else { return };
    for part in &parts.parts {
        assert!(part.first_offset >= offset || part.first_offset + u64::from(part.count) > offset);
        let walked = record::records(parts.records(part)).count();
        assert!(walked as u32 <= part.count);
    }
}

/// Bytes as the directory and body of a block whose header has the right checksum.
fn check_directory(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let body_length = if choices.chance(4) { choices.number() as u64 } else { choices.below(4096) as u64 };
    let length = choices.below(300);
    let content = choices.take(length);
    let body = choices.rest();
    let mut frame = frame::encode_frame(1, 3, content, body_length);
    let header_length = frame.len();
    frame.extend_from_slice(body);
    let _ = block::check_block(&frame, 11);
    split(&frame, 11, 3);
    split(&frame, u64::MAX - 90, 0);
    if let Ok(partitions) = Directory::parse(&frame[..header_length], 11).and_then(|directory| directory.partitions()) {
        assert!(partitions.iter().all(|(_, _, first, count)| first.checked_add(u64::from(*count)).is_some()));
    }
    let Ok(found) = block::find(&frame, 0, frame.len() as u64, ("t", 0), 0, ALL) else { return };
    let stored = |range: &block::Range| {
        let start = usize::try_from(range.at).ok()?;
        frame.get(start..start.checked_add(range.chunk.stored as usize)?)
    };
    for mut range in found.ranges {
        let Some(bytes) = stored(&range) else { continue };
        // The checksum of a chunk is forged as well.
        range.chunk.crc = crc_of(bytes);
        for bytes_max in [1, 1 << 20] {
            let Ok(reading) = block::decode(&[(range, bytes)], range.first_offset, bytes_max) else { continue };
            let mut records = vec![0; reading.length];
            if reading.fill(&mut records).is_ok() {
                let count = reading.next - range.first_offset;
                assert!(block::count_records(&records).map_or(true, |counted| u64::from(counted) == count));
            }
        }
    }
}

/// As the log has it.
fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

/// Records made of the bytes.
fn made(choices: &mut Choices) -> (Vec<u8>, u32) {
    const TEXTS: &[&str] = &["", "a", "b", "key", "é", "a longer text"];
    let mut out = Vec::new();
    let count = choices.below(6) as u32;
    for _ in 0..count {
        let received_time = if choices.chance(3) { choices.number() } else { choices.byte().into() };
        let record = RecordRef {
            tier: choices.byte(),
            event_time: choices.chance(2).then(|| choices.number()),
            received_time,
            key: choices.pick(TEXTS),
            event_id: choices.pick(TEXTS),
            origin_topic: choices.pick(TEXTS),
            rule: choices.pick(TEXTS),
            payload: choices.take(8),
            ..RecordRef::default()
        };
        record.encode(&mut out).unwrap();
    }
    (out, count)
}

/// What is written as a block is found and read again.
fn check_block(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut made: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut next = [u64::MAX - 1000, 5, 0];
    let (start, mut packed, mut firsts) = (next, Vec::new(), Vec::new());
    for _ in 0..1 + choices.below(3) {
        let (mut batches, mut first_offsets) = (Vec::new(), Vec::new());
        for _ in 0..choices.below(8) {
            let partition = choices.below(3);
            let (data, count) = self::made(&mut choices);
            made.push((partition as u32, data.clone()));
            batches.push(Batch { topic: "t", partition: partition as u32, count, data });
            first_offsets.push(next[partition]);
            next[partition] += u64::from(count);
        }
        packed.push(Packed::new(batches).unwrap());
        firsts.push(first_offsets);
    }
    let packed: Vec<_> = packed.iter().collect();
    let Some(block) = pack::encode_block(9, &packed, &firsts).unwrap() else { return assert_eq!(start, next) };
    let block = block.parts(packed.iter().map(|each| each.body())).collect::<Vec<_>>().concat();
    let Ok(Parsed::Frame(frame)) = frame::parse_frame(&block, 0) else { panic!("what was written is no frame") };
    assert_eq!((frame.kind, frame.group), (Kind::Block, 9));
    block::check_block(&block, 0).unwrap();
    for partition in 0..3 {
        let expected: Vec<u8> = made.iter().filter(|each| each.0 == partition).flat_map(|each| each.1.clone()).collect();
        let (first, end) = (start[partition as usize], next[partition as usize]);
        let found = block::find(&block, 0, block.len() as u64, ("t", partition), 0, ALL).unwrap();
        let slice = |range: &block::Range| &block[range.at as usize..range.at as usize + range.chunk.stored as usize];
        let parts: Vec<_> = found.ranges.iter().map(|range| (*range, slice(range))).collect();
        let reading = block::decode(&parts, first, usize::MAX).unwrap();
        let mut read = vec![0; reading.length];
        reading.fill(&mut read).unwrap();
        assert_eq!((&read, reading.next), (&expected, end));
    }
    let mut split = Split::new(&block, 0, "t").unwrap();
    split.choose(|partition| Ok::<_, ()>(Some(start[partition as usize]))).unwrap();
    let parts = split.unpack().unwrap();
    for partition in 0..3 {
        let of = parts.parts.iter().filter(|part| part.partition == partition);
        let read: Vec<u8> = of.flat_map(|part| parts.records(part).to_vec()).collect();
        let expected: Vec<u8> = made.iter().filter(|each| each.0 == partition).flat_map(|each| each.1.clone()).collect();
        assert_eq!(read, expected);
    }
}

/// The filter drops repeats only, and one that is restored goes on as the one that was never stopped.
fn check_filter(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    if choices.chance(8) {
        let state = choices.rest();
        if let Ok(mut filter) = Deduplicator::restore(state, 1000, 100) {
            let mut batch = Vec::new();
            RecordRef { event_id: "a", payload: b"{}", ..RecordRef::default() }.encode(&mut batch).unwrap();
            let _ = filter.replay(&batch, "t", 0, 0);
            let _ = filter.run(&batch, "t", 0, 0);
            filter.replay_ranges();
        }
        return;
    }
    let (window, ids_max) = (1 + choices.below(2000) as i64, 1 + choices.below(40));
    let mut filter = Deduplicator::new(window, ids_max).unwrap();
    let mut log: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut next = if choices.chance(4) { u64::MAX - 50 } else { 0 };
    for _ in 0..8 {
        let (batch, count) = made(&mut choices);
        let before = filter.state();
        if choices.chance(4) {
            let mut restored = Deduplicator::restore(&before, window, ids_max).unwrap();
            for (topic, partition, from, to) in restored.replay_ranges() {
                assert!(from < to);
                log.iter().for_each(|(first, batch)| restored.replay(batch, &topic, partition, *first).unwrap());
            }
            assert_eq!(restored.ids(), filter.ids());
            filter = restored;
        }
        let outcome = filter.run(&batch, "t", 0, next).unwrap();
        assert_eq!(outcome.kept.len() as u32, count);
        let kept = outcome.kept.iter().filter(|kept| **kept).count() as u32;
        assert_eq!(block::count_records(&outcome.records), Ok(kept));
        assert_eq!(kept + outcome.duplicates, count);
        log.push((next, batch));
        next += u64::from(count);
    }
}
