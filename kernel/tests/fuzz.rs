//! Random events, mutated byte by byte, against serde_json as the outside witness of what is well-formed.

mod random;

use headwater_kernel::json;
use headwater_kernel::link::Program;
use headwater_kernel::run::{self, Pool};
use serde::de::IgnoredAny;

use random::Random;

const ROUNDS: usize = 60_000;

const KEYS: &[&str] =
    &[r#""event""#, r#""a""#, r#""b""#, r#""\u0061""#, r#""n""#, r#""s""#, r#""""#, r#""\ud800""#, r#""long_key_of_20_bytes""#];
const SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "12",
    "-7",
    "1.0",
    "1e3",
    "1e400",
    "9223372036854775807",
    "9223372036854775808",
    "2.5",
    r#""like""#,
    r#""12""#,
    r#""-0""#,
    r#""1e3""#,
    r#""TRUE""#,
    r#""2026-01-02T03:04:05+01:00""#,
    r#""""#,
    r#""é🎬""#,
    r#""\ud83c\udfac\n""#,
    r#""\ud83c""#,
    r#""0x1F""#,
    r#""a longer text that takes more than thirty-two bytes""#,
    r#""\"\\\/\b\f\n\r\t""#,
];
const SPACES: &[&str] = &["", "", "", "", " ", "\t", "\r", "  "];
/// Bytes that a mutation puts in.
const BYTES: &[u8] = b"\"\\{}[]:,0123456789eE+-.truefalsn \t\r\x00\x1f\x7f\x80\xc3\xa9\xed\xa0\xff/ub";

fn value(random: &mut Random, depth: usize, out: &mut String) {
    let space = random.pick(SPACES);
    out.push_str(space);
    match if depth == 0 { 2 } else { random.below(4) } {
        0 => {
            out.push('{');
            for at in 0..random.below(5) {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(random.pick(SPACES));
                out.push_str(random.pick(KEYS));
                out.push_str(random.pick(SPACES));
                out.push(':');
                value(random, depth - 1, out);
            }
            out.push_str(random.pick(SPACES));
            out.push('}');
        }
        1 => {
            out.push('[');
            for at in 0..random.below(4) {
                out.push_str(if at > 0 { "," } else { "" });
                value(random, depth - 1, out);
            }
            out.push(']');
        }
        _ => out.push_str(random.pick(SCALARS)),
    }
    let space = random.pick(SPACES);
    out.push_str(space);
}

fn event(random: &mut Random) -> Vec<u8> {
    let mut text = String::from("{");
    for at in 0..random.below(7) {
        text.push_str(if at > 0 { "," } else { "" });
        text.push_str(random.pick(KEYS));
        text.push(':');
        value(random, 3, &mut text);
    }
    text.push('}');
    text.into_bytes()
}

fn mutate(random: &mut Random, text: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        let at = random.below(text.len() + 1);
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(4) {
            0 => text.insert(at, byte),
            1 if at < text.len() => drop(text.remove(at)),
            2 if at < text.len() => text[at] = byte,
            3 => text.truncate(at),
            _ => {}
        }
    }
    text.retain(|byte| *byte != b'\n');
}

fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok() && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

const NESTED: &str =
    r#"{"struct":[["a","BIGINT"],["b",{"list":"VARCHAR"}],["s",{"struct":[["n","DOUBLE"],["a","TIMESTAMP"]]}]]}"#;

fn rules() -> Vec<Vec<u8>> {
    let field = |path: &str, kind: &str| format!(r#"["field",[{path}],{kind}]"#);
    let call = |op: &str, kind: &str, arguments: &[&str]| format!(r#"["call","{op}","{kind}",[{}]]"#, arguments.join(","));
    let text = |path: &str| field(path, r#""VARCHAR""#);
    let whole = |path: &str| field(path, r#""BIGINT""#);
    let like = r#"["literal","VARCHAR","like"]"#;
    let number = call("cast", "BIGINT", &[&text(r#""a""#)]);
    let zero = r#"["literal","BIGINT",0]"#;
    let columns = [
        ("whole", whole(r#""n""#)),
        ("text", text(r#""s""#)),
        ("real", field(r#""n""#, r#""DOUBLE""#)),
        ("flag", field(r#""a""#, r#""BOOLEAN""#)),
        ("time", field(r#""s""#, r#""TIMESTAMP""#)),
        ("json", field(r#""b""#, r#""JSON""#)),
        ("nested", field(r#""a""#, NESTED)),
        ("list", field(r#""b""#, &format!(r#"{{"list":{NESTED}}}"#))),
        ("inner", text(r#""a","b""#)),
        ("upper", call("upper", "VARCHAR", &[&text(r#""a""#)])),
        ("part", call("substring", "VARCHAR", &[&text(r#""s""#), r#"["literal","BIGINT",-3]"#])),
        ("made", call("concat", "VARCHAR", &[&text(r#""s""#), like, &text(r#""event""#)])),
        ("sum", call("add", "BIGINT", &[&whole(r#""n""#), &whole(r#""a""#)])),
        ("rest", call("mod", "BIGINT", &[&whole(r#""n""#), &whole(r#""a""#)])),
        ("tried", call("try_cast", "DOUBLE", &[&text(r#""a""#)])),
    ];
    let rule = |name: &str, filter: &str, select: &str| {
        let head = format!(r#"{{"format":1,"name":"{name}","from":"e","into":"{name}""#);
        format!(r#"{head},"where":{filter},"select":{select}}}"#).into_bytes()
    };
    let mut rules = vec![
        rule("star", "null", r#"{"star":true}"#),
        rule("less", "null", r#"{"star":true,"exclude":["a"]}"#),
        rule("more", "null", &format!(r#"{{"star":true,"replace":[["b",{}],["z",{like}]]}}"#, text(r#""n""#))),
        rule("like", &call("eq", "BOOLEAN", &[&text(r#""event""#), like]), &format!(r#"[["n",{}]]"#, whole(r#""n""#))),
        rule("fails", &call("gt", "BOOLEAN", &[&number, zero]), r#"[["x",["literal","BOOLEAN",true]]]"#),
    ];
    // Rows that begin alike, of which some fail.
    for (name, value) in &columns {
        let leading = format!(r#"["n",{}],["s",{}],["l",{like}]"#, whole(r#""n""#), text(r#""s""#));
        rules.push(rule(&format!("long_{name}"), "null", &format!(r#"[{leading},["{name}",{value}]]"#)));
    }
    for (name, value) in columns {
        rules.push(rule(name, "null", &format!(r#"[["{name}",{value}]]"#)));
    }
    rules
}

#[test]
fn accepts_and_refuses_what_serde_json_does() {
    let mut random = Random(0x5EED_0001);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let mut text = event(&mut random);
        mutate(&mut random, &mut text);
        let ours = json::check(&text);
        assert_eq!(ours.is_ok(), is_json(&text), "{} {ours:?}", String::from_utf8_lossy(&text));
        accepted += ours.is_ok() as usize;
    }
    assert!(accepted > ROUNDS / 10 && accepted < ROUNDS * 9 / 10, "{accepted} of {ROUNDS}");
}

#[test]
fn no_event_breaks_a_program_and_every_row_is_json() {
    let mut random = Random(0x5EED_0002);
    let rules = rules();
    let program = Program::link(&rules).unwrap();
    let pool = Pool::default();
    for _ in 0..ROUNDS / 100 {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for _ in 0..100 {
            let mut text = event(&mut random);
            mutate(&mut random, &mut text);
            lines.push(text);
        }
        let blank = |line: &Vec<u8>| line.iter().all(|byte| b" \t\r".contains(byte));
        let events = lines.iter().filter(|line| !blank(line)).count();
        let objects = lines.iter().filter(|line| is_json(line) && line.trim_ascii_start().starts_with(b"{")).count();
        let joined = lines.join(&b'\n');
        let batch = run::run_lines(&program, &pool, &joined);
        let items: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let again = run::run_items(&program, &pool, &items);
        assert_eq!((batch.events as usize, batch.rejects.len()), (events, events - objects));
        let outputs = batch.outputs.collect(&joined);
        assert_eq!((&outputs, &batch.rules, &batch.fields), (&again.outputs.collect(&[]), &again.rules, &again.fields));
        assert_eq!(batch.rules.iter().find(|(rule, _)| *rule == 0).map_or(0, |(_, of)| of.matched as usize), objects);
        for (dataset, rows, bytes) in &outputs {
            assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count() as u64, *rows);
            for row in bytes.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()) {
                let name = &program.datasets[*dataset as usize];
                assert!(is_json(row) && row.starts_with(b"{"), "{name}: {}", String::from_utf8_lossy(row));
            }
        }
        pool.give_outputs(batch.outputs);
    }
}

#[test]
fn no_bytes_break_linking() {
    let mut random = Random(0x5EED_0003);
    let rules = rules();
    let mut linked = 0;
    for _ in 0..ROUNDS / 40 {
        let mut rule = rules[random.below(rules.len())].clone();
        mutate(&mut random, &mut rule);
        linked += Program::link(&[rule]).is_ok() as usize;
    }
    assert!(linked > 0);
}
