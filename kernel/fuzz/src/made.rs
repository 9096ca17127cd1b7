//! Physical rules made of choices: whatever types the operations take, found out by asking them.

use headwater_kernel::op::Op;
use headwater_kernel::types::Type;
use serde_json::{Value as Json, json};

use crate::choice::Choices;

const DEPTH_MAX: usize = 4;
/// Attempts to find arguments that an operation takes.
const ATTEMPTS: usize = 12;

/// An expression as it is stored, and its type.
type Made = (Json, Type);

/// The fields of events: every type, and some paths under several.
const FIELDS: &[(&[&str], &str)] = &[
    (&["a"], "VARCHAR"),
    (&["b"], "VARCHAR"),
    (&["c"], "VARCHAR"),
    (&["n"], "BIGINT"),
    (&["m"], "BIGINT"),
    (&["n"], "DOUBLE"),
    (&["x"], "DOUBLE"),
    (&["f"], "BOOLEAN"),
    (&["g"], "BOOLEAN"),
    (&["t"], "TIMESTAMP"),
    (&["u"], "TIMESTAMP"),
    (&["j"], "JSON"),
    (&["s", "a"], "VARCHAR"),
    (&["s", "n"], "BIGINT"),
    (&["s"], r#"{"struct":[["a","VARCHAR"],["n","BIGINT"],["l",{"list":"VARCHAR"}]]}"#),
    (&["l"], r#"{"list":"VARCHAR"}"#),
    (&["l"], r#"{"list":"BIGINT"}"#),
    (&["d"], r#"{"list":"DOUBLE"}"#),
    (&["o"], r#"{"list":{"struct":[["n","BIGINT"],["x","DOUBLE"]]}}"#),
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "like",
    "12",
    "-0",
    "1e3",
    "é",
    "🎬",
    "%a_%",
    "(a|b)*c",
    "\\d+",
    "i",
    "g",
    "%Y-%m-%d",
    "year",
    "month",
    "week",
    "hour",
    "millisecond",
    ",",
    "\\1",
    "2026-01-02 03:04:05",
    "true",
    "\u{0}",
    "n",
    "a b",
    "\\",
    "x\"y",
];
const NUMBERS: &[i64] =
    &[0, 1, -1, 2, 3, 9, 12, 60, 1000, 86_400_000_000, i64::MAX, i64::MIN, 1_767_322_445_000, -62_135_596_800_000_000, 1 << 53];
const REALS: &[&str] = &["0.0", "-0.0", "0.5", "1.5", "1e3", "1e300", "-2.5", "1e-320", "9223372036854775808.0"];

fn type_of(stored: &Json) -> Type {
    match stored {
        Json::String(name) => match name.as_str() {
            "BIGINT" => Type::BigInt,
            "DOUBLE" => Type::Double,
            "BOOLEAN" => Type::Boolean,
            "VARCHAR" => Type::Varchar,
            "TIMESTAMP" => Type::Timestamp,
            "JSON" => Type::Json,
            _ => Type::Null,
        },
        other => match other["struct"].as_array() {
            Some(fields) => {
                Type::Struct(fields.iter().map(|field| (field[0].as_str().unwrap().to_owned(), type_of(&field[1]))).collect())
            }
            None => Type::List(Box::new(type_of(&other["list"]))),
        },
    }
}

fn stored(kind: &Type) -> Json {
    match kind {
        Type::List(item) => json!({"list": stored(item)}),
        Type::Struct(fields) => {
            let fields: Vec<Json> = fields.iter().map(|(name, kind)| json!([name, stored(kind)])).collect();
            json!({"struct": fields})
        }
        plain => json!(plain.to_string()),
    }
}

fn field(choices: &mut Choices) -> Made {
    let (path, kind) = choices.pick(FIELDS);
    let kind: Json = if kind.starts_with('{') { serde_json::from_str(kind).unwrap() } else { json!(kind) };
    (json!(["field", path, kind]), type_of(&kind))
}

fn literal(choices: &mut Choices) -> Made {
    let number = |choices: &mut Choices| if choices.chance(4) { choices.number() } else { *choices.pick(NUMBERS) };
    let (kind, value) = match choices.below(10) {
        0 => (Type::Null, Json::Null),
        1 => (Type::Boolean, json!(choices.chance(2))),
        2 => (Type::Double, serde_json::from_str(choices.pick(REALS)).unwrap()),
        3 => (Type::Timestamp, json!(number(choices) % 253_402_300_800_000_000)),
        4 | 5 => (Type::BigInt, json!(number(choices))),
        _ => (Type::Varchar, json!(choices.pick(TEXTS))),
    };
    (json!(["literal", stored(&kind), value]), kind)
}

/// An expression of any type.
fn expression(choices: &mut Choices, depth: usize) -> Made {
    match choices.below(if depth >= DEPTH_MAX || choices.is_over() { 6 } else { 16 }) {
        0..4 => field(choices),
        4 | 5 => literal(choices),
        _ => call(choices, depth).unwrap_or_else(|| field(choices)),
    }
}

fn call(choices: &mut Choices, depth: usize) -> Option<Made> {
    let op = *choices.pick(Op::ALL);
    let mut pool: Vec<Made> = (0..3).map(|_| expression(choices, depth + 1)).collect();
    pool.extend([literal(choices), literal(choices)]);
    for _ in 0..ATTEMPTS {
        let count = 1 + choices.below(5);
        let arguments: Vec<&Made> = (0..count).map(|_| &pool[choices.below(pool.len())]).collect();
        let given: Vec<&Type> = arguments.iter().map(|(_, kind)| kind).collect();
        let results = [Type::Boolean, Type::Varchar, Type::BigInt, Type::Double, Type::Timestamp, given[0].clone()];
        let first = choices.below(results.len());
        let fitting = (0..results.len()).map(|at| &results[(first + at) % results.len()]);
        if let Some(kind) = fitting.into_iter().find(|kind| **kind != Type::Null && op.check(kind, &given).is_ok()) {
            let arguments: Vec<&Json> = arguments.iter().map(|(made, _)| made).collect();
            return Some((json!(["call", op.name(), stored(kind), arguments]), kind.clone()));
        }
    }
    None
}

/// A condition: what is not BOOLEAN is asked for being there, or compared.
fn condition(choices: &mut Choices) -> Json {
    let part = |choices: &mut Choices| {
        let (made, kind) = expression(choices, 1);
        match kind {
            Type::Boolean => made,
            Type::Varchar if !choices.chance(3) => {
                json!(["call", "eq", "BOOLEAN", [made, ["literal", "VARCHAR", choices.pick(TEXTS)]]])
            }
            Type::BigInt if !choices.chance(3) => {
                json!([
                    "call",
                    choices.pick(&["lt", "ge", "eq", "ne"]),
                    "BOOLEAN",
                    [made, ["literal", "BIGINT", choices.pick(NUMBERS)]]
                ])
            }
            _ => json!(["call", choices.pick(&["is_null", "is_not_null"]), "BOOLEAN", [made]]),
        }
    };
    let parts: Vec<Json> = (0..1 + choices.below(3)).map(|_| part(choices)).collect();
    match choices.below(4) {
        0 => json!(["call", "or", "BOOLEAN", parts]),
        1 => json!(["call", "not", "BOOLEAN", [["call", "and", "BOOLEAN", parts]]]),
        _ => json!(["call", "and", "BOOLEAN", parts]),
    }
}

/// A rule that writes to a dataset of its own.
pub fn rule(choices: &mut Choices, number: usize) -> Vec<u8> {
    let name = format!("r{number}");
    let filter = if choices.chance(8) { Json::Null } else { condition(choices) };
    let columns = |choices: &mut Choices, most: usize| -> Vec<Json> {
        (0..choices.below(most + 1)).map(|at| json!([format!("c{at}"), expression(choices, 0).0])).collect()
    };
    let select = match choices.below(5) {
        0 => json!({"star": true}),
        1 => {
            let mut replace = columns(choices, 2);
            if let Some(first) = replace.first_mut() {
                first[0] = json!(choices.pick(&["a", "n", "new"]));
            }
            json!({"star": true, "exclude": (0..choices.below(3)).map(|_| *choices.pick(&["b", "s", "l"])).collect::<Vec<_>>(), "replace": replace})
        }
        _ => json!(columns(choices, 4)),
    };
    json!({"format": 1, "name": name, "from": "e", "into": name, "where": filter, "select": select}).to_string().into_bytes()
}

/// Values of the members of events.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "12",
    "-1",
    "3",
    "1.5",
    "1e3",
    "1e400",
    "9223372036854775807",
    "9223372036854775808",
    "\"\"",
    "\"a\"",
    "\"like\"",
    "\"12\"",
    "\"x\\\"y\"",
    "\"é\"",
    "\"\\u00e9\\ud83c\\udfac\"",
    "\"\\ud800\"",
    "\"aabc\"",
    "\"TRUE\"",
    "\"2026-01-02T03:04:05.678901+01:00\"",
    "\"2026-01-02\"",
    "1767322445000",
    "-62135596800000",
    "[]",
    "[1,null,\"2\",3.5]",
    "[\"a\",\"b\",\"\\n\"]",
    "[{\"n\":1,\"x\":2.5,\"z\":0},{}]",
    "{}",
    "{\"a\":\"a\",\"n\":3,\"l\":[\"a\"]}",
    "{\"n\":\"12\",\"q\":{}}",
    "[[1],{\"a\":1}]",
    "\"{\\\"a\\\":1}\"",
];
const KEYS: &[&str] = &["a", "b", "c", "n", "m", "x", "f", "g", "t", "u", "j", "s", "l", "d", "o", "z"];

/// An event with the fields that rules name.
pub fn event(choices: &mut Choices) -> String {
    let mut members: Vec<String> = Vec::new();
    for _ in 0..choices.below(KEYS.len() + 1) {
        members.push(format!("\"{}\":{}", choices.pick(KEYS), choices.pick(VALUES)));
    }
    format!("{{{}}}", members.join(","))
}

/// Rules that read paths as every type, those inside others too, and pass events on.
pub fn paths_of_all_kinds() -> Vec<Vec<u8>> {
    let inner = json!({"struct": [["n", "BIGINT"], ["x", "DOUBLE"], ["b", {"list": "VARCHAR"}]]});
    let outer = json!({"struct": [["s", inner], ["t", "VARCHAR"], ["n", "BIGINT"], ["a", "JSON"], ["l", {"list": "BIGINT"}]]});
    let fields = [
        (vec!["a"], outer),
        (vec!["a", "s"], json!({"struct": [["n", "BIGINT"], ["y", "VARCHAR"]]})),
        (vec!["s"], inner.clone()),
        (vec!["s", "b"], json!({"list": "VARCHAR"})),
        (vec!["t"], json!({"list": "DOUBLE"})),
        (vec!["l"], json!({"list": inner})),
        (vec!["n"], json!("BIGINT")),
        (vec!["x"], json!("DOUBLE")),
        (vec!["y"], json!("VARCHAR")),
        (vec!["b"], json!("JSON")),
        (vec!["b", "n"], json!("BOOLEAN")),
        (vec!["b", "x", "x"], json!("TIMESTAMP")),
        (vec!["u"], json!("VARCHAR")),
        (vec!["u"], json!("BIGINT")),
        (vec![""], json!("VARCHAR")),
        (vec!["a_key_of_32_bytes_with_its_colon"], json!("VARCHAR")),
    ];
    let rule = |name: String, select: Json| {
        json!({"format": 1, "name": name, "from": "e", "into": name, "where": null, "select": select}).to_string().into_bytes()
    };
    let mut rules =
        vec![rule("star".to_owned(), json!({"star": true})), rule("less".to_owned(), json!({"star": true, "exclude": ["a"]}))];
    for (number, (path, kind)) in fields.iter().enumerate() {
        rules.push(rule(format!("r{number:02}"), json!([["v", ["field", path, kind]]])));
    }
    rules
}

/// Rules over the messages of `seeds/descriptor.json`: each field as several types, paths inside, filters, and the event itself.
/// Columns are called as fields are, so that rows fit such messages as well.
pub fn rules_of_messages() -> Vec<Vec<u8>> {
    let inner = json!({"struct": [["a", "BIGINT"], ["b", "VARCHAR"], ["d", {"list": "DOUBLE"}], ["i", "BIGINT"]]});
    let moment = json!({"struct": [["seconds", "BIGINT"], ["nanos", "BIGINT"]]});
    let mut fields = vec![
        (vec!["c"], inner.clone()),
        (vec!["c", "a"], json!("BIGINT")),
        (vec!["c", "c", "b"], json!("VARCHAR")),
        (vec!["c", "c", "h"], json!("TIMESTAMP")),
        (vec!["c", "f", "i"], json!("BIGINT")),
        (vec!["e", "x"], json!("JSON")),
        (vec!["f"], inner),
        (vec!["g"], json!({"list": {"list": "BIGINT"}})),
        (vec!["h"], moment),
        (vec!["j", "k"], json!("JSON")),
    ];
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s"] {
        for kind in ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", "JSON"] {
            fields.push((vec![name], json!(kind)));
        }
        fields.push((vec![name], json!({"list": "BIGINT"})));
    }
    let rule = |name: String, filter: Json, select: Json| {
        json!({"format": 1, "name": name, "from": "e", "into": name, "where": filter, "select": select}).to_string().into_bytes()
    };
    let mut rules = vec![
        rule("star".to_owned(), Json::Null, json!({"star": true})),
        rule("less".to_owned(), Json::Null, json!({"star": true, "exclude": ["a"]})),
    ];
    for (number, (path, kind)) in fields.iter().enumerate() {
        let field = json!(["field", path, kind]);
        rules.push(rule(format!("r{number:03}"), Json::Null, json!([[path[0], field]])));
        if number % 3 == 0 && !matches!(path[0], "a" | "b") {
            let there = json!(["call", "is_not_null", "BOOLEAN", [field]]);
            let row = json!([["a", ["field", ["a"], "BIGINT"]], ["b", ["field", ["b"], "VARCHAR"]], [path[0], field]]);
            rules.push(rule(format!("w{number:03}"), there, row));
        }
    }
    rules
}

/// A message that mostly is what `seeds/descriptor.json` says.
pub fn message(choices: &mut Choices, depth: usize) -> Vec<u8> {
    const WIRES: [u8; 20] = [0, 0, 2, 2, 2, 2, 3, 2, 2, 0, 2, 0, 2, 5, 0, 5, 0, 1, 2, 2];
    let mut out = Vec::new();
    for _ in 0..choices.below(6) {
        let number = 1 + choices.below(19);
        let wire = if choices.chance(16) { choices.below(8) as u8 } else { WIRES[number] };
        let tag = if number == 15 { 2000 } else { number as u32 } << 3 | u32::from(wire);
        varint(u64::from(tag), &mut out);
        match wire {
            0 if choices.chance(8) => out.extend([0x80, 0x00]),
            0 => varint(if choices.chance(3) { choices.number() as u64 } else { u64::from(choices.byte()) }, &mut out),
            1 => out.extend_from_slice(choices.pick(&[1.5f64, 0.0, f64::NAN, -1e300, f64::INFINITY]).to_le_bytes().as_slice()),
            5 => out.extend_from_slice(choices.pick(&[1.5f32, 0.0, f32::NAN, 2e9]).to_le_bytes().as_slice()),
            2 => {
                let inner = match choices.below(5) {
                    0 | 1 if depth < 4 => message(choices, depth + 1),
                    2 => br#"{"x":[1, "y"]}"#.to_vec(),
                    3 => choices.take(8).to_vec(),
                    _ => choices.pick(TEXTS).as_bytes().to_vec(),
                };
                varint(inner.len() as u64, &mut out);
                out.extend(inner);
            }
            3 => {
                out.extend(if depth < 4 { message(choices, depth + 1) } else { Vec::new() });
                varint(u64::from((tag & !7) | 4), &mut out);
            }
            _ => {}
        }
    }
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}
