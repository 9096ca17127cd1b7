//! One validating pass over an event that keeps the places of the values that rules name.
//!
//! The structure of the line is found first; the walk over it checks the grammar, numbers and words.

use crate::json::{Cursor, Kind, Malformed, Parsed, Reason, Span, unescape_key};
use crate::layout::{Layout, NONE};
use crate::slots::{Slot, Slots, Tag};
use crate::structure::{Dispatch, Padded, Structure};
use crate::trie::Trie;
use template::{Changed, Templates};

mod template;

/// What an event's text turned out to be.
pub enum Scanned {
    Object(Span),
    /// Well-formed, but no object.
    Other(Span),
}

/// Memory for scanning, and what is known of the last event beside its slots.
#[derive(Debug, Default)]
pub struct Scan {
    structure: Structure,
    layout: Layout,
    frames: Vec<Frame>,
    levels: Vec<bool>,
    name: Vec<u8>,
    repeats: Repeats,
    templates: Templates,
    /// If the last event was found by a template: where that stands, and the keys that were not the template's.
    shape: usize,
    changed: Vec<Changed>,
    /// The trie that all this is of.
    trie: u64,
}

/// What must be looked at to know whether the event has repeated keys.
#[derive(Debug, Default)]
struct Repeats {
    /// Objects whose keys are not known to differ: node and number of keys.
    unproven: Vec<(u32, usize)>,
    /// Values with objects whose keys nobody looked at.
    unexamined: Vec<(usize, usize)>,
    suspected: bool,
}

/// An object that is open around the one being walked.
#[derive(Clone, Copy, Debug)]
struct Frame {
    node: u32,
    place: usize,
    plain: bool,
}

/// Checks one event from its first byte to its last and finds its fields. Depth costs no stack.
pub fn scan(trie: &Trie, text: Padded, dispatch: Dispatch, scan: &mut Scan, slots: &mut Slots) -> Parsed<Scanned> {
    begin(trie, scan, slots);
    scan.repeats.begin();
    scan.changed.clear();
    if scan.structure.find(text, dispatch) {
        let tokens = Tokens { text, positions: scan.structure.positions(), structure: &scan.structure };
        let (layout, repeats) = (&mut scan.layout, &mut scan.repeats);
        let mut walk = Walk {
            trie,
            tokens,
            layout,
            slots,
            frames: &mut scan.frames,
            levels: &mut scan.levels,
            name: &mut scan.name,
            repeats,
        };
        if let Some((span, shape)) = walk.by_template(dispatch, &mut scan.templates, &mut scan.changed) {
            scan.shape = shape;
            return Ok(Scanned::Object(span));
        }
        scan.changed.clear();
        walk.begin();
        if let Some(span) = walk.event() {
            if !walk.repeats.suspected {
                scan.templates.learn(trie, tokens);
            }
            return Ok(Scanned::Object(span));
        }
    }
    refusal(text.text())
}

/// Makes ready for the next event.
#[inline(always)]
pub fn begin(trie: &Trie, scan: &mut Scan, slots: &mut Slots) {
    slots.begin(trie.nodes.len(), scan.trie != trie.id);
    if scan.trie != trie.id {
        scan.trie = trie.id;
        scan.layout.begin(trie.nodes.len());
        scan.templates.forget();
    }
}

/// Why the walk refused the text: it does not say. Or it is no object.
#[cold]
#[inline(never)]
fn refusal(text: &[u8]) -> Parsed<Scanned> {
    crate::json::check_utf8(text)?;
    let mut cursor = Cursor::new(text);
    let span = cursor.value()?;
    cursor.end()?;
    debug_assert!(span.kind != Kind::Object, "well-formed, but refused: {}", String::from_utf8_lossy(text));
    if span.kind == Kind::Object {
        return Err(Malformed { reason: Reason::UnexpectedByte, at: span.start });
    }
    Ok(Scanned::Other(span))
}

impl Repeats {
    fn begin(&mut self) {
        self.unproven.clear();
        self.unexamined.clear();
        self.suspected = false;
    }
}

impl Scan {
    /// Whether the last event may have repeated keys. `certain` looks at a value that the walk passed over.
    pub fn may_repeat(&mut self, mut certain: impl FnMut(usize, usize) -> bool) -> bool {
        let Scan { repeats, layout, templates, shape, changed, .. } = self;
        repeats.suspected
            || !(changed.is_empty() || template::distinct(templates, *shape, changed))
            || repeats.unproven.iter().any(|(node, count)| !layout.prove_distinct(*node, *count))
            || repeats.unexamined.iter().any(|(start, end)| certain(*start, *end))
    }

    /// Whether the last event has white space outside of strings.
    pub fn white(&self) -> bool {
        self.structure.white
    }
}

/// The structure of the text. A position is looked at only if it is less than `SENTINELS` behind the last one.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    text: Padded<'a>,
    positions: &'a [u32],
    structure: &'a Structure,
}

impl Tokens<'_> {
    #[inline(always)]
    fn position(self, at: usize) -> usize {
        debug_assert!(at < self.positions.len());
        // SAFETY: every walk over tokens compares `at` with their number once for each value it takes, and goes at most four
        // tokens further before it does so again; there are eight sentinels.
        unsafe { *self.positions.get_unchecked(at) as usize }
    }

    #[inline(always)]
    fn byte(self, at: usize) -> u8 {
        self.text.byte(self.position(at))
    }

    #[inline(always)]
    fn over(self, at: usize) -> bool {
        at >= self.structure.count()
    }

    /// Where the value that begins at `start` ends, if the next token is `next`.
    #[inline(always)]
    fn end(self, start: usize, next: usize) -> usize {
        let mut end = self.position(next);
        while end > start && matches!(self.text.byte(end - 1), b' ' | b'\t' | b'\n' | b'\r') {
            end -= 1;
        }
        end
    }

    #[inline(always)]
    fn text_tag(self, start: usize, end: usize) -> Tag {
        if !self.structure.escapes { Tag::Text } else { self.escaped_tag(start, end) }
    }

    #[inline(never)]
    fn escaped_tag(self, start: usize, end: usize) -> Tag {
        match (self.structure.escaped(start, end), self.structure.surrogates) {
            (false, _) => Tag::Text,
            (true, false) => Tag::EscapedText,
            (true, true) => Tag::SurrogateText,
        }
    }

    /// A number or a word.
    #[inline(always)]
    fn scalar(self, start: usize, end: usize) -> Option<Tag> {
        let is = |word: &[u8; 4]| self.text.bytes::<4>(start) == *word;
        match self.text.byte(start) {
            b'-' | b'0'..=b'9' => self.number(start, end),
            b't' if end - start == 4 && is(b"true") => Some(Tag::True),
            b'f' if end - start == 5 && is(b"fals") && self.text.byte(start + 4) == b'e' => Some(Tag::False),
            b'n' if end - start == 4 && is(b"null") => Some(Tag::Null),
            _ => None,
        }
    }

    #[inline(always)]
    fn number(self, start: usize, end: usize) -> Option<Tag> {
        let length = end - start;
        if length > 16 {
            return number(&self.text.text()[start..end]);
        }
        let bytes = self.text.bytes::<16>(start);
        let others = !digits(&bytes) & ((1 << length) - 1);
        let leading_zero = bytes[0] == b'0';
        if others == 0 {
            return if leading_zero && length > 1 { None } else { Some(Tag::Integer) };
        }
        let point = others.trailing_zeros() as usize;
        let simple = others & (others - 1) == 0 && bytes[point] == b'.' && point > 0 && point + 1 < length;
        if simple && (!leading_zero || point == 1) {
            return Some(Tag::Decimal);
        }
        number(&self.text.text()[start..end])
    }
}

/// A bit for every byte that is a digit.
#[inline(always)]
fn digits(bytes: &[u8; 16]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64, and there are 16 bytes to load, at any alignment.
        unsafe {
            let from_zero = _mm_sub_epi8(_mm_loadu_si128(bytes.as_ptr().cast()), _mm_set1_epi8(b'0' as i8));
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(from_zero, _mm_set1_epi8(9)), from_zero)) as u32
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        bytes.iter().rev().fold(0, |bits, byte| bits << 1 | byte.is_ascii_digit() as u32)
    }
}

/// Any number, by the grammar of RFC 8259.
#[inline(never)]
fn number(text: &[u8]) -> Option<Tag> {
    let mut cursor = Cursor::new(text);
    cursor.value().ok()?;
    if cursor.at != text.len() {
        return None;
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if unsigned.iter().all(u8::is_ascii_digit) {
        let small = unsigned.len() <= 18 && text != b"-0";
        return Some(if small { Tag::Integer } else { Tag::Number });
    }
    let exponent = text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    Some(if exponent || text.len() >= 300 { Tag::Number } else { Tag::Decimal })
}

/// A walk over the tokens of one event.
struct Walk<'w> {
    trie: &'w Trie,
    tokens: Tokens<'w>,
    layout: &'w mut Layout,
    slots: &'w mut Slots,
    frames: &'w mut Vec<Frame>,
    levels: &'w mut Vec<bool>,
    name: &'w mut Vec<u8>,
    repeats: &'w mut Repeats,
}

/// Tags of items of a list that nobody takes as they are.
const NESTED_ITEM: u16 = 1 << 15;

impl Walk<'_> {
    /// Makes ready for walking, whatever was found before.
    fn begin(&mut self) {
        self.slots.begin(self.trie.nodes.len(), false);
        self.repeats.begin();
        self.frames.clear();
    }

    /// The event's object, if the text is one.
    fn event(&mut self) -> Option<Span> {
        let tokens = self.tokens;
        if tokens.over(0) || tokens.byte(0) != b'{' {
            return None;
        }
        let count = tokens.structure.count();
        if self.members()? != count {
            return None;
        }
        Some(Span { start: tokens.position(0), end: tokens.position(count - 1) + 1, kind: Kind::Object })
    }

    /// Walks the object of the first token and all objects inside it; the number of the token behind it.
    fn members(&mut self) -> Option<usize> {
        let tokens = self.tokens;
        let tight = !tokens.structure.white;
        let mut at = 1;
        let mut here = Frame { node: 0, place: 0, plain: tight };
        let mut closed = tokens.byte(at) == b'}';
        loop {
            if !closed {
                let child = match self.layout.guess(here.node, here.place, tokens.text, tokens.position(at)) {
                    Some(child) => child,
                    None => {
                        let (child, plain) = self.key(here, at)?;
                        here.plain &= plain;
                        child
                    }
                };
                let start = tokens.position(at + 2);
                at += 3;
                let first = tokens.text.byte(start);
                if first == b'"' {
                    let end = tokens.end(start, at);
                    self.put(&mut here, child, start, end, tokens.text_tag(start, end));
                } else if first == b'{' {
                    if let Some(node) = self.enter(&mut here, child, start) {
                        self.frames.push(here);
                        here = Frame { node, place: 0, plain: tight };
                        closed = tokens.byte(at) == b'}';
                        if !closed {
                            if tokens.over(at) {
                                return None;
                            }
                            continue;
                        }
                    } else {
                        at = self.container(at - 1)?;
                        here.plain = false;
                    }
                } else if first == b'[' {
                    at = self.take_list(&mut here, child, at, tight)?;
                } else {
                    let end = tokens.end(start, at);
                    let tag = tokens.scalar(start, end)?;
                    self.put(&mut here, child, start, end, tag);
                }
            }
            loop {
                if tokens.over(at) {
                    return None;
                }
                match tokens.byte(at) {
                    b',' if !closed => break,
                    b'}' => {}
                    _ => return None,
                }
                let end = tokens.position(at) + 1;
                at += 1;
                here.place += !closed as usize;
                if !self.layout.distinct(here.node, here.place) {
                    self.repeats.unproven.push((here.node, here.place));
                }
                let Some(outer) = self.frames.pop() else { return Some(at) };
                let inner = std::mem::replace(&mut here, outer);
                here.plain &= self.leave(inner, end);
                closed = false;
            }
            at += 1;
            here.place += 1;
        }
    }

    /// Takes a value. Where the key is repeated, what was found before is forgotten.
    #[inline(always)]
    fn put(&mut self, here: &mut Frame, child: u32, start: usize, end: usize, tag: Tag) {
        if child == NONE {
            here.plain = false;
            return;
        }
        let epoch = self.slots.epoch;
        if self.slots.list[child as usize].epoch == epoch {
            self.repeated(here, child);
        }
        self.slots.list[child as usize] = Slot { start: start as u32, end: end as u32, epoch, tag };
        let marks = &self.trie.marks[child as usize];
        if marks.plain & tag.bit() == 0 {
            self.slots.unusual.push(child);
        }
        here.plain &= marks.plain_inside & tag.bit() != 0;
    }

    #[cold]
    #[inline(never)]
    fn repeated(&mut self, here: &mut Frame, child: u32) {
        here.plain = false;
        self.repeats.suspected = true;
        let below = child as usize..self.trie.nodes[child as usize].end as usize;
        self.slots.list[below].iter_mut().for_each(|slot| slot.epoch = 0);
    }

    /// A key that was not guessed: its node, and whether its text is what a STRUCT would write.
    #[inline(never)]
    fn key(&mut self, here: Frame, at: usize) -> Option<(u32, bool)> {
        let tokens = self.tokens;
        // Without a colon of its own the text must teach nothing, whatever follows it: a guess would leave the colon out.
        if tokens.over(at + 1) || tokens.byte(at) != b'"' || tokens.byte(at + 1) != b':' {
            return None;
        }
        let start = tokens.position(at);
        let end = tokens.end(start, at + 1);
        let text = tokens.text.text();
        let escaped = tokens.text_tag(start, end) != Tag::Text;
        let name = if escaped {
            self.name.clear();
            unescape_key(&text[start..end], self.name);
            &self.name[..]
        } else {
            text.get(start + 1..end - 1)?
        };
        let mut child = NONE;
        if let Some(node) = self.trie.nodes.get(here.node as usize)
            && let Some(index) = node.keys.find(name)
        {
            child = node.children[index as usize];
        }
        let plain = !escaped || child == NONE;
        // A key that is to be written without its escapes is looked at each time.
        let label = plain.then(|| &text[start..tokens.position(at + 2)]);
        self.layout.learn(here.node, here.place, label, hash(name), child);
        Some((child, plain))
    }

    /// The node to walk an object with, if it is to be walked.
    #[inline(always)]
    fn enter(&mut self, here: &mut Frame, child: u32, start: usize) -> Option<u32> {
        if child == NONE {
            return self.layout.unnamed(here.node, here.place);
        }
        // Where it ends, and whether it is plain inside, is known later.
        self.put(here, child, start, start, Tag::Object);
        Some(child)
    }

    /// An object ends; whether it is plain for what is around it.
    #[inline(always)]
    fn leave(&mut self, inner: Frame, end: usize) -> bool {
        let Some(marks) = self.trie.marks.get(inner.node as usize) else { return false };
        self.slots.list[inner.node as usize].end = end as u32;
        if marks.whole & !inner.plain {
            self.slots.unusual.push(inner.node);
        }
        inner.plain | !marks.whole_inside
    }

    /// Takes the list that begins before a token; the token behind it.
    #[inline(always)]
    fn take_list(&mut self, here: &mut Frame, child: u32, at: usize, tight: bool) -> Option<usize> {
        let (next, items) = self.list(at)?;
        let (start, end) = (self.tokens.position(at - 1), self.tokens.position(next - 1) + 1);
        self.put(here, child, start, end, Tag::Array);
        if let Some(marks) = self.trie.marks.get(child as usize)
            && marks.plain_items != 0
            && (items & !marks.plain_items != 0 || !tight)
        {
            here.plain = false;
            self.slots.unusual.push(child);
        }
        Some(next)
    }

    /// Walks a list from behind its bracket: the token behind it, and the tags of its items.
    #[inline(always)]
    fn list(&mut self, mut at: usize) -> Option<(usize, u16)> {
        let tokens = self.tokens;
        let mut items = 0;
        if tokens.byte(at) == b']' {
            return Some((at + 1, items));
        }
        loop {
            if tokens.over(at) {
                return None;
            }
            let start = tokens.position(at);
            at += 1;
            items |= match tokens.text.byte(start) {
                b'"' => tokens.text_tag(start, tokens.end(start, at)).bit(),
                b'{' | b'[' => {
                    at = self.container(at - 1)?;
                    NESTED_ITEM
                }
                _ => tokens.scalar(start, tokens.end(start, at))?.bit(),
            };
            match tokens.byte(at) {
                b',' => at += 1,
                b']' => return Some((at + 1, items)),
                _ => return None,
            }
        }
    }

    /// Passes over an object or a list; the token behind it.
    #[inline(never)]
    fn container(&mut self, first: usize) -> Option<usize> {
        let tokens = self.tokens;
        let mut at = first;
        let mut objects = false;
        self.levels.clear();
        'open: loop {
            let mut object = tokens.byte(at) == b'{';
            objects |= object;
            self.levels.push(object);
            at += 1;
            let mut closed = tokens.byte(at) == close(object);
            loop {
                if tokens.over(at) {
                    return None;
                }
                if closed {
                    at += 1;
                    self.levels.pop();
                    let Some(outer) = self.levels.last() else { break 'open };
                    object = *outer;
                    match tokens.byte(at) {
                        b',' => at += 1,
                        byte if byte == close(object) => continue,
                        _ => return None,
                    }
                }
                if object {
                    if tokens.byte(at) != b'"' || tokens.byte(at + 1) != b':' {
                        return None;
                    }
                    at += 2;
                }
                let start = tokens.position(at);
                match tokens.text.byte(start) {
                    b'{' | b'[' => continue 'open,
                    b'"' => {}
                    _ => {
                        tokens.scalar(start, tokens.end(start, at + 1))?;
                    }
                }
                at += 1;
                closed = tokens.byte(at) == close(object);
                if !closed {
                    if tokens.byte(at) != b',' {
                        return None;
                    }
                    at += 1;
                }
            }
        }
        if objects {
            self.repeats.unexamined.push((tokens.position(first), tokens.position(at - 1) + 1));
        }
        Some(at)
    }
}

#[inline(always)]
fn close(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// FNV-1a: keys that were not guessed are few.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ *byte as u32).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
