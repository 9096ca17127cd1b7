//! One validating pass over an event that keeps the spans of the paths that rules name.

use crate::json::{Cursor, Kind, Parsed, Span};
use crate::keys::{self, KeyTable};
use crate::read::find_key;

/// The paths that rules name, as a tree of keys. Nodes are numbered so that what is below a node follows it; 0 is the event.
#[derive(Debug)]
pub struct Trie {
    nodes: Vec<TrieNode>,
}

#[derive(Debug)]
struct TrieNode {
    keys: KeyTable,
    children: Vec<u32>,
    /// The first node that is not below this one.
    end: u32,
    wanted: bool,
}

impl Trie {
    /// The tree of these paths, and the node of each.
    pub fn new(paths: &[Vec<String>]) -> (Trie, Vec<u32>) {
        let mut order: Vec<usize> = (0..paths.len()).collect();
        order.sort_by(|a, b| paths[*a].cmp(&paths[*b]));
        let mut names: Vec<Vec<&str>> = vec![Vec::new()];
        let mut nodes = vec![TrieNode { keys: KeyTable::default(), children: Vec::new(), end: 0, wanted: false }];
        let mut ends = vec![0; paths.len()];
        let mut open: Vec<(u32, &str)> = Vec::new();
        for number in order {
            let path = &paths[number];
            let shared = open.iter().zip(path).take_while(|((_, known), key)| known == key).count();
            for (node, _) in open.drain(shared..) {
                nodes[node as usize].end = names.len() as u32;
            }
            for key in &path[shared..] {
                let node = nodes.len() as u32;
                let parent = open.last().map_or(0, |(parent, _)| *parent as usize);
                nodes[parent].children.push(node);
                names[parent].push(key);
                nodes.push(TrieNode { keys: KeyTable::default(), children: Vec::new(), end: 0, wanted: false });
                names.push(Vec::new());
                open.push((node, key));
            }
            let node = open.last().map_or(0, |(node, _)| *node);
            nodes[node as usize].wanted = true;
            ends[number] = node;
        }
        let count = nodes.len() as u32;
        for (node, names) in nodes.iter_mut().zip(names) {
            node.keys = KeyTable::new(names.into_iter());
            node.end = if node.end == 0 { count } else { node.end };
        }
        (Trie { nodes }, ends)
    }
}

/// What a scan found: a place for every node of the tree, valid where its epoch is the event's.
#[derive(Debug, Default)]
pub struct Found {
    places: Vec<(Span, u32)>,
    epoch: u32,
    /// The nodes that rules name and that the event has; one may stand twice, and may be gone, where keys were repeated.
    present: Vec<u32>,
    /// The objects that are open around the one being walked: their node, and how many keys of it were met.
    open: Vec<(u32, usize)>,
    repeated: bool,
    layout: Layout,
}

/// By node and place in its object: the key that stood there in the last event. Events of one producer have their keys in one
/// order, so a comparison mostly takes the place of finding where a key ends and of looking it up.
#[derive(Debug, Default)]
struct Layout {
    guesses: Vec<Vec<Guess>>,
}

#[derive(Debug, Default)]
struct Guess {
    words: (u64, u64),
    /// `"key":`
    label: Vec<u8>,
    /// The number of the key in its table; none where no rule names it.
    index: Option<u32>,
}

/// Objects with more keys, and keys that are longer, are looked up without a guess.
const GUESSES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 64;

impl Layout {
    /// The key at `at`, if it is the one that stood at this place in the last event: the offset behind its colon, and its number.
    #[inline(always)]
    fn guess(&self, node: u32, place: usize, text: &[u8], at: usize) -> Option<(usize, Option<u32>)> {
        let guess = self.guesses[node as usize].get(place)?;
        let end = at + guess.label.len();
        let piece = text.get(at..end)?;
        let same = !piece.is_empty() && keys::words(piece) == guess.words && (piece.len() <= 16 || *piece == *guess.label);
        same.then_some((end, guess.index))
    }

    fn learn(&mut self, node: u32, place: usize, key: &[u8], index: Option<u32>) {
        let guesses = &mut self.guesses[node as usize];
        if place >= GUESSES_MAX || key.len() >= LABEL_BYTES_MAX {
            return;
        }
        if place >= guesses.len() {
            guesses.resize_with(place + 1, Guess::default);
        }
        let guess = &mut guesses[place];
        guess.label.clear();
        guess.label.extend_from_slice(key);
        guess.label.push(b':');
        guess.words = keys::words(&guess.label);
        guess.index = index;
    }
}

const NOWHERE: Span = Span { start: 0, end: 0, kind: Kind::Null };

impl Found {
    /// Makes ready for the next event.
    fn begin(&mut self, nodes: usize) {
        if self.places.len() != nodes || self.epoch == u32::MAX {
            self.places.clear();
            self.places.resize(nodes, (NOWHERE, 0));
            self.layout.guesses.clear();
            self.layout.guesses.resize_with(nodes, Vec::new);
            self.epoch = 0;
        }
        self.epoch += 1;
        self.present.clear();
        self.open.clear();
        self.repeated = false;
    }

    /// Calls `each` with every node that rules name and that the event has.
    #[inline(always)]
    pub fn for_each(&mut self, mut each: impl FnMut(u32, Span)) {
        if self.repeated {
            self.present.sort_unstable();
            self.present.dedup();
        }
        for &node in &self.present {
            let (span, epoch) = self.places[node as usize];
            if epoch == self.epoch {
                each(node, span);
            }
        }
    }
}

/// What an event's text turned out to be.
pub enum Scanned {
    Object(Span),
    /// Well-formed, but no object.
    Other(Span),
}

/// Checks one event from its first byte to its last and finds its fields. `text` must be UTF-8. Depth costs no stack.
pub fn scan(trie: &Trie, text: &[u8], found: &mut Found, spare: &mut Vec<u8>) -> Parsed<Scanned> {
    found.begin(trie.nodes.len());
    let mut cursor = Cursor::new(text);
    cursor.space();
    if cursor.peek() != Some(b'{') {
        let value = cursor.value()?;
        cursor.end()?;
        return Ok(Scanned::Other(value));
    }
    let start = cursor.at;
    if walk(trie, text, &mut cursor, found, spare).is_none() {
        return Err(cursor.malformed());
    }
    let end = cursor.at;
    cursor.end()?;
    Ok(Scanned::Object(Span { start, end, kind: Kind::Object }))
}

/// Walks the object that the cursor stands on, and those inside it that the tree has nodes below.
fn walk(trie: &Trie, text: &[u8], cursor: &mut Cursor, found: &mut Found, spare: &mut Vec<u8>) -> Option<()> {
    let mut node = 0u32;
    let mut place = 0;
    let mut more = cursor.enter(b'{', b'}').ok()?;
    loop {
        while !more {
            let Some(parent) = found.open.pop() else { return Some(()) };
            found.places[node as usize].0.end = cursor.at;
            (node, place) = parent;
            more = cursor.skip_comma(b'}')?;
        }
        let here = &trie.nodes[node as usize];
        let index = match found.layout.guess(node, place, text, cursor.at) {
            Some((end, index)) => {
                cursor.at = end;
                index
            }
            None => {
                let key = cursor.skip_key()?;
                let index = find_key(&here.keys, text, key, spare);
                found.layout.learn(node, place, &text[key.start..key.end], index);
                index
            }
        };
        place += 1;
        let Some(index) = index else {
            cursor.skip_value()?;
            more = cursor.skip_comma(b'}')?;
            continue;
        };
        let child = here.children[index as usize];
        let below = &trie.nodes[child as usize];
        if found.places[child as usize].1 == found.epoch {
            found.repeated = true;
            for place in &mut found.places[child as usize..below.end as usize] {
                place.1 = 0;
            }
        }
        if below.wanted {
            found.present.push(child);
        }
        if !below.keys.is_empty() {
            cursor.space();
            if cursor.peek() == Some(b'{') {
                found.places[child as usize] = (Span { start: cursor.at, end: 0, kind: Kind::Object }, found.epoch);
                found.open.push((node, place));
                (node, place) = (child, 0);
                more = cursor.enter(b'{', b'}').ok()?;
                continue;
            }
        }
        found.places[child as usize] = (cursor.skip_value()?, found.epoch);
        more = cursor.skip_comma(b'}')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str], text: &str) -> Vec<(String, String)> {
        let paths: Vec<Vec<String>> = paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
        let (trie, nodes) = Trie::new(&paths);
        let mut found = Found::default();
        let mut out = Vec::new();
        for _ in 0..2 {
            out.clear();
            scan(&trie, text.as_bytes(), &mut found, &mut Vec::new()).unwrap();
            found.for_each(|node, span| {
                let path = nodes.iter().position(|known| *known == node).unwrap();
                out.push((paths[path].join("."), text[span.start..span.end].to_owned()));
            });
        }
        out.sort();
        out
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
    }

    #[test]
    fn finds_the_paths() {
        let text = r#" {"a":{"b":1,"c":{"d":"x"},"z":[{"a":1}]},"e" : [1], "ab":true} "#;
        let paths = ["a", "a.b", "a.c.d", "e", "a.q", "a.b.c", "ab"];
        let expected =
            [("a", r#"{"b":1,"c":{"d":"x"},"z":[{"a":1}]}"#), ("a.b", "1"), ("a.c.d", r#""x""#), ("ab", "true"), ("e", "[1]")];
        assert_eq!(found(&paths, text), pairs(&expected));
    }

    #[test]
    fn the_last_of_repeated_keys_counts_with_all_below_it() {
        let text = r#"{"a":{"b":1,"c":2},"\u0061":{"c":3,"c":4}}"#;
        assert_eq!(found(&["a.b", "a.c"], text), pairs(&[("a.c", "4")]));
        assert_eq!(found(&["a.b", "a.c"], r#"{"a":{"b":1,"c":2},"a":7}"#), pairs(&[]));
        assert_eq!(found(&["a.b"], r#"{"a":7,"a":{"b":{}}}"#), pairs(&[("a.b", "{}")]));
    }

    #[test]
    fn a_wrong_guess_changes_nothing() {
        let paths = ["a", "b.c", "long_key_of_more_than_sixteen_bytes_1", "x"];
        let (trie, nodes) = Trie::new(&paths.map(|path| path.split('.').map(str::to_owned).collect()));
        let long = |n: usize| format!(r#""long_key_of_more_than_sixteen_bytes_{n}":{n}"#);
        let very_long = format!(r#"{{"{}":0,"a":7}}"#, "k".repeat(100));
        let texts = [
            (r#"{"a":1,"b":{"c":2},"x":3}"#.to_owned(), vec!["1", "2", "3"]),
            (r#"{"b":{"c":2},"a":1}"#.to_owned(), vec!["1", "2"]),
            (r#"{"a" :1, "b":{ "c":2 },"x": 3}"#.to_owned(), vec!["1", "2", "3"]),
            (r#"{"a":1,"b":3,"y":{"c":4},"x":"s"}"#.to_owned(), vec!["1", "\"s\""]),
            (format!("{{{},{}}}", long(1), long(2)), vec!["1"]),
            (format!("{{{},{}}}", long(2), long(1)), vec!["1"]),
            (very_long, vec!["7"]),
            (r#"{"":0,"a":8}"#.to_owned(), vec!["8"]),
        ];
        let mut found = Found::default();
        for first in &texts {
            for (text, expected) in [first].into_iter().chain(&texts) {
                scan(&trie, text.as_bytes(), &mut found, &mut Vec::new()).unwrap();
                let mut values = vec![];
                found.for_each(|node, span| {
                    values.push((nodes.iter().position(|known| *known == node), &text[span.start..span.end]))
                });
                values.sort();
                assert_eq!(values.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), *expected, "{text}");
            }
        }
        assert!(scan(&trie, br#"{"a":1,"b":{"c":2},"x":}"#, &mut found, &mut Vec::new()).is_err());
    }

    #[test]
    fn deep_events_and_deep_paths_cost_no_stack() {
        let path = vec!["a"; 900].join(".");
        let text = r#"{"a":"#.repeat(100_000) + "1" + &"}".repeat(100_000);
        assert_eq!(found(&[&path], &text).len(), 1);
    }
}
