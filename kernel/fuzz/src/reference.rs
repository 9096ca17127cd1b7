//! Plain ways to do what the kernel does quickly: what is JSON, where the values of paths stand, what LIKE matches.

use std::collections::HashMap;

use headwater_kernel::json::{self, Cursor, Kind, Span};
use headwater_kernel::trie::Trie;
use serde::de::IgnoredAny;

/// Whether serde_json takes it for JSON.
///
/// With `IgnoredAny` it differs from RFC 8259 in one respect only: it does not look at UTF-8. It knows no limit of depth or
/// size of numbers then, passes lone surrogates and repeated keys, and refuses control characters in strings.
pub fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok() && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// The value as serde_json builds it: none where there is a lone surrogate, or more than 127 levels.
pub fn built(text: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(text).ok()
}

/// By node of the trie where its value stands in the object, found member by member. The last of repeated keys counts.
pub fn places(trie: &Trie, text: &[u8], object: Span) -> HashMap<u32, Span> {
    let mut found = HashMap::new();
    walk(trie, 0, text, object, &mut found);
    found
}

fn walk(trie: &Trie, node: u32, text: &[u8], object: Span, found: &mut HashMap<u32, Span>) {
    let mut cursor = Cursor::from(text, object.start);
    let mut more = cursor.enter(b'{', b'}').unwrap();
    while more {
        let (key, value) = (cursor.key().unwrap(), cursor.value().unwrap());
        let mut name = Vec::new();
        json::unescape_key(&text[key.start..key.end], &mut name);
        let here = &trie.nodes[node as usize];
        if let Some(index) = here.keys.find(&name) {
            let child = here.children[index as usize];
            found.retain(|known, _| !(child..trie.nodes[child as usize].end).contains(known));
            found.insert(child, value);
            if value.kind == Kind::Object {
                walk(trie, child, text, value, found);
            }
        }
        more = cursor.next_member(b'}').unwrap();
    }
}

/// Whether any object in a well-formed text has two equal keys.
pub fn repeats_keys(text: &[u8], span: Span) -> bool {
    let mut pending = vec![span];
    while let Some(span) = pending.pop() {
        let mut cursor = Cursor::from(text, span.start);
        let (open, close) = if span.kind == Kind::Object { (b'{', b'}') } else { (b'[', b']') };
        let mut names = std::collections::HashSet::new();
        let mut more = cursor.enter(open, close).unwrap();
        while more {
            if open == b'{' {
                let key = cursor.key().unwrap();
                let mut name = Vec::new();
                json::unescape_key(&text[key.start..key.end], &mut name);
                if !names.insert(name) {
                    return true;
                }
            }
            let value = cursor.value().unwrap();
            if matches!(value.kind, Kind::Object | Kind::Array) {
                pending.push(value);
            }
            more = cursor.next_member(close).unwrap();
        }
    }
    false
}

/// LIKE by the table of all prefixes of pattern and text.
pub fn like(pattern: &str, escape: Option<char>, text: &str) -> Option<bool> {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        pieces.push(match character {
            _ if Some(character) == escape => (false, characters.next()?),
            '%' | '_' => (true, character),
            other => (false, other),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for (wild, character) in pieces {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match (wild, character) {
                (true, '%') => reached[at] || (at > 0 && next[at - 1]),
                (true, _) => at > 0 && reached[at - 1],
                (false, literal) => at > 0 && reached[at - 1] && text[at - 1] == literal,
            };
        }
        reached = next;
    }
    Some(reached[text.len()])
}
