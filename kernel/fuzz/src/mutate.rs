//! Mutation that knows JSON: values change places, are repeated, nested and replaced by words that the kernel has a use for.

use headwater_kernel::json::{Cursor, Span};

/// The mutator of targets whose inputs are JSON texts with other bytes around them. Half of the time bytes are mutated blindly.
pub fn json(data: &mut [u8], size: usize, size_max: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed) << 1 | 1);
    if random.below(2) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, size_max);
    }
    let text = &data[..size];
    let spans = values(text);
    if spans.is_empty() {
        return libfuzzer_sys::fuzzer_mutate(data, size, size_max);
    }
    let pick = |random: &mut Random| spans[random.below(spans.len())];
    let (target, other) = (pick(&mut random), pick(&mut random));
    let with: Vec<u8> = match random.below(6) {
        0 | 1 => text[other.start..other.end].to_vec(),
        2 => [b"[", &text[target.start..target.end], b",", &text[other.start..other.end], b"]"].concat(),
        3 => [b"{\"a\":", &text[target.start..target.end], b",\"a\":", &text[other.start..other.end], b"}"].concat(),
        4 => repeated(&text[target.start..target.end], 1 + random.below(40)),
        _ => WORDS[random.below(WORDS.len())].as_bytes().to_vec(),
    };
    let changed = [&text[..target.start], &with, &text[target.end..]].concat();
    let kept = changed.len().min(size_max).min(data.len());
    data[..kept].copy_from_slice(&changed[..kept]);
    kept
}

fn repeated(value: &[u8], times: usize) -> Vec<u8> {
    let mut out = value.to_vec();
    for _ in 1..times {
        out.push(b',');
        out.extend_from_slice(value);
    }
    out
}

/// Where whole values stand, those inside others included.
fn values(text: &[u8]) -> Vec<Span> {
    const VALUES_MAX: usize = 4096;
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() && found.len() < VALUES_MAX {
        let starts = matches!(text[at], b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
        let mut cursor = Cursor::from(text, at);
        match if starts { cursor.value() } else { cursor.fail(headwater_kernel::json::Reason::Trailing) } {
            Ok(span) => {
                found.push(span);
                at = if matches!(text[at], b'{' | b'[') { at + 1 } else { span.end };
            }
            Err(_) => at += 1,
        }
    }
    found
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 16) as usize % limit
    }
}

const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1e400",
    "9223372036854775807",
    "-9223372036854775808",
    "123456789012345678",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0061\"",
    "\"é\\n\"",
    "\"2026-01-02T03:04:05.678901+01:00\"",
    "\"a_key_of_32_bytes_with_its_colon\"",
    "{}",
    "[]",
    "[[]]",
    "\"NULL\"",
    "\"BIGINT\"",
    "\"DOUBLE\"",
    "\"BOOLEAN\"",
    "\"VARCHAR\"",
    "\"TIMESTAMP\"",
    "\"JSON\"",
    "{\"list\":\"VARCHAR\"}",
    "{\"struct\":[[\"a\",\"BIGINT\"],[\"b\",{\"list\":\"JSON\"}]]}",
    "[\"field\",[\"a\",\"b\"],\"VARCHAR\"]",
    "[\"literal\",\"VARCHAR\",\"x%_(a|b)*\"]",
    "[\"literal\",\"BIGINT\",-9223372036854775808]",
    "{\"star\":true,\"exclude\":[\"a\"],\"replace\":[[\"b\",[\"literal\",\"BIGINT\",1]]]}",
];
