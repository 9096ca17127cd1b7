//! Blocks: what was packed and placed is read again by every way of reading, and no damage goes unseen or ends in a panic.

mod random;

use std::collections::BTreeMap;

use headwater_kernel::block::{self, Budget, Directory, Range, Split};
use headwater_kernel::frame::{Invalid, Parsed, encode_frame, parse_frame};
use headwater_kernel::pack::{Batch, Packed, encode_block};
use headwater_kernel::record::RecordRef;

use random::Random;

const BASE: u64 = 1000;
const PRELUDE: usize = 32;

type Given = Packed<String, Vec<u8>>;
/// (topic, partition) → its first offset and its records, one by one.
type Model = BTreeMap<(String, u32), (u64, Vec<Vec<u8>>)>;

fn record(number: i64, payload: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..payload).map(|i| b"abcdefgh 0123456789"[(i * i + number as usize) % 19]).collect();
    let mut out = Vec::new();
    let event_time = (number % 2 == 0).then_some(number);
    RecordRef { payload: &payload, event_time, received_time: number, key: "k", ..Default::default() }.encode(&mut out).unwrap();
    out
}

fn records(count: usize, payload: usize) -> Vec<u8> {
    (0..count).flat_map(|n| record(n as i64, payload)).collect()
}

fn packed(batches: &[(&str, u32, u32, &[u8])]) -> Result<Given, String> {
    let batch = |&(topic, partition, count, data): &(&str, u32, u32, &[u8])| Batch {
        topic: topic.to_owned(),
        partition,
        count,
        data: data.to_vec(),
    };
    Packed::new(batches.iter().map(batch).collect())
}

fn encoded(group: u64, packed: &[&Given], firsts: &[Vec<u64>]) -> Result<Vec<u8>, Invalid> {
    let block = encode_block(group, packed, firsts)?;
    Ok(block.map_or(Vec::new(), |block| block.parts(packed.iter().map(|each| each.body())).collect::<Vec<_>>().concat()))
}

fn header(block: &[u8]) -> &[u8] {
    match parse_frame(block, BASE) {
        Ok(Parsed::Frame(frame)) => &block[..frame.header_length],
        _ => panic!("a block without a header"),
    }
}

fn with_bytes<'a>(block: &'a [u8], ranges: &[Range]) -> Vec<(Range, &'a [u8])> {
    let stored = |range: &Range| {
        let start = (range.at - BASE) as usize;
        block.get(start..start.checked_add(range.chunk.stored as usize)?)
    };
    ranges.iter().filter_map(|range| Some((*range, stored(range)?))).collect()
}

fn read(block: &[u8], place: (&str, u32), offset: u64, bytes_max: usize) -> Result<(Vec<u8>, u64), Invalid> {
    let end = BASE + block.len() as u64;
    let found = block::find(block, BASE, end, place, offset, Budget { raw_max: bytes_max as u64, raw: 0 })?;
    let reading = block::decode(&with_bytes(block, &found.ranges), offset, bytes_max)?;
    let mut out = vec![0xEE; reading.length];
    reading.fill(&mut out)?;
    Ok((out, reading.next))
}

/// Several callers' batches over a few partitions, as a block and as what must be read of it.
fn random_block(random: &mut Random) -> (Vec<u8>, Model) {
    let mut model = Model::new();
    let (mut callers, mut firsts) = (Vec::new(), Vec::new());
    let partitions = 1 + random.below(40);
    let mut number = 0;
    for _ in 0..1 + random.below(3) {
        let (mut batches, mut first_offsets) = (Vec::new(), Vec::new());
        for _ in 0..random.below(60) {
            let place = (random.pick(&["a", "a topic", "é"]).to_owned(), random.below(partitions) as u32);
            let start = random.below(1 << 20) as u64;
            let (first, all) = model.entry(place.clone()).or_insert((start, Vec::new()));
            first_offsets.push(*first + all.len() as u64);
            let (count, payload) = if random.below(30) == 0 { (random.below(900), 700) } else { (random.below(4), 300) };
            let made: Vec<Vec<u8>> = (0..count).map(|n| record(number + n as i64, 1 + random.below(payload))).collect();
            number += count as i64;
            batches.push(Batch { topic: place.0, partition: place.1, count: count as u32, data: made.concat() });
            all.extend(made);
        }
        callers.push(Packed::new(batches).unwrap());
        firsts.push(first_offsets);
    }
    let block = encoded(5, &callers.iter().collect::<Vec<_>>(), &firsts).unwrap();
    model.retain(|_, (_, records)| !records.is_empty());
    (block, model)
}

#[test]
fn random_blocks_are_read_again_in_every_way() {
    for seed in 1..150 {
        let mut random = Random(seed);
        let (block, model) = random_block(&mut random);
        if model.is_empty() {
            assert!(block.is_empty());
            continue;
        }
        block::check_block(&block, BASE).unwrap();
        let directory = Directory::parse(header(&block), BASE).unwrap();
        let all: Vec<_> = model.iter().map(|((t, p), (first, made))| (t.as_str(), *p, *first, made.len() as u32)).collect();
        assert_eq!(directory.partitions().unwrap(), all);
        let total: i64 = model.values().map(|(_, made)| made.len() as i64).sum();
        assert_eq!(directory.times()[2..], [0, total - 1]);
        for ((topic, partition), (first, made)) in &model {
            let skipped = random.below(made.len());
            let bytes_max = [1, 700, 5000, usize::MAX][random.below(4)];
            let (mut next, end) = (*first + skipped as u64, first + made.len() as u64);
            let mut found = Vec::new();
            while next < end {
                let (data, after) = read(&block, (topic, *partition), next, bytes_max).unwrap();
                assert!(after > next && (data.len() <= bytes_max || after == next + 1));
                found.extend(data);
                next = after;
            }
            assert_eq!(found, made[skipped..].concat(), "seed {seed}");
        }
        check_split(&block, &model, &mut random);
    }
}

fn check_split(block: &[u8], model: &Model, random: &mut Random) {
    for topic in ["a", "a topic", "é", "none"] {
        let mut wanted: BTreeMap<u32, u64> = BTreeMap::new();
        for ((_, partition), (first, made)) in model.iter().filter(|((name, _), _)| name == topic) {
            if random.below(4) > 0 {
                wanted.insert(*partition, first + random.below(made.len() + 1) as u64);
            }
        }
        let mut split = Split::new(block, BASE, topic).unwrap();
        split.choose(|partition| Ok::<_, ()>(wanted.get(&partition).copied())).unwrap();
        let parts = split.unpack().unwrap();
        let mut found: BTreeMap<u32, (u64, Vec<u8>)> = BTreeMap::new();
        for part in &parts.parts {
            let (next, data) = found.entry(part.partition).or_insert((wanted[&part.partition], Vec::new()));
            assert_eq!(*next, part.first_offset);
            *next += u64::from(part.count);
            data.extend_from_slice(parts.records(part));
        }
        for (partition, from) in wanted {
            let (first, made) = &model[&(topic.to_owned(), partition)];
            let end = first + made.len() as u64;
            let expected = (end, made[(from - first) as usize..].concat());
            assert_eq!(found.get(&partition).cloned().unwrap_or((end, Vec::new())), expected);
        }
    }
}

#[test]
fn small_ranges_share_chunks_and_large_ones_do_not() {
    let one = record(1, 600);
    let small: Vec<_> = (0..1000).map(|partition| ("a", partition, 1, one.as_slice())).collect();
    let large = records(2000, 600);
    let packed = packed(&[small.as_slice(), &[("b", 0, 2000, &large)]].concat()).unwrap();
    let block = encoded(1, &[&packed], &[vec![0; 1001]]).unwrap();
    let directory = Directory::parse(header(&block), BASE).unwrap();
    let chunks = |topic: &str, partition| -> Vec<Range> { directory.of(topic, partition, 0).unwrap() };
    let mut shared: Vec<u64> = (0..1000).map(|partition| chunks("a", partition)[0].at).collect();
    shared.dedup();
    assert_eq!(shared.len(), 1 + 1000 * one.len() / (65_536 + one.len()));
    let own = chunks("b", 0);
    assert_eq!(own.len(), large.len().div_ceil(256 * 1024));
    assert!(own.iter().all(|range| (range.start, range.bytes) == (0, range.chunk.raw)));
    assert!(block.len() < large.len() / 10);
}

#[test]
fn neighbours_of_several_callers_become_one_range() {
    let few = records(3, 10);
    let callers: Vec<Given> = (0..4).map(|_| packed(&[("a", 7, 3, &few)]).unwrap()).collect();
    let block = encoded(1, &callers.iter().collect::<Vec<_>>(), &[vec![0], vec![3], vec![6], vec![9]]).unwrap();
    let directory = Directory::parse(header(&block), BASE).unwrap();
    assert_eq!((directory.len(), directory.partitions().unwrap()), (1, vec![("a", 7, 0, 12)]));
    assert_eq!(read(&block, ("a", 7), 0, usize::MAX).unwrap(), (few.repeat(4), 12));
}

#[test]
fn a_walk_stops_before_a_range_that_does_not_fit() {
    let large = records(1000, 1000);
    let packed = packed(&[("a", 0, 1000, &large)]).unwrap();
    let block = encoded(1, &[&packed], &[vec![0]]).unwrap();
    let end = BASE + block.len() as u64;
    let find = |raw_max, raw| block::find(&block, BASE, end + 50, ("a", 0), 0, Budget { raw_max, raw }).unwrap();
    let all = find(u64::MAX, 0);
    assert_eq!((all.ranges.len(), all.next), (4, end));
    let two = u64::from(all.ranges[0].bytes + all.ranges[1].bytes);
    for (raw_max, raw, expected) in [(1, 0, 1), (two - 1, 0, 1), (two, 0, 2), (two, 1, 1), (two, two, 0)] {
        let found = find(raw_max, raw);
        assert_eq!((found.ranges.len(), found.next, found.need), (expected, end + 50, 0), "{raw_max} {raw}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_that_says_what() {
    let few = records(3, 10);
    let said = |batch: (&str, u32, u32, &[u8])| packed(&[batch]).err().unwrap();
    assert_eq!(said(("a", 5, 2, &few)), "a batch for a/5 holds 3 records, not 2");
    let size = few.len() / 3;
    let cut = format!(
        "a batch for a/5 is not whole records: byte {0}: a record is cut off at byte {0} of {1}",
        2 * size,
        few.len() - 1
    );
    assert_eq!(said(("a", 5, 3, &few[..few.len() - 1])), cut);
    let twice = packed(&[("a", 0, 3, &few), ("a", 0, 3, &few)]).unwrap();
    for firsts in [vec![0, 4], vec![0, 2], vec![u64::MAX - 5, u64::MAX - 2], vec![0], vec![]] {
        assert!(encoded(0, &[&twice], &[firsts]).is_err());
    }
    assert!(encoded(0, &[&twice], &[]).is_err());
    assert!(encoded(0, &[&twice], &[vec![8, 11]]).is_ok());
    let long = "x".repeat(70_000);
    assert!(encoded(0, &[&packed(&[(&long, 0, 3, &few)]).unwrap()], &[vec![0]]).is_err());
    assert_eq!(encoded(0, &[&packed(&[("a", 0, 0, b"")]).unwrap()], &[vec![9]]).unwrap(), b"");
}

fn small_block() -> Vec<u8> {
    let (few, large) = (records(3, 200), records(100, 700));
    let packed = packed(&[("a", 0, 3, &few), ("b", 0, 100, &large), ("a", 1, 3, &few)]).unwrap();
    encoded(0, &[&packed], &[vec![0, 7, 1]]).unwrap()
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let block = small_block();
    for bit in 0..block.len() * 8 {
        let mut damaged = block.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(block::check_block(&damaged, BASE).is_err(), "bit {bit}");
        for (place, offset) in [(("a", 0), 0), (("b", 0), 8)] {
            let expected = read(&block, place, offset, usize::MAX).unwrap();
            // Nothing at all where the frame seems to go on behind the bytes that there are.
            let found = read(&damaged, place, offset, usize::MAX);
            assert!(found.map_or(true, |found| found == expected || found == (vec![], offset)), "bit {bit}");
        }
        let mut split = Split::new(&damaged, BASE, "b").ok();
        let parts = split.as_mut().and_then(|split| {
            split.choose(|_| Ok::<_, ()>(Some(0))).ok()?;
            split.unpack().ok()
        });
        if let Some(parts) = parts {
            assert_eq!(parts.records(&parts.parts[0]), records(100, 700));
        }
    }
    for cut in 0..block.len() {
        assert!(block::check_block(&block[..cut], BASE).is_err(), "cut at {cut}");
        let _ = read(&block[..cut], ("b", 0), 7, usize::MAX);
    }
}

#[test]
fn headers_that_lie_under_a_good_checksum_end_in_no_panic() {
    let block = small_block();
    let header_length = header(&block).len();
    let (content, body) = (&block[PRELUDE..header_length], &block[header_length..]);
    let forge = |content: &[u8]| [encode_frame(1, 0, content, body.len() as u64), body.to_vec()].concat();
    let try_all = |forged: &[u8]| {
        for at in [BASE, u64::MAX - 100] {
            let _ = block::check_block(forged, at);
            if let Ok(mut split) = Split::new(forged, at, "b") {
                split.choose(|_| Ok::<_, ()>(Some(3))).unwrap();
                let _ = split.unpack().map(|parts| parts.parts.iter().map(|part| parts.records(part).len()).sum::<usize>());
            }
        }
        for (place, offset, bytes_max) in [(("a", 0), 0, 10_000), (("a", 1), 1, 1), (("b", 0), 8, 1 << 20)] {
            let _ = read(forged, place, offset, bytes_max);
        }
    };
    for at in 0..content.len() {
        for byte in [0, 1, 2, 0x7F, 0xFF] {
            let mut lie = content.to_vec();
            lie[at] = byte;
            try_all(&forge(&lie));
        }
    }
    for cut in 0..content.len() {
        try_all(&forge(&content[..cut]));
        assert!(block::check_block(&forge(&content[..cut]), 0).is_err());
    }
}

#[test]
fn the_first_record_of_a_time_is_found() {
    let data = records(10, 5);
    let found: Vec<_> = [-1, 0, 4, 9, 10].iter().map(|time| block::index_at_time(&data, *time).unwrap()).collect();
    assert_eq!(found, [0, 0, 4, 9, 10]);
    assert!(block::index_at_time(&data[..data.len() - 1], 100).is_err());
}
