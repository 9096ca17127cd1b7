//! Events of one shape: whose structure is made of the same tokens in the same order.
//!
//! Events of a stream have few shapes. The tokens of one that was walked are kept with what the walk would do at each of them, so
//! that the grammar of the next one is checked by comparing tokens, and its values are taken in straight loops. Keys are compared
//! one by one: those that differ are looked up. Whatever does not fit is left to the walk.

use std::collections::{HashMap, HashSet};

use super::{NESTED_ITEM, Tokens, Walk, hash};
use crate::json::{Kind, Span};
use crate::layout::{Label, NONE};
use crate::slots::{Slot, Tag};
use crate::trie::Trie;

/// Events with more tokens have no template.
const TOKENS_MAX: usize = 1024;
/// With more templates than this, all are forgotten.
const TEMPLATES_MAX: usize = 1024;
const PLACES_BITS: u32 = 13;
/// Keys that differ from the template's; with more of them the event is walked.
const CHANGED_MAX: usize = 16;
/// A template is made only if this many events were found by theirs for each one made, but for the first ones.
const HITS_PER_TEMPLATE: usize = 16;
const CREDIT_MAX: usize = 512 * HITS_PER_TEMPLATE;

/// The templates of the shapes that were seen. The memory is bounded by the limits above.
#[derive(Debug)]
pub struct Templates {
    /// By the upper bits of the hash of the tokens.
    places: Vec<Option<Box<Template>>>,
    count: usize,
    labels: Vec<Label>,
    label_numbers: HashMap<Vec<u8>, u32>,
    credit: usize,
}

impl Default for Templates {
    fn default() -> Self {
        let mut templates =
            Templates { places: Vec::new(), count: 0, labels: Vec::new(), label_numbers: HashMap::new(), credit: CREDIT_MAX };
        templates.forget();
        templates
    }
}

/// Numbers of tokens, and of the node that a value is of.
#[derive(Clone, Copy, Debug)]
struct Value {
    token: u16,
    /// The token behind its last one, of a container: that of its closing bracket.
    close: u16,
    node: u32,
}

#[derive(Clone, Copy, Debug)]
struct Key {
    token: u16,
    /// The number of its object.
    object: u16,
    label: u32,
    child: u32,
    hash: u32,
    /// Its value is an object or a list.
    container: bool,
}

/// An object that is read as a STRUCT, or is inside one.
#[derive(Debug)]
struct Whole {
    object: u16,
    node: u32,
    /// The nodes of its members; none if one of them has no node.
    members: Option<Vec<u32>>,
}

#[derive(Debug, Default)]
pub struct Template {
    hash: u64,
    tokens: Vec<u8>,
    keys: Vec<Key>,
    /// By object: its node.
    nodes: Vec<u32>,
    texts: Vec<Value>,
    /// Numbers and words, also those that no rule names.
    scalars: Vec<Value>,
    lists: Vec<(Value, bool)>,
    objects: Vec<Value>,
    /// Inner ones first.
    wholes: Vec<Whole>,
    /// Containers with objects whose keys nobody looks at.
    unexamined: Vec<Value>,
}

/// A key that is not the template's.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    key: u16,
    hash: u32,
}

impl Templates {
    pub fn forget(&mut self) {
        self.places.clear();
        self.places.resize_with(1 << PLACES_BITS, || None);
        self.count = 0;
        self.labels.clear();
        self.label_numbers.clear();
    }

    /// The template of these tokens. `hash` is that of the tokens.
    #[inline(always)]
    fn find(&self, tokens: &[u8], hash: u64) -> Option<&Template> {
        let template = self.places[(hash >> (64 - PLACES_BITS)) as usize].as_deref()?;
        (template.hash == hash && template.tokens == tokens).then_some(template)
    }

    fn label(&mut self, text: &[u8]) -> u32 {
        if let Some(known) = self.label_numbers.get(text) {
            return *known;
        }
        self.labels.push(Label::of(text));
        self.label_numbers.insert(text.to_vec(), self.labels.len() as u32 - 1);
        self.labels.len() as u32 - 1
    }
}

/// Tells sequences of tokens apart. They are compared besides.
#[inline(always)]
fn hash_of(tokens: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut lanes = [tokens.len() as u64, FACTOR];
    let (pairs, rest) = tokens.as_chunks::<16>();
    for pair in pairs {
        let pair = u128::from_le_bytes(*pair);
        lanes[0] = (lanes[0] ^ pair as u64).wrapping_mul(FACTOR).rotate_left(29);
        lanes[1] = (lanes[1] ^ (pair >> 64) as u64).wrapping_mul(FACTOR).rotate_left(31);
    }
    for byte in rest {
        lanes[0] = (lanes[0] ^ *byte as u64).wrapping_mul(FACTOR);
    }
    (lanes[0] ^ lanes[1].rotate_left(17)).wrapping_mul(FACTOR)
}

impl Walk<'_> {
    /// The event's object, if its shape is known and all values are as they must be. Otherwise slots may have been filled.
    #[inline(always)]
    pub fn by_template(&mut self, templates: &mut Templates, changed: &mut Vec<Changed>) -> Option<(Span, u64)> {
        let kinds = self.tokens.structure.kinds();
        if kinds.len() > TOKENS_MAX {
            return None;
        }
        let hash = hash_of(kinds);
        let template = templates.find(kinds, hash)?;
        self.differing(template, &templates.labels, changed)?;
        self.values(template)?;
        if !changed.is_empty() {
            self.replace(template, changed)?;
        }
        if !template.wholes.is_empty() {
            self.wholes(template, changed);
        }
        let tokens = self.tokens;
        for value in &template.unexamined {
            let (start, end) = (tokens.position(value.token as usize), tokens.position(value.close as usize) + 1);
            self.repeats.unexamined.push((start, end));
        }
        templates.credit = (templates.credit + 1).min(CREDIT_MAX);
        let end = tokens.position(kinds.len() - 1) + 1;
        Some((Span { start: tokens.position(0), end, kind: Kind::Object }, hash))
    }

    /// The keys that differ from the template's; none if they are too many.
    #[inline(always)]
    fn differing(&self, template: &Template, labels: &[Label], changed: &mut Vec<Changed>) -> Option<()> {
        changed.clear();
        for (first, keys) in template.keys.chunks(64).enumerate() {
            let mut differs = 0u64;
            for (at, key) in keys.iter().enumerate() {
                let text = self.tokens.text.bytes(self.tokens.position(key.token as usize));
                differs |= (!labels[key.label as usize].begins(&text) as u64) << at;
            }
            if changed.len() + differs.count_ones() as usize > CHANGED_MAX {
                return None;
            }
            while differs != 0 {
                changed.push(Changed { key: (first * 64) as u16 + differs.trailing_zeros() as u16, hash: 0 });
                differs &= differs - 1;
            }
        }
        Some(())
    }

    /// Takes the values of the template's nodes, and checks all numbers and words.
    #[inline(always)]
    fn values(&mut self, template: &Template) -> Option<()> {
        let tokens = self.tokens;
        for value in &template.texts {
            let start = tokens.position(value.token as usize);
            let end = tokens.end(start, value.token as usize + 1);
            self.keep(value.node, start, end, tokens.text_tag(start, end));
        }
        for value in &template.scalars {
            let start = tokens.position(value.token as usize);
            let end = tokens.end(start, value.token as usize + 1);
            let tag = tokens.scalar(start, end)?;
            if value.node != NONE {
                self.keep(value.node, start, end, tag);
            }
        }
        for value in &template.objects {
            let (start, end) = (tokens.position(value.token as usize), tokens.position(value.close as usize) + 1);
            self.keep(value.node, start, end, Tag::Object);
        }
        for (value, nested) in &template.lists {
            let (start, end) = (tokens.position(value.token as usize), tokens.position(value.close as usize) + 1);
            self.keep(value.node, start, end, Tag::Array);
            let plain = self.trie.marks[value.node as usize].plain_items;
            if plain != 0 && (*nested || tokens.structure.white || self.items(value)? & !plain != 0) {
                self.slots.unusual.push(value.node);
            }
        }
        Some(())
    }

    /// The tags of the items of a list that has no containers in it.
    #[inline(always)]
    fn items(&self, list: &Value) -> Option<u16> {
        let tokens = self.tokens;
        let mut tags = 0;
        for token in (list.token as usize + 1..list.close as usize).step_by(2) {
            let start = tokens.position(token);
            let end = tokens.end(start, token + 1);
            tags |= match tokens.text.byte(start) {
                b'"' => tokens.text_tag(start, end).bit(),
                _ => tokens.scalar(start, end)?.bit(),
            };
        }
        Some(tags)
    }

    #[inline(always)]
    fn keep(&mut self, node: u32, start: usize, end: usize, tag: Tag) {
        let epoch = self.slots.epoch;
        self.slots.list[node as usize] = Slot { start: start as u32, end: end as u32, epoch, tag };
        if self.trie.marks[node as usize].plain & tag.bit() == 0 {
            self.slots.unusual.push(node);
        }
    }

    /// Takes the values of keys that are not the template's instead of those that are.
    fn replace(&mut self, template: &Template, changed: &mut [Changed]) -> Option<()> {
        for each in &*changed {
            let key = &template.keys[each.key as usize];
            if key.container {
                return None;
            }
            if key.child != NONE {
                self.slots.list[key.child as usize].epoch = 0;
            }
        }
        let tokens = self.tokens;
        for each in changed {
            let key = &template.keys[each.key as usize];
            let at = key.token as usize;
            let start = tokens.position(at);
            let end = tokens.end(start, at + 1);
            if tokens.text_tag(start, end) != Tag::Text {
                return None;
            }
            let name = tokens.text.text().get(start + 1..end - 1)?;
            each.hash = hash(name);
            let Some(node) = self.trie.nodes.get(template.nodes[key.object as usize] as usize) else { continue };
            let Some(index) = node.keys.find(name) else { continue };
            let child = node.children[index as usize];
            if self.slots.list[child as usize].epoch == self.slots.epoch {
                return None;
            }
            let start = tokens.position(at + 2);
            let end = tokens.end(start, at + 3);
            let tag = match tokens.text.byte(start) {
                b'"' => tokens.text_tag(start, end),
                _ => tokens.scalar(start, end)?,
            };
            self.keep(child, start, end, tag);
        }
        Some(())
    }

    /// Finds the objects whose text is not what a STRUCT would write.
    fn wholes(&mut self, template: &Template, changed: &[Changed]) {
        let tight = !self.tokens.structure.white;
        for whole in &template.wholes {
            let same = changed.iter().all(|each| template.keys[each.key as usize].object != whole.object);
            let fits = |member: &u32| {
                let (marks, tag) = (&self.trie.marks[*member as usize], self.slots.list[*member as usize].tag);
                let container = matches!(tag, Tag::Array | Tag::Object);
                marks.plain_inside & tag.bit() != 0 && !(container && self.slots.unusual.contains(member))
            };
            let plain = tight && same && whole.members.as_ref().is_some_and(|members| members.iter().all(fits));
            if !plain {
                self.slots.unusual.push(whole.node);
            }
        }
    }
}

/// Whether none of the keys that changed is another one of its object, for certain.
pub fn distinct(templates: &Templates, hash: u64, changed: &[Changed]) -> bool {
    let Some(template) = &templates.places[(hash >> (64 - PLACES_BITS)) as usize] else { return false };
    let is_changed = |at: usize| changed.iter().any(|each| each.key as usize == at);
    let differs = |(number, each): (usize, &Changed)| {
        let object = template.keys[each.key as usize].object;
        let others = changed[..number].iter();
        let mut others = others.filter(|other| template.keys[other.key as usize].object == object);
        let mut kept = template.keys.iter().enumerate().filter(|(_, key)| key.object == object && key.hash == each.hash);
        !others.any(|other| other.hash == each.hash) && kept.all(|(at, _)| is_changed(at))
    };
    changed.iter().enumerate().all(differs)
}

impl Templates {
    /// Makes a template of tokens that were walked, if it is worth it.
    #[cold]
    #[inline(never)]
    pub(super) fn learn(&mut self, trie: &Trie, tokens: Tokens) {
        let kinds = tokens.structure.kinds();
        if kinds.len() > TOKENS_MAX || self.credit < HITS_PER_TEMPLATE {
            return;
        }
        self.credit -= HITS_PER_TEMPLATE;
        if self.count >= TEMPLATES_MAX {
            self.forget();
        }
        let mut maker = Maker { templates: self, trie, tokens, made: Template::default() };
        if maker.object(0, 0).is_none() {
            return;
        }
        let mut made = maker.made;
        made.tokens = kinds.to_vec();
        made.hash = hash_of(kinds);
        let place = (made.hash >> (64 - PLACES_BITS)) as usize;
        self.count += self.places[place].is_none() as usize;
        self.places[place] = Some(Box::new(made));
    }
}

struct Maker<'m> {
    templates: &'m mut Templates,
    trie: &'m Trie,
    tokens: Tokens<'m>,
    made: Template,
}

/// Objects inside of objects deeper than this have no template.
const DEPTH_MAX: u32 = 32;

impl Maker<'_> {
    /// An object that is walked: the token behind it. None if it can have no template.
    fn object(&mut self, first: usize, node: u32) -> Option<usize> {
        self.nested(first, node, 0)
    }

    fn nested(&mut self, first: usize, node: u32, depth: u32) -> Option<usize> {
        if depth > DEPTH_MAX {
            return None;
        }
        let object = self.made.nodes.len() as u16;
        self.made.nodes.push(node);
        let mut names: HashSet<Vec<u8>> = HashSet::new();
        let mut members: Vec<u32> = Vec::new();
        let mut at = first + 1;
        while self.tokens.byte(at) != b'}' {
            at += (self.tokens.byte(at) == b',') as usize;
            let child = self.key(at, object, node, &mut names)?;
            members.push(child);
            at = self.value(at + 2, child, depth)?;
        }
        if node != NONE && node != 0 {
            self.made.objects.push(Value { token: first as u16, close: at as u16, node });
        }
        if let Some(marks) = self.trie.marks.get(node as usize)
            && (marks.whole || marks.whole_inside)
        {
            let members = (!members.contains(&NONE)).then_some(members);
            self.made.wholes.push(Whole { object, node, members });
        }
        Some(at + 1)
    }

    fn key(&mut self, at: usize, object: u16, node: u32, names: &mut HashSet<Vec<u8>>) -> Option<u32> {
        let tokens = self.tokens;
        let start = tokens.position(at);
        let end = tokens.end(start, at + 1);
        let text = tokens.text.text();
        if tokens.text_tag(start, end) != Tag::Text || !names.insert(text[start + 1..end - 1].to_vec()) {
            return None;
        }
        let name = &text[start + 1..end - 1];
        let parent = self.trie.nodes.get(node as usize);
        let child = parent.and_then(|parent| Some(parent.children[parent.keys.find(name)? as usize])).unwrap_or(NONE);
        let label = self.templates.label(&text[start..tokens.position(at + 2)]);
        let container = matches!(tokens.byte(at + 2), b'{' | b'[');
        self.made.keys.push(Key { token: at as u16, object, label, child, hash: hash(name), container });
        Some(child)
    }

    /// The value that begins at a token: the token behind it.
    fn value(&mut self, at: usize, child: u32, depth: u32) -> Option<usize> {
        let value = Value { token: at as u16, close: 0, node: child };
        match self.tokens.byte(at) {
            b'{' => return self.nested(at, child, depth + 1),
            b'[' => {
                let (next, nested) = self.container(at);
                if child != NONE {
                    self.made.lists.push((Value { close: next as u16 - 1, ..value }, nested));
                }
                return Some(next);
            }
            b'"' if child == NONE => {}
            b'"' => self.made.texts.push(value),
            _ => self.made.scalars.push(value),
        }
        Some(at + 1)
    }

    /// A list and all that is in it: the token behind it, and whether it has containers in it.
    fn container(&mut self, first: usize) -> (usize, bool) {
        let (mut at, mut depth, mut objects, mut nested) = (first, 0, false, false);
        loop {
            match self.tokens.byte(at) {
                b'{' | b'[' => {
                    objects |= self.tokens.byte(at) == b'{';
                    nested |= depth > 0;
                    depth += 1;
                }
                b'}' | b']' => depth -= 1,
                b'"' | b':' | b',' => {}
                _ => self.made.scalars.push(Value { token: at as u16, close: 0, node: NONE }),
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        if objects {
            self.made.unexamined.push(Value { token: first as u16, close: at as u16 - 1, node: NONE });
        }
        (at, nested)
    }
}
