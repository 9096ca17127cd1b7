//! Random conditions as WHERE, where they are tested a block of rules at a time, beside the same as a column, where they are
//! evaluated one by one.

mod random;

use headwater_kernel::link::Program;
use headwater_kernel::run::{self, Pool};

use random::Random;

const RULES: usize = 300;
const EVENTS: usize = 500;

const INTEGERS: &[&str] = &["0", "1", "-1", "2", "9223372036854775807", "-9223372036854775808"];
const DOUBLES: &[&str] = &["0.0", "-0.0", "1.5", "-2.5", "1e300", "-1e-300"];
const TEXTS: &[&str] = &[r#""""#, r#""a""#, r#""b""#, r#""é""#, r#""a text of more than sixteen bytes""#, r#""ab""#];
const FLAGS: &[&str] = &["true", "false"];
const FIELDS: &[(&str, &str, &[&str])] = &[
    ("i", "BIGINT", INTEGERS),
    ("j", "BIGINT", INTEGERS),
    ("d", "DOUBLE", DOUBLES),
    ("t", "VARCHAR", TEXTS),
    ("u", "VARCHAR", TEXTS),
    ("f", "BOOLEAN", FLAGS),
];
const COMPARISONS: &[&str] = &["eq", "ne", "lt", "le", "gt", "ge", "distinct", "not_distinct"];

fn call(op: &str, arguments: &[String]) -> String {
    format!(r#"["call","{op}","BOOLEAN",[{}]]"#, arguments.join(","))
}

fn condition(random: &mut Random, depth: usize) -> String {
    let (name, kind, values) = FIELDS[random.below(FIELDS.len())];
    let field = format!(r#"["field",["{name}"],"{kind}"]"#);
    let mut literal = |values: &[&str]| format!(r#"["literal","{kind}",{}]"#, random.pick(values));
    let (one, others) = (literal(values), [literal(values), literal(values), literal(values)]);
    match random.below(if depth == 0 { 6 } else { 9 }) {
        0 | 1 => call(random.pick(COMPARISONS), &[field, one]),
        2 => call(random.pick(COMPARISONS), &[one, field]),
        3 => call("in", &[&[field], &others[..1 + random.below(3)]].concat()),
        4 if kind == "VARCHAR" => {
            let pattern = random.pick(&["a%", "%a%", "%b", "a_", "ab"]);
            call("like", &[field, format!(r#"["literal","VARCHAR","{pattern}"]"#), r#"["literal","VARCHAR",""]"#.to_owned()])
        }
        4 if kind == "BOOLEAN" => field,
        4 | 5 => call(random.pick(&["is_null", "is_not_null"]), &[field]),
        6 => call("not", &[condition(random, depth - 1)]),
        op => {
            let count = 1 + random.below(4);
            let list: Vec<String> = (0..count).map(|_| condition(random, depth - 1)).collect();
            call(if op == 7 { "and" } else { "or" }, &list)
        }
    }
}

fn event(random: &mut Random) -> String {
    let mut members = Vec::new();
    for (name, _, values) in FIELDS {
        match random.below(8) {
            0 => {}
            1 => members.push(format!(r#""{name}":null"#)),
            2 => members.push(format!(r#""{name}":{}"#, random.pick(&[r#""NaN""#, r#""7""#, "7", "[]", r#""tRUE""#]))),
            _ => members.push(format!(r#""{name}":{}"#, random.pick(values))),
        }
    }
    format!("{{{}}}", members.join(","))
}

#[test]
fn a_where_matches_what_the_same_column_says_is_true() {
    let mut random = Random(0x5EED_0004);
    let mut rules = Vec::new();
    for number in 0..RULES {
        let condition = match number {
            // A block holds 64 tests: this WHERE has more.
            0 => call(
                "or",
                &(0..70)
                    .map(|n| {
                        call("eq", &[r#"["field",["i"],"BIGINT"]"#.to_owned(), format!(r#"["literal","BIGINT",{}]"#, n * 2)])
                    })
                    .collect::<Vec<_>>(),
            ),
            _ => condition(&mut random, number % 5),
        };
        let head = |kind: &str| format!(r#""format":1,"name":"{kind}{number}","from":"e","into":"{kind}{number:03}""#);
        rules.push(
            format!(r#"{{{},"where":{condition},"select":[["w",["literal","BOOLEAN",true]]]}}"#, head("where")).into_bytes(),
        );
        rules.push(format!(r#"{{{},"where":null,"select":[["w",{condition}]]}}"#, head("column")).into_bytes());
    }
    let program = Program::link(&rules).unwrap();
    let (mut matched, mut missed) = (0, 0);
    for _ in 0..EVENTS {
        let text = event(&mut random);
        let batch = run::run_lines(&program, &Pool::default(), text.as_bytes());
        assert_eq!(batch.rejects.len(), 0, "{text}");
        let outputs = batch.outputs.collect(text.as_bytes());
        for number in 0..RULES {
            let of = |kind: &str| {
                let name = format!("{kind}{number:03}");
                let output = outputs.iter().find(|(dataset, _, _)| program.datasets[*dataset as usize] == name);
                output.is_some_and(|(_, _, row)| row == b"{\"w\":true}\n")
            };
            assert_eq!(of("where"), of("column"), "{text} {}", String::from_utf8_lossy(&rules[2 * number]));
            *(if of("where") { &mut matched } else { &mut missed }) += 1;
        }
    }
    assert!(matched > RULES * EVENTS / 10 && missed > RULES * EVENTS / 10, "{matched} matched, {missed} did not");
}
