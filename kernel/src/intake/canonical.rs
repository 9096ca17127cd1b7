//! Writes well-formed JSON again on one line: no white space, and of duplicate keys only the last, at every level.
//!
//! Everything here takes spans that a strict cursor has checked.

use std::borrow::Cow;

use crate::intake::split::plain_key;
use crate::json::{self, Cursor, Kind, Span};

/// Copies values. Kept between events, so that it allocates once.
#[derive(Default)]
pub struct Copier {
    keys: Vec<Key>,
    frames: Vec<Frame>,
    removed: Vec<(usize, usize)>,
    order: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Key {
    span: Span,
    /// Where its member begins in the output.
    out: usize,
}

struct Frame {
    object: bool,
    first_key: usize,
}

impl Copier {
    /// Appends the value at `span` to `out`.
    pub fn copy(&mut self, bytes: &[u8], span: Span, out: &mut Vec<u8>) {
        if !matches!(span.kind, Kind::Object | Kind::Array) {
            out.extend_from_slice(&bytes[span.start..span.end]);
            return;
        }
        self.keys.clear();
        self.frames.clear();
        self.removed.clear();
        let begin = out.len();
        self.walk(bytes, span, out);
        if !self.removed.is_empty() {
            self.compact(begin, out);
        }
    }

    fn walk(&mut self, bytes: &[u8], span: Span, out: &mut Vec<u8>) {
        let mut at = span.start;
        let mut key_next = false;
        while at < span.end {
            let byte = bytes[at];
            match byte {
                b'{' | b'[' => {
                    self.frames.push(Frame { object: byte == b'{', first_key: self.keys.len() });
                    key_next = byte == b'{';
                }
                b'}' | b']' => {
                    if let Some(frame) = self.frames.pop() {
                        if frame.object {
                            self.close(bytes, frame.first_key);
                        }
                        self.keys.truncate(frame.first_key);
                    }
                    key_next = false;
                }
                b',' => key_next = self.frames.last().is_some_and(|frame| frame.object),
                b'"' => {
                    at = self.string(bytes, at, key_next, out);
                    key_next = false;
                    continue;
                }
                b' ' | b'\t' | b'\n' | b'\r' => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            out.push(byte);
            at += 1;
        }
    }

    fn string(&mut self, bytes: &[u8], at: usize, key: bool, out: &mut Vec<u8>) -> usize {
        let mut cursor = Cursor::from(bytes, at);
        let kind = cursor.string().unwrap_or(Kind::Text);
        if key {
            self.keys.push(Key { span: Span { start: at, end: cursor.at, kind }, out: out.len() });
        }
        out.extend_from_slice(&bytes[at..cursor.at]);
        cursor.at
    }

    /// At the end of an object: notes what its duplicate keys wrote. The last of equals stands after the others, so that each
    /// of them reaches up to a next member, comma included.
    fn close(&mut self, bytes: &[u8], first: usize) {
        let keys = &self.keys[first..];
        duplicates(
            bytes,
            keys.len(),
            |index| keys[index].span,
            &mut self.order,
            |index| {
                self.removed.push((keys[index].out, keys[index + 1].out));
            },
        );
    }

    fn compact(&mut self, begin: usize, out: &mut Vec<u8>) {
        self.removed.sort_unstable();
        let (mut to, mut from) = (begin, begin);
        for &(start, end) in &self.removed {
            if start > from {
                out.copy_within(from..start, to);
                to += start - from;
            }
            from = from.max(end);
        }
        out.copy_within(from.., to);
        out.truncate(to + out.len() - from);
    }
}

/// Calls `found` with the index of every key that a later one equals (escapes resolved), maybe more than once. Many keys are sorted, so that no object
/// costs more than n log n.
fn duplicates(bytes: &[u8], count: usize, key: impl Fn(usize) -> Span, order: &mut Vec<usize>, mut found: impl FnMut(usize)) {
    if count < 2 {
        return;
    }
    let escaped = (0..count).any(|index| key(index).kind == Kind::EscapedText);
    if count <= 32 && !escaped {
        let text = |index: usize| &bytes[key(index).start + 1..key(index).end - 1];
        let mut seen = 0u128;
        for index in 0..count {
            let mark = mark(text(index));
            if seen & mark != 0 {
                (0..index).filter(|&earlier| text(earlier) == text(index)).for_each(&mut found);
            }
            seen |= mark;
        }
        return;
    }
    let texts: Vec<Cow<[u8]>> = (0..count).map(|index| plain_key(bytes, key(index))).collect();
    order.clear();
    order.extend(0..count);
    order.sort_by(|&a, &b| texts[a].cmp(&texts[b]));
    for pair in order.windows(2) {
        if texts[pair[0]] == texts[pair[1]] {
            found(pair[0]);
        }
    }
}

/// One of 128 bits, the same for equal keys: most keys of an object differ in it, and need no comparison.
fn mark(key: &[u8]) -> u128 {
    let byte = |at: usize| u64::from(key.get(at).copied().unwrap_or_default());
    let few = byte(0) | byte(key.len() / 2) << 8 | byte(key.len().wrapping_sub(1)) << 16 | (key.len() as u64) << 24;
    1 << (few.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57)
}

/// A member of an object: its key without escapes, where the key stands, its value.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    pub key: Cow<'a, [u8]>,
    pub value: Span,
}

/// The members of the object at `span`, of duplicate keys only the last, in the order in which they stand.
pub fn members(bytes: &[u8], span: Span) -> Vec<Member<'_>> {
    let mut found: Vec<(Span, Span)> = Vec::with_capacity(16);
    let mut cursor = Cursor::from(bytes, span.start);
    let mut more = cursor.enter(b'{', b'}').unwrap_or(false);
    while more {
        let (Ok(key), Ok(value)) = (cursor.key(), cursor.value()) else { break };
        found.push((key, value));
        more = cursor.next_member(b'}').unwrap_or(false);
    }
    let mut gone = vec![false; found.len()];
    duplicates(bytes, found.len(), |index| found[index].0, &mut Vec::new(), |index| gone[index] = true);
    let kept = found.iter().zip(&gone).filter(|(_, gone)| !**gone);
    kept.map(|((key, value), _)| Member { key: plain_key(bytes, *key), value: *value }).collect()
}

/// The value at `path` below the object at `span`; of duplicate keys the last one counts.
pub fn at_path(bytes: &[u8], span: Span, path: &[Vec<u8>]) -> Option<Span> {
    let mut here = span;
    for step in path {
        if here.kind != Kind::Object {
            return None;
        }
        let mut found = None;
        let mut cursor = Cursor::from(bytes, here.start);
        let mut more = cursor.enter(b'{', b'}').unwrap_or(false);
        while more {
            let (Ok(key), Ok(value)) = (cursor.key(), cursor.value()) else { break };
            if key_is(bytes, key, step) {
                found = Some(value);
            }
            more = cursor.next_member(b'}').unwrap_or(false);
        }
        here = found?;
    }
    Some(here)
}

/// Whether the key at `span` is `name`, escapes resolved.
pub fn key_is(bytes: &[u8], span: Span, name: &[u8]) -> bool {
    plain_key(bytes, span) == name
}

/// Appends `"key":` (a comma before it unless the object has just been opened).
pub fn write_key(key: &[u8], out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    match key.split_first() {
        Some((0xFF, as_it_stood)) => out.extend_from_slice(as_it_stood),
        _ => json::write_string(key, out),
    }
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(text: &str) -> String {
        let span = json::check(text.as_bytes()).unwrap();
        let mut out = b"before,".to_vec();
        Copier::default().copy(text.as_bytes(), span, &mut out);
        json::check(&out[7..]).unwrap();
        String::from_utf8(out.split_off(7)).unwrap()
    }

    #[test]
    fn white_space_goes_and_the_last_of_equals_stays() {
        for (text, expected) in [
            (" { \"a\" : [ 1 , { } , [ ] ] , \"b\\n\" : \" x \" } ", "{\"a\":[1,{},[]],\"b\\n\":\" x \"}"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":1,"b":3,"\u0061":2,"c":4}"#, r#"{"b":3,"\u0061":2,"c":4}"#),
            (r#"{"a":{"x":1,"x":2},"a":{"x":{"y":1,"y":3},"x":4,"z":[{"q":1,"q":1}]}}"#, r#"{"a":{"x":4,"z":[{"q":1}]}}"#),
            (r#"{"a":1,"a":2,"a":3,"b":0,"b":1}"#, r#"{"a":3,"b":1}"#),
            (r#"[{"a":"a","b":"a"},"a","a"]"#, r#"[{"a":"a","b":"a"},"a","a"]"#),
            (r#"{"\ud800":1,"\ud800":2,"\\ud800":3}"#, r#"{"\ud800":2,"\\ud800":3}"#),
            ("-1.50E+3", "-1.50E+3"),
        ] {
            assert_eq!(copied(text), expected, "{text}");
        }
    }

    #[test]
    fn many_keys_and_deep_nesting() {
        let many: Vec<String> = (0..1000).map(|i| format!("\"k{}\":{i}", i % 500)).collect();
        let kept: Vec<String> = (500..1000).map(|i| format!("\"k{}\":{i}", i % 500)).collect();
        assert_eq!(copied(&format!("{{{}}}", many.join(","))), format!("{{{}}}", kept.join(",")));
        let deep = "{\"a\":1,\"a\":[".repeat(50_000) + "1" + &"]}".repeat(50_000);
        assert_eq!(copied(&deep), "{\"a\":[".repeat(50_000) + "1" + &"]}".repeat(50_000));
    }

    #[test]
    fn members_and_paths() {
        let text = br#"{"a":1,"b":{"c":1,"\u0063":{"d":2}},"a":[3]}"#;
        let span = json::check(text).unwrap();
        let found: Vec<_> = members(text, span).into_iter().map(|m| (m.key.into_owned(), m.value.kind)).collect();
        assert_eq!(found, [(b"b".to_vec(), Kind::Object), (b"a".to_vec(), Kind::Array)]);
        let path: Vec<Vec<u8>> = [b"b", b"c", b"d"].map(|step| step.to_vec()).to_vec();
        assert_eq!(at_path(text, span, &path).map(|s| &text[s.start..s.end]), Some(&b"2"[..]));
    }
}
