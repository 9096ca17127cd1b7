//! `SELECT *`: the event's own text.

use crate::json::{self, Cursor, Kind, Span};
use crate::keys;

/// Objects with more members than this are sorted to find repeated keys, smaller ones compared pair by pair.
const PAIRS_MAX: usize = 32;

/// Finds repeated keys, and the text without them.
#[derive(Default)]
pub struct Collapser {
    open: Vec<(usize, bool)>,
    /// The keys of the objects that are open, and their hashes.
    keys: Vec<Span>,
    hashes: Vec<u32>,
    sorted: Vec<u32>,
    cuts: Vec<(usize, usize)>,
    names: (Vec<u8>, Vec<u8>),
}

/// A member of an object at its top level.
#[derive(Clone, Copy, Debug)]
pub struct TopMember {
    pub key: Span,
    pub value: Span,
}

impl Collapser {
    /// The ranges of `event` to leave out, in order, so that of repeated keys in `span` only the last stays. `span` must be
    /// well-formed. Depth costs no stack.
    pub fn cuts(&mut self, event: &[u8], span: Span) -> &[(usize, usize)] {
        self.cuts.clear();
        self.open.clear();
        self.keys.clear();
        self.hashes.clear();
        self.walk(event, span);
        if self.cuts.len() > 1 {
            self.cuts.sort_unstable();
            let mut end = 0;
            self.cuts.retain(|cut| {
                let kept = cut.0 >= end;
                end = end.max(cut.1);
                kept
            });
        }
        &self.cuts
    }

    /// The text is known to be well-formed, so a string is a key if it follows the bracket of an object or a comma in one.
    fn walk(&mut self, event: &[u8], span: Span) -> Option<()> {
        let mut cursor = Cursor::from(event, span.start);
        let mut key_next = false;
        while cursor.at < span.end {
            match event[cursor.at] {
                b'"' => {
                    let string = cursor.skip_value()?;
                    if key_next {
                        self.add(event, string);
                        key_next = false;
                    }
                    continue;
                }
                b',' => key_next = self.open.last().is_some_and(|(_, object)| *object),
                open @ (b'{' | b'[') => {
                    key_next = open == b'{';
                    self.open.push((self.keys.len(), key_next));
                }
                b'}' => self.close(event),
                b']' => {
                    self.open.pop();
                }
                _ => {}
            }
            cursor.at += 1;
        }
        Some(())
    }

    fn add(&mut self, event: &[u8], key: Span) {
        let hash = if key.kind == Kind::Text {
            keys::hash_of(&event[key.start + 1..key.end - 1])
        } else {
            self.names.0.clear();
            json::unescape_key(&event[key.start..key.end], &mut self.names.0);
            keys::hash_of(&self.names.0)
        };
        self.keys.push(key);
        self.hashes.push(hash);
    }

    /// Looks for repeated keys in the object that ends here.
    fn close(&mut self, event: &[u8]) {
        let Some((base, _)) = self.open.pop() else { return };
        let count = self.keys.len() - base;
        if count <= PAIRS_MAX {
            for first in base..self.hashes.len() {
                if self.hashes[first + 1..].contains(&self.hashes[first]) {
                    self.cut_if_repeated(event, first);
                }
            }
        } else {
            self.sorted.clear();
            self.sorted.extend_from_slice(&self.hashes[base..]);
            self.sorted.sort_unstable();
            if self.sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                self.cut_repeated(event, base);
            }
        }
        self.keys.truncate(base);
        self.hashes.truncate(base);
    }

    fn cut_if_repeated(&mut self, event: &[u8], first: usize) {
        let key = self.keys[first];
        for later in first + 1..self.keys.len() {
            if self.hashes[later] == self.hashes[first] && same_key(event, key, self.keys[later], &mut self.names) {
                self.cuts.push((key.start, self.keys[first + 1].start));
                return;
            }
        }
    }

    /// As `cut_if_repeated` for every member of a large object.
    fn cut_repeated(&mut self, event: &[u8], base: usize) {
        let mut last = std::collections::HashMap::new();
        for (at, key) in self.keys.iter().enumerate().skip(base) {
            let mut name = Vec::new();
            json::unescape_key(&event[key.start..key.end], &mut name);
            if let Some(before) = last.insert(name, at) {
                let before: usize = before;
                self.cuts.push((self.keys[before].start, self.keys[before + 1].start));
            }
        }
    }
}

fn same_key(event: &[u8], a: Span, b: Span, names: &mut (Vec<u8>, Vec<u8>)) -> bool {
    names.0.clear();
    names.1.clear();
    json::unescape_key(&event[a.start..a.end], &mut names.0);
    json::unescape_key(&event[b.start..b.end], &mut names.1);
    names.0 == names.1
}

/// Appends `event[start..end]` without the cuts.
pub fn write_cut(event: &[u8], start: usize, end: usize, cuts: &[(usize, usize)], out: &mut Vec<u8>) {
    let mut at = start;
    for &(from, to) in cuts.iter().filter(|cut| cut.0 >= start && cut.1 <= end) {
        out.extend_from_slice(&event[at..from]);
        at = to;
    }
    out.extend_from_slice(&event[at..end]);
}

/// The members of the event that are not cut, in order.
pub fn top_members<'a>(event: &'a [u8], span: Span, cuts: &'a [(usize, usize)]) -> impl Iterator<Item = TopMember> + 'a {
    let mut cursor = Cursor::from(event, span.start);
    let mut more = cursor.enter(b'{', b'}').unwrap_or(false);
    let members = std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let member = TopMember { key: cursor.key().ok()?, value: cursor.value().ok()? };
        more = cursor.next_member(b'}').unwrap_or(false);
        Some(member)
    });
    members.filter(|member| cuts.binary_search_by_key(&member.key.start, |cut| cut.0).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collapsed(text: &str) -> String {
        let span = json::check(text.as_bytes()).unwrap();
        let mut collapser = Collapser::default();
        let cuts = collapser.cuts(text.as_bytes(), span).to_vec();
        let mut out = Vec::new();
        write_cut(text.as_bytes(), span.start, span.end, &cuts, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn of_repeated_keys_the_last_stays_at_its_place() {
        for (text, expected) in [
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1, "b" : 2,"a":3 }"#, r#"{"b" : 2,"a":3 }"#),
            (r#"{"a":1,"a":2,"a":3}"#, r#"{"a":3}"#),
            (r#"{"x":{"a":1,"a":2},"y":[{"b":1,"b":[1,{"c":1,"c":2}]}]}"#, r#"{"x":{"a":2},"y":[{"b":[1,{"c":2}]}]}"#),
            (r#"{"x":{"a":1,"a":2},"x":{"a":3}}"#, r#"{"x":{"a":3}}"#),
            (r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"\ud800":1,"\uD800":2}"#, r#"{"\uD800":2}"#),
            (r#"{"a":[],"b":{},"c":[[],{}]}"#, r#"{"a":[],"b":{},"c":[[],{}]}"#),
        ] {
            assert_eq!(collapsed(text), expected);
        }
    }

    #[test]
    fn large_objects_too() {
        let members: Vec<String> = (0..300).map(|n| format!("\"k{}\":{n}", n % 250)).collect();
        let kept: Vec<&str> = members[50..].iter().map(String::as_str).collect();
        assert_eq!(collapsed(&format!("{{{}}}", members.join(","))), format!("{{{}}}", kept.join(",")));
    }

    #[test]
    fn depth_costs_no_stack() {
        let text = r#"[{"a":1,"a":"#.repeat(50_000) + "1" + &"}]".repeat(50_000);
        assert_eq!(collapsed(&text).len(), text.len() - 50_000 * 6);
    }
}
