//! Random bytes as messages and as descriptors: nothing panics, what is read is well-formed JSON, and what is written reads back.

use headwater_kernel::json;
use headwater_kernel::link::{Formats, Program};
use headwater_kernel::protobuf::Descriptor;
use headwater_kernel::protobuf::encode::Encoder;
use headwater_kernel::run::{Pool, run_lines};

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

/// Reads every field as what it is, some as what they are not.
const FIELDS: [(&str, &str); 14] = [
    ("a", "\"BIGINT\""),
    ("b", "\"VARCHAR\""),
    ("c", r#"{"struct":[["a","BIGINT"],["b","VARCHAR"],["d",{"list":"DOUBLE"}]]}"#),
    ("c.b", "\"VARCHAR\""),
    ("d", r#"{"list":"DOUBLE"}"#),
    ("e", "\"JSON\""),
    ("g", r#"{"list":{"list":"BIGINT"}}"#),
    ("h", "\"TIMESTAMP\""),
    ("i", "\"BIGINT\""),
    ("j", "\"JSON\""),
    ("k", r#"{"list":"BOOLEAN"}"#),
    ("l", "\"VARCHAR\""),
    ("m", "\"VARCHAR\""),
    ("n", "\"VARCHAR\""),
];

fn rules() -> Vec<Vec<u8>> {
    let columns: Vec<String> = FIELDS
        .iter()
        .map(|(path, kind)| {
            let steps: Vec<String> = path.split('.').map(|step| format!("\"{step}\"")).collect();
            format!("[\"{}\",[\"field\",[{}],{kind}]]", path.replace('.', "_"), steps.join(","))
        })
        .collect();
    let star = r#"{"star":true,"exclude":["a"],"replace":[]}"#.to_owned();
    let rule = |(name, select): (&str, String)| {
        let head = r#""format":1,"owner":null,"tier":null,"description":null,"from":"events","where":null"#;
        format!("{{{head},\"name\":\"{name}\",\"into\":\"{name}\",\"select\":{select}}}").into_bytes()
    };
    [("row", format!("[{}]", columns.join(","))), ("star", star)].into_iter().map(rule).collect()
}

#[test]
fn rules_over_messages_give_what_they_give_over_their_json() {
    let descriptor = || Descriptor::parse(DESCRIPTOR.as_bytes()).unwrap();
    let outputs = || ["row", "star"].map(|dataset| (dataset.to_owned(), descriptor())).into();
    let from_json = Program::link(&rules()).unwrap();
    let from_messages = Program::link_formats(&rules(), Formats { input: Some(descriptor()), ..Formats::default() }).unwrap();
    let to_messages =
        Program::link_formats(&rules(), Formats { input: Some(descriptor()), outputs: outputs(), ..Formats::default() }).unwrap();
    let pools = [Pool::default(), Pool::default(), Pool::default()];
    let mut chance = Chance(10);
    for _ in 0..5_000 {
        let mut batch = Vec::new();
        for _ in 0..4 {
            let payload = payload(&mut chance, 0);
            batch.extend_from_slice(&[payload.len() as u8 & 0x7f | 0x80, (payload.len() >> 7) as u8 & 0x7f]);
            batch.extend(payload);
        }
        let decoded = descriptor().decode_batch(&batch);
        let expected = run_lines(&from_json, &pools[0], &decoded.lines);
        let found = run_lines(&from_messages, &pools[1], &batch);
        let rows = expected.outputs.collect(&decoded.lines);
        assert_eq!(found.outputs.collect(&batch), rows);
        assert_eq!((&found.rules, &found.fields), (&expected.rules, &expected.fields));
        let refused: Vec<_> = found.rejects.iter().map(|reject| (reject.position.index, reject.reason, reject.offset)).collect();
        let known: Vec<_> = decoded.rejects.iter().map(|(index, malformed)| (*index, malformed.reason, malformed.at)).collect();
        assert_eq!(refused, known);
        let written = run_lines(&to_messages, &pools[2], &batch);
        for ((_, count, encoded), (_, _, lines)) in written.outputs.collect(&batch).iter().zip(&rows) {
            let mut again = Vec::new();
            assert_eq!(Encoder::default().lines(&descriptor(), lines, &mut again).unwrap(), *count);
            assert_eq!(*encoded, again);
        }
    }
}

#[test]
fn programs_over_damaged_descriptors_and_random_bytes_never_panic() {
    let mut chance = Chance(11);
    let mut linked = 0;
    for _ in 0..10_000 {
        let mut stored = DESCRIPTOR.as_bytes().to_vec();
        for _ in 0..=chance.below(3) {
            let at = chance.below(stored.len() as u64) as usize;
            stored[at] = b"0123456789\"{}[],abdeimnrst:"[chance.below(27) as usize];
        }
        let Ok(input) = Descriptor::parse(&stored) else { continue };
        let outputs = [("row".to_owned(), Descriptor::parse(&stored).unwrap())].into();
        let program = Program::link_formats(&rules(), Formats { input: Some(input), outputs, ..Formats::default() }).unwrap();
        linked += 1;
        let pool = Pool::default();
        for _ in 0..20 {
            let mut batch: Vec<u8> = (0..chance.below(40)).map(|_| chance.next() as u8 % 40).collect();
            let payload = payload(&mut chance, 0);
            batch.insert(0, payload.len().min(127) as u8);
            batch.splice(1..1, payload);
            run_lines(&program, &pool, &batch);
        }
    }
    assert!(linked > 300, "{linked}");
}
