//! Random events one after the other through one pool, beside each of them alone: what came before changes nothing.
//!
//! Alone, an event has a space before it. White space keeps the scan from taking a nested value's text as it is, so that the
//! two ways to write one are held against each other as well. What is well-formed, the strict cursor says.

mod random;

use std::process::Command;

use headwater_kernel::json::{self, Kind};
use headwater_kernel::link::Program;
use headwater_kernel::record::RecordRef;
use headwater_kernel::run::{self, Batch, Origin, Pool};
use headwater_kernel::structure::{DISPATCH_VARIABLE, Dispatch};

use random::Random;

/// `HEADWATER_FUZZ_BATCHES` asks for more.
const BATCHES: u64 = 300;
const EVENTS_MAX: usize = 24;

/// One of the words of a text.
fn word<'a>(random: &mut Random, of: &'a str) -> &'a str {
    let count = of.split_ascii_whitespace().count();
    of.split_ascii_whitespace().nth(random.below(count)).unwrap_or_default()
}

const KEYS: &str = r#""a" "b" "s" "n" "t" "l" "u" "x" "y" "" "\u0061" "\u006e" "\n" "\ud800" "\uD800" "é"
    "a_key_of_32_bytes_with_its_colon" "a_key_of_30_bytes_or_some_" "a_key_that_is_longer_than_a_label_may_be""#;
const SCALARS: &str = r#"null true false 0 -0 12 -7 1.0 -0.5 1e3 1e400 123456789012345678 1234567890123456789 12345678901234.25
    9223372036854775808 "12" "x" "d" "TRUE" "\n" "\ud83c\udfac" "\ud83c" "2026-01-02T03:04:05+01:00" "é🎬"
    "{\"a\":1}" "a\\" {} []"#;
const SPACES: &[&str] = &["", " ", "\t", "\r", "  "];
const BYTES: &[u8] = b"\"\\{}[]:,0129eE+-.truefalsnd \t\r\x00\x0b\x0c\x1a\x1f\x7f\x80\xc3\xa9\xed\xa0\xff/ub;;";

fn value(random: &mut Random, depth: usize, wide: bool, out: &mut String) {
    let space = |random: &mut Random| if wide { random.pick(SPACES) } else { "" };
    out.push_str(space(random));
    let kind = if depth == 0 { 9 } else { random.below(8) };
    let (brackets, count) = (if kind == 3 { ["[", "]"] } else { ["{", "}"] }, random.below(6));
    if kind > 3 {
        out.push_str(word(random, SCALARS));
    } else {
        out.push_str(brackets[0]);
        for at in 0..count {
            out.push_str(if at > 0 { "," } else { "" });
            if kind < 3 {
                out.push_str(space(random));
                out.push_str(word(random, KEYS));
                out.push_str(space(random));
                out.push(':');
            }
            value(random, depth - 1, wide, out);
        }
        out.push_str(space(random));
        out.push_str(brackets[1]);
    }
    out.push_str(space(random));
}

fn object(random: &mut Random) -> Vec<u8> {
    let wide = random.below(4) == 0;
    let mut text = String::from("{");
    for at in 0..random.below(9) {
        text.push_str(if at > 0 { "," } else { "" });
        text.push_str(word(random, KEYS));
        text.push(':');
        value(random, 4, wide, &mut text);
    }
    if random.below(6) == 0 {
        // Ends at a block of 64 bytes, so that nothing of it is behind the end.
        text.push_str(if text.len() > 1 { r#","p":"\n"# } else { r#""p":"\n"# });
        let tail = random.pick(&["\"}", "\"", "\",\"b\"", "\",\"b\":", "\",\"a\":[", "\",\"s\":{", "\",", "\",\"n\":[1,"]);
        text.push_str(&"x".repeat((128 - (text.len() + tail.len()) % 64) % 64));
        text.push_str(tail);
        return text.into_bytes();
    }
    text.push('}');
    text.into_bytes()
}

/// Puts a key in the place of one, so that the text's shape stays.
fn other_key(random: &mut Random, text: &mut Vec<u8>) {
    let ends: Vec<usize> = (1..text.len()).filter(|at| text[at - 1..=*at] == *b"\":").collect();
    if let Some(end) = (!ends.is_empty()).then(|| ends[random.below(ends.len())])
        && let Some(start) = text[..end - 1].iter().rposition(|byte| *byte == b'"')
    {
        text.splice(start..end, word(random, KEYS).bytes()).for_each(drop);
    }
}

/// An event: new, or one of those before it, and perhaps with other bytes in it.
fn event(random: &mut Random, before: &[Vec<u8>]) -> Vec<u8> {
    let again = !before.is_empty() && random.below(3) > 0;
    let mut text = if again { before[random.below(before.len())].clone() } else { object(random) };
    for _ in 0..random.below(3) {
        let at = random.below(text.len() + 1);
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(17) {
            0..5 => text.insert(at, byte),
            5..8 if at < text.len() => drop(text.remove(at)),
            8..11 if at < text.len() => text[at] = byte,
            11 => text.truncate(at),
            12 => text.splice(at..at, word(random, KEYS).bytes()).for_each(drop),
            13 => other_key(random, &mut text),
            _ => {}
        }
    }
    text.retain(|byte| *byte != b'\n');
    text
}

fn program() -> Program {
    let field = |path: &str, kind: &str| format!(r#"["field",[{path}],{kind}]"#);
    let inner = r#"{"struct":[["n","BIGINT"],["x","DOUBLE"],["b",{"list":"VARCHAR"}]]}"#;
    let outer = format!(r#"{{"struct":[["s",{inner}],["t","VARCHAR"],["n","BIGINT"],["a","JSON"],["l",{{"list":"BIGINT"}}]]}}"#);
    let columns = [
        (r#""a""#, outer.clone()),
        (r#""a","s""#, r#"{"struct":[["n","BIGINT"],["y","VARCHAR"]]}"#.to_owned()),
        (r#""s""#, inner.to_owned()),
        (r#""s","b""#, r#"{"list":"VARCHAR"}"#.to_owned()),
        (r#""t""#, r#"{"list":"DOUBLE"}"#.to_owned()),
        (r#""l""#, format!(r#"{{"list":{inner}}}"#)),
        (r#""n""#, r#""BIGINT""#.to_owned()),
        (r#""x""#, r#""DOUBLE""#.to_owned()),
        (r#""y""#, r#""VARCHAR""#.to_owned()),
        (r#""b""#, r#""JSON""#.to_owned()),
        (r#""b","n""#, r#""BOOLEAN""#.to_owned()),
        (r#""b","x","x""#, r#""TIMESTAMP""#.to_owned()),
        (r#""u""#, r#""VARCHAR""#.to_owned()),
        (r#""u""#, r#""BIGINT""#.to_owned()),
        (r#""a_key_of_32_bytes_with_its_colon""#, r#""VARCHAR""#.to_owned()),
    ];
    let rule = |name: &str, select: &str| {
        format!(r#"{{"format":1,"name":"{name}","from":"e","into":"{name}","where":null,"select":{select}}}"#).into_bytes()
    };
    let mut rules = vec![rule("star", r#"{"star":true}"#), rule("less", r#"{"star":true,"exclude":["a"]}"#)];
    for (number, (path, kind)) in columns.iter().enumerate() {
        rules.push(rule(&format!("r{number:02}"), &format!(r#"[["v",{}]]"#, field(path, kind))));
    }
    Program::link(&rules).unwrap()
}

/// What batches gave, added up: outputs by dataset, counters, rejects.
#[derive(Debug, Default, PartialEq)]
struct Given {
    outputs: std::collections::BTreeMap<u32, Vec<u8>>,
    rules: std::collections::BTreeMap<u32, u64>,
    fields: std::collections::BTreeMap<u32, (u64, u64)>,
    rejects: Vec<(usize, &'static str)>,
}

impl Given {
    fn add(&mut self, batch: &Batch, input: &[u8], first: usize) {
        for (dataset, _, bytes) in batch.outputs.collect(input) {
            self.outputs.entry(dataset).or_default().extend(bytes);
        }
        for (rule, counts) in &batch.rules {
            *self.rules.entry(*rule).or_default() += counts.matched;
        }
        // Whether fields are there is looked at for some events only.
        for (path, counts) in batch.fields.iter().filter(|(_, of)| of.coerced + of.type_errors > 0) {
            let known = self.fields.entry(*path).or_default();
            *known = (known.0 + counts.coerced, known.1 + counts.type_errors);
        }
        self.rejects.extend(batch.rejects.iter().map(|reject| (first + reject.position.index, reject.reason)));
    }
}

const ORIGIN: Origin = Origin { topic: "t", partition: 0, first_offset: 0, snapshot: 1 };

/// Records of these payloads. The first byte of the next one, which is of its length, is often one that JSON has a use for.
fn records(random: &mut Random, payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let record = |random: &mut Random, payload: &Vec<u8>| {
        let wanted = b":\",]}{[0-t"[random.below(10)];
        let plain = 44 + 1 + payload.len();
        let key = "k".repeat((wanted as usize + 256 - plain % 256) % 256);
        let mut out = Vec::new();
        RecordRef { key: &key, origin_topic: "o", payload, ..RecordRef::default() }.encode(&mut out).unwrap();
        out
    };
    payloads.iter().map(|payload| record(random, payload)).collect()
}

fn spaced(text: &[u8]) -> Vec<u8> {
    [b" ", text].concat()
}

fn run_one_after_the_other() -> (usize, usize) {
    let mut random = Random(0x5EED_0005);
    let (program, mut pool) = (program(), Pool::default());
    let batches = std::env::var("HEADWATER_FUZZ_BATCHES").ok().and_then(|asked| asked.parse().ok()).unwrap_or(BATCHES);
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..batches {
        if number % 16 == 0 {
            // A pool that met too many shapes learns no more of them.
            pool = Pool::default();
        }
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for _ in 0..1 + random.below(EVENTS_MAX) {
            let text = event(&mut random, &texts);
            texts.push(text);
        }
        texts.retain(|text| !text.iter().all(u8::is_ascii_whitespace));
        let mut alone = Given::default();
        for (index, text) in texts.iter().enumerate() {
            let batch = run::run_items(&program, &Pool::default(), &[&spaced(text)]);
            let fine = json::check(text).is_ok_and(|span| span.kind == Kind::Object);
            assert_eq!(batch.rejects.is_empty(), fine, "{:?}", String::from_utf8_lossy(text));
            *(if fine { &mut accepted } else { &mut refused }) += 1;
            alone.add(&batch, &[], index);
        }
        let said = || texts.iter().map(|text| String::from_utf8_lossy(text)).collect::<Vec<_>>().join("\n");
        let joined = texts.join(&b'\n');
        let (mut lines, mut items) = (Given::default(), Given::default());
        lines.add(&run::run_lines(&program, &pool, &joined), &joined, 0);
        assert_eq!(lines, alone, "{}", said());
        let list: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        items.add(&run::run_items(&program, &pool, &list), &[], 0);
        assert_eq!(items, alone, "{}", said());
        let (mut together, mut each) = (Given::default(), Given::default());
        let list = records(&mut random, &texts);
        let joined = list.concat();
        together.add(&run::run_records(&program, &pool, &joined, ORIGIN).unwrap(), &joined, 0);
        for (index, record) in list.iter().enumerate() {
            each.add(&run::run_records(&program, &Pool::default(), record, ORIGIN).unwrap(), record, index);
        }
        assert_eq!(together, each, "{}", said());
        assert_eq!((&together.rules, &together.fields, &together.rejects), (&alone.rules, &alone.fields, &alone.rejects));
    }
    (accepted, refused)
}

/// A process settles once how it finds structure: for every way there is one.
#[test]
fn what_came_before_an_event_changes_nothing() {
    if std::env::var_os(DISPATCH_VARIABLE).is_some() {
        let (accepted, refused) = run_one_after_the_other();
        assert!(accepted.min(refused) > (accepted + refused) / 10, "{accepted} accepted, {refused} refused");
        return;
    }
    for way in Dispatch::ALL.into_iter().filter(|way| way.available()) {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let ended = again.arg("what_came_before_an_event_changes_nothing").env(DISPATCH_VARIABLE, way.name()).output().unwrap();
        assert!(ended.status.success(), "{way:?}\n{}", String::from_utf8_lossy(&ended.stdout));
    }
}
