//! Random bytes as messages and as descriptors: nothing panics, what is read is well-formed JSON, and what is written reads back.

use headwater_kernel::json;
use headwater_kernel::protobuf::Descriptor;
use headwater_kernel::protobuf::encode::Encoder;

const DESCRIPTOR: &str = r#"{"messages": [
  {"name": "M", "fields": [
    {"name": "a", "number": 1, "kind": "int64"}, {"name": "b", "number": 2, "kind": "string"},
    {"name": "c", "number": 3, "kind": "message", "message": 0}, {"name": "d", "number": 4, "kind": "double", "cardinality": "packed"},
    {"name": "e", "number": 5, "kind": "string", "meaning": "json"}, {"name": "f", "number": 6, "kind": "group", "message": 0},
    {"name": "g", "number": 7, "kind": "message", "message": 1, "cardinality": "repeated"},
    {"name": "h", "number": 8, "kind": "message", "message": 2}, {"name": "i", "number": 9, "kind": "sint32", "cardinality": "implicit"},
    {"name": "j", "number": 10, "kind": "message", "message": 3, "cardinality": "map"},
    {"name": "k", "number": 11, "kind": "bool", "cardinality": "repeated"}, {"name": "l", "number": 12, "kind": "bytes"},
    {"name": "m", "number": 13, "kind": "fixed32"}, {"name": "n", "number": 14, "kind": "enum", "values": [[0, "Z"], [1, "O"]]}]},
  {"name": "L", "meaning": "items", "fields": [{"name": "items", "number": 1, "kind": "int64", "cardinality": "packed"}]},
  {"name": "T", "meaning": "timestamp", "fields": [
    {"name": "seconds", "number": 1, "kind": "int64", "cardinality": "implicit"},
    {"name": "nanos", "number": 2, "kind": "int32", "cardinality": "implicit"}]},
  {"name": "E", "fields": [{"name": "key", "number": 1, "kind": "string"}, {"name": "value", "number": 2, "kind": "message", "message": 0}]}]}"#;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Fields that mostly are what the descriptor says, and are damaged now and then.
fn payload(chance: &mut Chance, depth: u32) -> Vec<u8> {
    const WIRES: [u8; 16] = [0, 0, 2, 2, 2, 2, 3, 2, 2, 0, 2, 0, 2, 5, 0, 1];
    let mut out = Vec::new();
    for _ in 0..chance.below(5) {
        let number = chance.below(16) as u8;
        let kind = if chance.below(20) == 0 { chance.below(8) as u8 } else { WIRES[number as usize] };
        out.push(number << 3 | kind);
        match kind {
            0 => {
                out.extend((0..chance.below(10)).map(|_| 0x80 | chance.next() as u8));
                out.push(chance.below(100) as u8);
            }
            1 => out.extend_from_slice(&chance.next().to_le_bytes()),
            5 => out.extend_from_slice(&(chance.next() as u32).to_le_bytes()),
            2 => {
                let inner = match chance.below(4) {
                    0 if depth < 4 => payload(chance, depth + 1),
                    1 => br#"{"x":[1, "y"]}"#.to_vec(),
                    2 => (0..chance.below(8)).map(|_| chance.next() as u8).collect(),
                    _ => "aé\"\n".as_bytes()[..chance.below(6) as usize].to_vec(),
                };
                out.push(inner.len().min(127) as u8);
                out.extend(inner);
            }
            3 => {
                out.extend(if depth < 4 { payload(chance, depth + 1) } else { Vec::new() });
                out.push(number << 3 | 4);
            }
            _ => {}
        }
    }
    if chance.below(10) == 0 && !out.is_empty() {
        let at = chance.below(out.len() as u64) as usize;
        out[at] = chance.next() as u8;
    }
    out
}

#[test]
fn what_is_read_is_json_and_reads_the_same_when_written_again() {
    let descriptor = Descriptor::parse(DESCRIPTOR.as_bytes()).unwrap();
    let mut chance = Chance(7);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let payload = payload(&mut chance, 0);
        let mut line = Vec::new();
        if descriptor.decode(&payload, &mut line).is_err() {
            refused += 1;
            continue;
        }
        read += 1;
        json::check_utf8(&line)
            .and_then(|()| json::check(&line))
            .unwrap_or_else(|error| panic!("{error:?}: {line:?} of {payload:?}"));
        assert!(!line.contains(&b'\n'));
        let mut batch = Vec::new();
        Encoder::default().lines(&descriptor, &line, &mut batch).unwrap();
        let again = descriptor.decode_batch(&batch);
        assert!(again.rejects.is_empty() && again.read == batch.len(), "{line:?}");
    }
    assert!(read > 10_000 && refused > 1_000, "{read} read, {refused} refused");
}

#[test]
fn random_bytes_and_batches_never_panic() {
    let descriptor = Descriptor::parse(DESCRIPTOR.as_bytes()).unwrap();
    let mut chance = Chance(8);
    for _ in 0..60_000 {
        let bytes: Vec<u8> =
            (0..chance.below(40)).map(|_| if chance.below(2) == 0 { chance.below(20) } else { chance.next() } as u8).collect();
        let decoded = descriptor.decode_batch(&bytes);
        assert!(decoded.read <= bytes.len());
        assert_eq!(decoded.lines.iter().filter(|byte| **byte == b'\n').count(), decoded.places.len());
    }
}

#[test]
fn damaged_descriptors_never_panic() {
    let mut chance = Chance(9);
    let batch = [3, 0x0a, 1, 0x61, 2, 0x08, 1, 4, 0x1a, 2, 0x08, 1];
    for _ in 0..20_000 {
        let mut stored = DESCRIPTOR.as_bytes().to_vec();
        for _ in 0..=chance.below(3) {
            let at = chance.below(stored.len() as u64) as usize;
            stored[at] = b"0123456789\"{}[],abdeimnrst:"[chance.below(27) as usize];
        }
        if let Ok(descriptor) = Descriptor::parse(&stored) {
            descriptor.decode_batch(&batch);
            let _ = Encoder::default().lines(
                &descriptor,
                br#"{"a":1,"b":"x","c":{"d":[1.5]},"g":[[1]],"h":0,"j":{"k":{}}}"#,
                &mut Vec::new(),
            );
        }
    }
}
