//! Any bytes as descriptors and as messages: what is read is one line of JSON, and what was written from JSON reads and writes
//! the same again. The first byte says whether the descriptor is a known one or stands in front of the messages, up to a zero.

#![no_main]

use std::sync::LazyLock;

use headwater_kernel::json;
use headwater_kernel::protobuf::Descriptor;
use headwater_kernel::protobuf::encode::Encoder;
use headwater_kernel_fuzz::mutate;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const EVERY_KIND: &str = include_str!("../seeds/descriptor.json");

static KNOWN: LazyLock<Descriptor> = LazyLock::new(|| Descriptor::parse(EVERY_KIND.as_bytes()).unwrap());

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if data[..size].first().is_some_and(|first| *first < 128) {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    mutate::json(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    match first {
        0..64 => check_batch(&KNOWN, rest),
        64..128 => check_rows(&KNOWN, rest),
        _ => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let Ok(descriptor) = Descriptor::parse(&rest[..end]) else { return };
            let rest = rest.get(end + 1..).unwrap_or_default();
            check_batch(&descriptor, rest);
            check_rows(&descriptor, rest);
            check_rows(&descriptor, EVENT);
        }
    }
});

/// Names that descriptors made by mutation are likely to have.
const EVENT: &[u8] = br#"{"a":1,"b":"x","c":{"a":2,"c":{"b":"y"}},"d":[1.5,2],"e":{"x":[1]},"f":{"i":-3},"g":[[1,2],[]],"h":0,"j":{"k":{}},"k":[true]}"#;

fn check_batch(descriptor: &Descriptor, batch: &[u8]) {
    let decoded = descriptor.decode_batch(batch);
    assert!(decoded.read <= batch.len());
    let lines: Vec<&[u8]> = decoded.lines.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), decoded.places.len() + 1);
    for (number, line) in lines[..decoded.places.len()].iter().enumerate() {
        let refused = decoded.rejects.iter().any(|(rejected, _)| *rejected == number);
        assert_eq!(line.is_empty(), refused);
        assert!(refused || line.starts_with(b"{") || !is_struct(descriptor));
        assert!(refused || json::check(line).is_ok(), "{}", String::from_utf8_lossy(line));
    }
    for (rejected, malformed) in &decoded.rejects {
        let (_, end) = decoded.places[*rejected];
        assert!(malformed.at <= end, "{malformed:?}");
    }
    if is_struct(descriptor) {
        check_rows(descriptor, &decoded.lines);
    }
}

/// Whether the outermost message is an object, as that of a dataset is: not a list, not a moment.
fn is_struct(descriptor: &Descriptor) -> bool {
    descriptor.structs[0].meaning == headwater_kernel::protobuf::descriptor::Meaning::None
}

fn check_rows(descriptor: &Descriptor, lines: &[u8]) {
    let Ok((batch, written)) = encoded(descriptor, lines) else { return };
    let read = descriptor.decode_batch(&batch);
    assert!(read.rejects.is_empty() && read.read == batch.len(), "{:?}", String::from_utf8_lossy(lines));
    assert_eq!(read.places.len() as u64, written);
    if !is_struct(descriptor) {
        return;
    }
    let (again, _) = encoded(descriptor, &read.lines).unwrap();
    let twice = descriptor.decode_batch(&again);
    assert_eq!(String::from_utf8_lossy(&twice.lines), String::from_utf8_lossy(&read.lines));
}

fn encoded(descriptor: &Descriptor, lines: &[u8]) -> Result<(Vec<u8>, u64), usize> {
    let mut out = Vec::new();
    let written = Encoder::default().lines(descriptor, lines, &mut out).map_err(|error| error.line)?;
    Ok((out, written))
}
