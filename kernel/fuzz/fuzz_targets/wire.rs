//! Messages straight through a program give what they give by way of JSON, as JSON and as messages again: any bytes as batches,
//! batches made to fit the descriptor, and descriptors made from the bytes. The first byte chooses.

#![no_main]

use std::collections::HashMap;
use std::sync::LazyLock;

use headwater_kernel::link::{Formats, Program};
use headwater_kernel::protobuf::Descriptor;
use headwater_kernel::protobuf::encode::Encoder;
use headwater_kernel::run::{self, Pool};
use headwater_kernel_fuzz::choice::Choices;
use headwater_kernel_fuzz::{made, mutate, ran};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const DESCRIPTOR: &str = include_str!("../seeds/descriptor.json");

/// The same rules over messages and over JSON, and what writes messages.
struct Both {
    descriptor: Descriptor,
    messages: Program,
    lines: Program,
    /// What rows are where they are messages.
    row: Descriptor,
    to_messages: Program,
    lines_to_messages: Program,
}

impl Both {
    fn new(descriptor: &[u8]) -> Option<Both> {
        let parsed = Descriptor::parse(descriptor).ok()?;
        let input = || Some(Descriptor::parse(descriptor).unwrap());
        let row = || Descriptor::parse(&renumbered(descriptor)).unwrap();
        let rules = made::rules_of_messages();
        let link = |input: Option<Descriptor>, outputs: bool| {
            let lines = Program::link(&rules).unwrap();
            let datasets = lines.datasets.iter().filter(|_| outputs);
            let outputs: HashMap<String, Descriptor> = datasets.map(|name| (name.clone(), row())).collect();
            Program::link_formats(&rules, Formats { input, outputs, ..Formats::default() })
        };
        let messages = match link(input(), false) {
            Ok(program) => program,
            Err(said) => {
                assert!(!said.contains("unexpectedly"), "{said}");
                return None;
            }
        };
        let (to_messages, lines_to_messages) = (link(input(), true).ok()?, link(None, true).ok()?);
        let lines = link(None, false).unwrap();
        Some(Both { descriptor: parsed, messages, lines, row: row(), to_messages, lines_to_messages })
    }
}

/// The same fields under other numbers: none of its messages can be passed on as they are.
fn renumbered(descriptor: &[u8]) -> Vec<u8> {
    let mut stored: serde_json::Value = serde_json::from_slice(descriptor).unwrap();
    for field in stored["messages"][0]["fields"].as_array_mut().unwrap() {
        let number = field["number"].as_u64().unwrap();
        if number < 1 << 28 {
            field["number"] = (number + 30).into();
        }
    }
    stored.to_string().into_bytes()
}

static KNOWN: LazyLock<Both> = LazyLock::new(|| Both::new(DESCRIPTOR.as_bytes()).unwrap());

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if data[..size].first().is_some_and(|first| *first < 192) {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    mutate::json(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    match first {
        0..64 => check(&KNOWN, rest),
        64..192 => {
            let mut choices = Choices::new(rest);
            let mut batch = Vec::new();
            for _ in 0..1 + choices.below(4) {
                delimited(&made::message(&mut choices, 0), &mut batch);
            }
            check(&KNOWN, &batch);
        }
        _ => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let Some(both) = Both::new(&rest[..end]) else { return };
            check(&both, rest.get(end + 1..).unwrap_or_default());
            check(&both, b"\x0e\x08\x05\x12\x02\xc3\xa9\x1a\x02\x08\x01\x48\x03\x6a\x00");
            let mut batch = Vec::new();
            let row = br#"{"a":1,"b":"x","c":{"a":2,"c":{"b":"y"}},"d":[1.5,2],"g":[[1,2],[]],"h":0,"i":0,"k":[true]}"#;
            if Encoder::default().lines(&both.descriptor, row, &mut batch).is_ok() {
                check(&both, &batch);
            }
        }
    }
});

fn delimited(message: &[u8], out: &mut Vec<u8>) {
    let mut length = message.len();
    while length >= 128 {
        out.push(length as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(message);
}

fn check(both: &Both, batch: &[u8]) {
    let decoded = both.descriptor.decode_batch(batch);
    let mut expected = ran::Given::default();
    // Refused messages are empty lines, which are passed over but numbered.
    let lines = run::run_lines(&both.lines, &Pool::default(), &decoded.lines);
    expected.add(&lines, &decoded.lines, 0);
    expected.rejects.extend(decoded.rejects.iter().map(|(number, malformed)| (*number, malformed.reason)));
    expected.rejects.sort_unstable();
    expected.events += decoded.rejects.len() as u64;
    if decoded.read < batch.len() {
        expected.events += 1;
        expected.rejects.push((decoded.places.len(), "cut_off"));
    }
    let pool = Pool::default();
    for _ in 0..2 {
        let ran = run::run_lines(&both.messages, &pool, batch);
        let mut straight = ran::Given::default();
        straight.add(&ran, batch, 0);
        straight.rejects.sort_unstable();
        assert_eq!(straight, expected);
        pool.give_outputs(ran.outputs);
    }
    // Each alone, by items, whatever stands behind it.
    let refused = |number: &usize| decoded.rejects.iter().any(|(rejected, _)| rejected == number);
    let places = decoded.places.iter().enumerate().filter(|(number, _)| !refused(number));
    let items: Vec<&[u8]> = places.map(|(_, (start, end))| &batch[*start..*end]).collect();
    let ran = run::run_items(&both.messages, &pool, &items);
    let mut alone = ran::Given::default();
    alone.add(&ran, &[], 0);
    assert_eq!(alone.outputs, expected.outputs);
    check_written(both, &expected, batch, &decoded.lines);
}

/// Rows that are written as messages are those that their JSON is encoded as.
fn check_written(both: &Both, expected: &ran::Given, batch: &[u8], lines: &[u8]) {
    for (program, input) in [(&both.to_messages, batch), (&both.lines_to_messages, lines)] {
        let ran = run::run_lines(program, &Pool::default(), input);
        let mut given = ran::Given::default();
        given.add(&ran, input, 0);
        assert_eq!((&given.rules, &given.fields), (&expected.rules, &expected.fields));
        for (dataset, rows) in &expected.outputs {
            let mut encoded = Vec::new();
            Encoder::default().lines(&both.row, rows, &mut encoded).unwrap();
            let name = &program.datasets[*dataset as usize];
            assert_eq!(given.outputs.get(dataset), Some(&encoded), "{name} {}", String::from_utf8_lossy(rows));
        }
    }
}
