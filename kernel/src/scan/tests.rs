//! Every test runs on each way of finding structure that the machine has.

use super::*;
use crate::json;
use crate::link::Reading;
use crate::read::Shapes;
use crate::types::Type;

struct Scanner {
    trie: Trie,
    nodes: Vec<u32>,
    paths: Vec<String>,
    scan: Scan,
    slots: Slots,
    dispatch: Dispatch,
}

impl Scanner {
    fn new(paths: &[&str], kind: &Type, dispatch: Dispatch) -> Scanner {
        let split: Vec<Vec<String>> = paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        let mut shapes = Shapes::default();
        let shape = shapes.of(kind);
        let readings: Vec<Reading> = (0..paths.len() as u32).map(|path| Reading { path, shape }).collect();
        let (trie, nodes) = Trie::new(&split, &readings, &shapes);
        let paths = paths.iter().map(|path| path.to_string()).collect();
        Scanner { trie, nodes, paths, scan: Scan::default(), slots: Slots::default(), dispatch }
    }

    fn scan(&mut self, text: &[u8]) -> Parsed<Scanned> {
        let mut space = Vec::new();
        scan(&self.trie, Padded::copied(text, &mut space), self.dispatch, &mut self.scan, &mut self.slots)
    }

    /// The paths that the text has, with the text of their values.
    fn found(&mut self, text: &str) -> Vec<(String, String)> {
        assert!(self.scan(text.as_bytes()).is_ok(), "{text}");
        let mut out = Vec::new();
        for (path, node) in self.paths.iter().zip(&self.nodes) {
            if let Some(slot) = self.slots.get(*node) {
                out.push((path.clone(), text[slot.start as usize..slot.end as usize].to_owned()));
            }
        }
        out.sort();
        out
    }

    fn unusual(&mut self, text: &str) -> bool {
        self.found(text);
        !self.slots.unusual.is_empty()
    }
}

fn ways() -> impl Iterator<Item = Dispatch> {
    Dispatch::ALL.into_iter().filter(|way| way.available())
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}

#[test]
fn finds_the_paths() {
    let text =
        " {\"a\":{\"b\":1,\"c\":{\"d\":\"x\"},\"z\":[{\"a\":1}]},\"e\" : [1 , {} ], \"ab\":true ,\"q\":{\"a\":{\"b\":[]}}}\t";
    let paths = ["a", "a.b", "a.c.d", "e", "a.q", "a.b.c", "ab"];
    let expected =
        [("a", r#"{"b":1,"c":{"d":"x"},"z":[{"a":1}]}"#), ("a.b", "1"), ("a.c.d", r#""x""#), ("ab", "true"), ("e", "[1 , {} ]")];
    for way in ways() {
        let mut scanner = Scanner::new(&paths, &Type::Json, way);
        for _ in 0..3 {
            assert_eq!(scanner.found(text), pairs(&expected));
        }
    }
}

#[test]
fn the_last_of_repeated_keys_counts_with_all_below_it() {
    for way in ways() {
        let mut scanner = Scanner::new(&["a.b", "a.c"], &Type::Json, way);
        for _ in 0..2 {
            let found = scanner.found(r#"{"a":{"b":1,"c":2},"\u0061":{"c":3,"c":4}}"#);
            assert_eq!(found, pairs(&[("a.c", "4")]));
            assert!(scanner.scan.may_repeat(|_, _| false));
            assert_eq!(scanner.found(r#"{"a":{"b":1,"c":2},"a":7}"#), pairs(&[]));
            assert_eq!(scanner.found(r#"{"a":7,"a":{"b":{}}}"#), pairs(&[("a.b", "{}")]));
        }
    }
}

/// Whatever came before: what is said of repeated keys is never "no" where there are some.
#[test]
fn repeated_keys_are_not_missed_after_other_events() {
    let texts = [
        r#"{"x":1,"y":2,"z":3}"#,
        r#"{"z":1}"#,
        r#"{"z":1,"y":2,"z":3}"#,
        r#"{"y":2}"#,
        r#"{"y":2,"y":2}"#,
        r#"{"o":{"x":1,"y":1}}"#,
        r#"{"o":{"y":1}}"#,
        r#"{"o":{"y":1,"y":2}}"#,
        r#"{"o":{"\u0079":1,"y":2}}"#,
        r#"{"o":[{"x":1}]}"#,
        r#"{"o":[[{"x":1,"x":1}]]}"#,
    ];
    let mut collapser = crate::star::Collapser::default();
    for way in ways() {
        let mut scanner = Scanner::new(&["x"], &Type::Json, way);
        for first in texts {
            for second in texts {
                for text in [first, second, second] {
                    scanner.found(text);
                    let object = |start, end| Span { start, end, kind: Kind::Object };
                    let repeated = !collapser.cuts(text.as_bytes(), object(0, text.len())).is_empty();
                    let told =
                        scanner.scan.may_repeat(|start, end| !collapser.cuts(text.as_bytes(), object(start, end)).is_empty());
                    assert_eq!(told, repeated, "{first} {second} {text}");
                }
            }
        }
    }
}

#[test]
fn a_wrong_guess_changes_nothing() {
    let long = |n: usize| format!(r#""long_key_of_more_than_thirty_two_bytes_{n}":{n}"#);
    let middle = |n: usize| format!(r#""key_of_31_bytes_with_its_quote{n}":{n}"#);
    let many: Vec<String> = (0..300).map(|n| format!(r#""k{n}":{n}"#)).collect();
    let texts = [
        (r#"{"a":1,"b":{"c":2},"x":3}"#.to_owned(), vec!["1", "2", "3"]),
        (r#"{"b":{"c":2},"a":1}"#.to_owned(), vec!["1", "2"]),
        (r#"{"a" :1, "b":{ "c":2 },"x": 3}"#.to_owned(), vec!["1", "2", "3"]),
        (r#"{"a":1,"b":3,"y":{"c":4},"x":"s"}"#.to_owned(), vec!["1", "\"s\""]),
        (format!("{{{},{}}}", long(1), long(2)), vec!["1"]),
        (format!("{{{},{}}}", long(2), long(1)), vec!["1"]),
        (format!("{{{},{}}}", middle(2), middle(1)), vec![]),
        (format!(r#"{{"{}":0,"a":7}}"#, "k".repeat(200)), vec!["7"]),
        (format!(r#"{{{},"a":9}}"#, many.join(",")), vec!["9"]),
        (r#"{"":0,"a":8}"#.to_owned(), vec!["8"]),
        ("{}".to_owned(), vec![]),
    ];
    let paths = ["a", "b.c", "long_key_of_more_than_thirty_two_bytes_1", "x"];
    for way in ways() {
        let mut scanner = Scanner::new(&paths, &Type::Json, way);
        for first in &texts {
            for (text, expected) in [first].into_iter().chain(&texts) {
                let values: Vec<String> = scanner.found(text).into_iter().map(|(_, value)| value).collect();
                assert_eq!(values, *expected, "{text}");
            }
        }
        assert!(scanner.scan(br#"{"a":1,"b":{"c":2},"x":}"#).is_err());
    }
}

#[test]
fn deep_events_and_deep_paths_cost_no_stack() {
    let path = vec!["a"; 900].join(".");
    for text in
        [r#"{"a":"#.repeat(100_000) + "1" + &"}".repeat(100_000), r#"{"a":[{"b":"#.repeat(50_000) + "1" + &"}]}".repeat(50_000)]
    {
        for way in ways() {
            let mut scanner = Scanner::new(&["a", &path], &Type::Json, way);
            assert!(!scanner.found(&text).is_empty());
            let unclosed = &text[..text.len() - 1];
            assert!(scanner.scan(unclosed.as_bytes()).is_err());
        }
    }
}

#[test]
fn only_what_is_not_of_its_type_is_unusual() {
    let kind = Type::Struct(vec![
        ("n".to_owned(), Type::BigInt),
        ("s".to_owned(), Type::Struct(vec![("t".to_owned(), Type::Varchar)])),
        ("l".to_owned(), Type::List(Box::new(Type::Varchar))),
    ]);
    for way in ways() {
        let mut scanner = Scanner::new(&["o"], &kind, way);
        for text in [r#"{"o":{"n":1,"s":{"t":"x"},"l":["a",null]}}"#, r#"{"o":null}"#, r#"{"o":{}}"#, r#"{"n":"1"}"#] {
            assert!(!scanner.unusual(text), "{text}");
        }
        for text in [
            r#"{"o":{"n":"1"}}"#,
            r#"{"o":{"n":null}}"#,
            r#"{"o":{"n":-0}}"#,
            r#"{"o":{"n":1,"n":2}}"#,
            r#"{"o":{"n":1,"other":2}}"#,
            r#"{"o":{"\u006e":1}}"#,
            r#"{"o":{"\u006e":1}}"#,
            r#"{"o":{"n": 1}}"#,
            r#"{"o":{"s":{"t":"\u0061"}}}"#,
            r#"{"o":{"s":{"t":"x","u":1}}}"#,
            r#"{"o":{"s":[]}}"#,
            r#"{"o":{"l":[1]}}"#,
            r#"{"o":{"l":["a",[]]}}"#,
            r#"{"o":{"l":["a" ]}}"#,
            r#"{"o":[]}"#,
        ] {
            assert!(scanner.unusual(text), "{text}");
        }
    }
}

/// What the walk accepts is what the strict cursor accepts: every cut and every change of one byte of a text.
#[test]
fn accepts_what_the_cursor_accepts() {
    let text = r#"{"a":{"b":-1.5e+3,"c":[true,false,null,"\u00e9\"",[{}],{"x":0}]},"é" : 12,"s":"0123456789012345678901234567890123456789","d":0.25}"#;
    let bytes = b"\"\\{}[]:,019eE+-.tdn \t\r\n\x00\x0c\x1a\x1f\x7f\x80\xc3\xed\xa0\xffu";
    for way in ways() {
        let mut scanner = Scanner::new(&["a.b", "s", "d"], &Type::Double, way);
        let mut check = |text: &[u8]| {
            let expected = json::check(text).map(|span| span.kind == Kind::Object);
            let got = scanner.scan(text).map(|scanned| matches!(scanned, Scanned::Object(_)));
            assert_eq!(got, expected, "{way:?} {}", String::from_utf8_lossy(text));
        };
        for end in 0..=text.len() {
            check(&text.as_bytes()[..end]);
        }
        for at in 0..text.len() {
            for byte in bytes {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = *byte;
                check(&changed);
                changed.insert(at, *byte);
                check(&changed);
            }
        }
    }
}

/// A STRUCT inside of another that has fewer of its fields, or more: its text is not what both write.
#[test]
fn the_struct_of_a_struct_may_be_read_with_other_fields() {
    let fields = |names: &[&str]| Type::Struct(names.iter().map(|name| (name.to_string(), Type::BigInt)).collect());
    let paths = [vec!["o".to_owned()], vec!["o".to_owned(), "s".to_owned()]];
    for (outer, inner) in [(["n"].as_slice(), ["n", "m"].as_slice()), (&["n", "m"], &["n"])] {
        let mut shapes = Shapes::default();
        let kinds = [Type::Struct(vec![("s".to_owned(), fields(outer))]), fields(inner)];
        let readings = [0, 1].map(|path| Reading { path, shape: shapes.of(&kinds[path as usize]) });
        let (trie, nodes) = Trie::new(&paths, &readings, &shapes);
        for way in ways() {
            let (mut space, mut known, mut slots) = (Vec::new(), Scan::default(), Slots::default());
            let text = Padded::copied(br#"{"o":{"s":{"n":1,"m":2}}}"#, &mut space);
            assert!(scan(&trie, text, way, &mut known, &mut slots).is_ok());
            let narrow = if outer.len() < inner.len() { nodes[0] } else { nodes[1] };
            assert!(slots.unusual.contains(&narrow), "{outer:?} {inner:?}");
        }
    }
}

/// Whatever stands behind a text, it is refused as the same text alone, and teaches nothing.
#[test]
fn what_follows_a_text_is_no_part_of_it() {
    let tail = [r#","b":"#, r#","b""#, r#","a":["#, r#","a":{"#, r#","b":{"x":["#, ",", r#","b":1"#];
    let next = [r#":1}"#, r#""}"#, r#""b":1}"#, "]}", "}}", "{}}", "1}", "true}", ",1}", "[]}", " ,"];
    for way in ways() {
        let mut scanner = Scanner::new(&["a", "b"], &Type::Json, way);
        for (tail, next) in tail.iter().flat_map(|tail| next.iter().map(move |next| (tail, next))) {
            for bytes in [40, 63, 64, 65, 128] {
                let filled = "x".repeat(bytes - tail.len() - r#"{"a":"\n"}"#.len() + 1);
                let text = format!(r#"{{"a":"\n{filled}"{tail}"#);
                assert_eq!(text.len(), bytes);
                let batch = [text.as_bytes(), next.as_bytes(), &[b' '; 2 * crate::structure::PADDING]].concat();
                let padded = Padded::within(&batch, 0, bytes).unwrap();
                let refused = scan(&scanner.trie, padded, way, &mut scanner.scan, &mut scanner.slots).map(|_| ());
                assert_eq!(refused, json::check(text.as_bytes()).map(|_| ()), "{text} {next}");
                assert!(scanner.scan(br#"{"a":1,"b",1}"#).is_err(), "{text} {next}");
                assert_eq!(scanner.found(r#"{"a":1,"b":2}"#), pairs(&[("a", "1"), ("b", "2")]));
            }
        }
    }
}
