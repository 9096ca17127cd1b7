//! Any bytes as batches of records, as frames and blocks of the log, and through the deduplication filter. The first byte chooses.
//! A damaged log fails at its checksums, so bytes are also put behind right ones.

#![no_main]

use headwater_kernel::block::{self, Batch, Kind, Parsed};
use headwater_kernel::deduplicate::Deduplicator;
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

/// Bytes as a segment of the log.
fn check_log(bytes: &[u8]) {
    let _ = block::find(bytes, 0, u64::MAX, ("t", 0), 0, u64::MAX);
    let _ = block::find(bytes, u64::MAX - 64, u64::MAX, ("t", 0), 7, 1);
    let _ = block::check_block(bytes, u64::MAX - 16);
    if let Some(at) = block::find_later(bytes, bytes.len() / 2, 1) {
        assert!(matches!(block::parse_frame(&bytes[at..], 0), Ok(Parsed::Frame(_))));
    }
}

/// Bytes as the directory and body of a block whose header has the right checksum.
fn check_directory(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let body_length = if choices.chance(4) { choices.number() as u64 } else { choices.below(4096) as u64 };
    let content = choices.take(200);
    let body = choices.rest();
    let mut frame = block::encode_frame(1, 3, content, body_length);
    let header_length = frame.len();
    frame.extend_from_slice(body);
    let _ = block::check_block(&frame, 11);
    let mut whole = true;
    let walked = block::directory(&frame[..header_length], 11, |_, _, range| whole &= range.at >= 11);
    assert!(walked.is_err() || whole);
    let Ok(found) = block::find(&frame, 0, frame.len() as u64, ("t", 0), 0, u64::MAX) else { return };
    let stored = |range: &block::Range| {
        let start = usize::try_from(range.at).ok()?;
        frame.get(start..start.checked_add(range.stored as usize)?)
    };
    for range in &found.ranges {
        let Some(bytes) = stored(range) else { continue };
        // The checksum of a range is forged as well.
        let range = block::Range { crc: crc_of(bytes), ..*range };
        if let Ok((records, next)) = block::decode(&[(range, bytes)], range.first_offset, 1 << 20) {
            assert_eq!(block::count_records(&records).map(u64::from), Ok(next - range.first_offset));
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
    let mut made: Vec<(u32, u64, u32, Vec<u8>)> = Vec::new();
    let mut next = [u64::MAX - 1000, 5, 0];
    for _ in 0..choices.below(8) {
        let partition = choices.below(3);
        let (data, count) = self::made(&mut choices);
        made.push((partition as u32, next[partition], count, data));
        next[partition] += u64::from(count);
    }
    let batches: Vec<Batch> = made
        .iter()
        .map(|(partition, first_offset, count, data)| Batch {
            topic: "t",
            partition: *partition,
            first_offset: *first_offset,
            count: *count,
            data,
        })
        .collect();
    let block = block::encode_block(9, &batches).unwrap();
    let Ok(Parsed::Frame(frame)) = block::parse_frame(&block, 0) else { panic!("what was written is no frame") };
    assert_eq!((frame.kind, frame.group), (Kind::Block, 9));
    block::check_block(&block, 0).unwrap();
    for partition in 0..3 {
        let of = || made.iter().filter(|each| each.0 == partition);
        let expected: Vec<u8> = of().flat_map(|each| each.3.clone()).collect();
        let Some(first) = of().map(|each| each.1).next() else { continue };
        let found = block::find(&block, 0, block.len() as u64, ("t", partition), 0, u64::MAX).unwrap();
        let slice = |range: &block::Range| &block[range.at as usize..range.at as usize + range.stored as usize];
        let parts: Vec<_> = found.ranges.iter().map(|range| (*range, slice(range))).collect();
        let (read, end) = block::decode(&parts, first, usize::MAX).unwrap();
        assert_eq!((&read, end), (&expected, first + of().map(|each| u64::from(each.2)).sum::<u64>()));
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
