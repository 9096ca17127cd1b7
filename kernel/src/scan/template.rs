//! Events of one shape: whose structure is made of the same tokens in the same order.
//!
//! Events of a stream have few shapes. The tokens of one that was walked are kept with what the walk would do at each of them, so
//! that the grammar of the next one is checked by comparing tokens, and its values are taken in straight loops. Keys are compared
//! one by one: those that differ are looked up. Whatever does not fit is left to the walk.

use hashbrown::{HashMap, HashSet};

use super::{Tokens, Walk, hash};
use crate::json::{Kind, Span};
use crate::layout::{LABEL_BYTES_MAX, Label, NONE};
use crate::slots::{Slot, Tag};
use crate::structure::{Dispatch, Instructions, Portable};
#[cfg(target_arch = "x86_64")]
use crate::structure::{avx2::Avx2, avx512::Avx512};
use crate::trie::Trie;

/// Events with more tokens have no template.
const TOKENS_MAX: usize = 1024;
/// With more templates than this, all are forgotten.
const TEMPLATES_MAX: usize = 1024;
const PLACES_BITS: u32 = 12;
/// Keys that differ from the template's; with more of them the event is walked.
const CHANGED_MAX: usize = 16;
/// A template is made only if this many events were found by theirs for each one made, but for the first ones.
const HITS_PER_TEMPLATE: usize = 16;
const CREDIT_MAX: usize = 512 * HITS_PER_TEMPLATE;

/// The templates of the shapes that were seen. The memory is bounded by the limits above.
#[derive(Debug)]
pub struct Templates {
    /// By the upper bits of the hash of the tokens.
    places: Vec<Option<Template>>,
    count: usize,
    labels: Vec<Label>,
    label_numbers: HashMap<Vec<u8>, u32>,
    credit: usize,
}

impl Default for Templates {
    fn default() -> Self {
        Templates { places: Vec::new(), count: 0, labels: Vec::new(), label_numbers: HashMap::new(), credit: CREDIT_MAX }
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

/// What all events of a shape need stands in one piece of memory.
#[derive(Debug)]
pub struct Template {
    hash: u64,
    /// The tokens, the keys and values as pairs of numbers, the containers as fours: token, node, closing token, 1 if nested.
    data: Box<[u8]>,
    counts: Counts,
    rest: Box<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Counts {
    tokens: u16,
    keys: u16,
    texts: u16,
    scalars: u16,
    objects: u16,
}

/// What few events need.
#[derive(Debug, Default)]
struct Rest {
    keys: Vec<Key>,
    /// By object: its node.
    nodes: Vec<u32>,
    /// Inner ones first.
    wholes: Vec<Whole>,
    /// Containers with objects whose keys nobody looks at.
    unexamined: Vec<Value>,
}

/// A template in its parts.
struct Parts<'t> {
    tokens: &'t [u8],
    /// Token and label.
    keys: &'t [[u8; 4]],
    /// Token and node.
    texts: &'t [[u8; 4]],
    /// Token and node; also of numbers and words that no rule names.
    scalars: &'t [[u8; 4]],
    objects: &'t [[u8; 8]],
    lists: &'t [[u8; 8]],
}

/// The number of no node.
const NO_NODE: u16 = u16::MAX;

impl Template {
    #[inline(always)]
    fn parts(&self) -> Parts<'_> {
        let counts = self.counts;
        let (tokens, rest) = self.data.split_at(counts.tokens as usize);
        let (keys, rest) = rest.split_at(counts.keys as usize * 4);
        let (texts, rest) = rest.split_at(counts.texts as usize * 4);
        let (scalars, rest) = rest.split_at(counts.scalars as usize * 4);
        let (objects, lists) = rest.split_at(counts.objects as usize * 8);
        Parts {
            tokens,
            keys: keys.as_chunks().0,
            texts: texts.as_chunks().0,
            scalars: scalars.as_chunks().0,
            objects: objects.as_chunks().0,
            lists: lists.as_chunks().0,
        }
    }
}

#[inline(always)]
fn pair([a, b, c, d]: [u8; 4]) -> (usize, u16) {
    (u16::from_le_bytes([a, b]) as usize, u16::from_le_bytes([c, d]))
}

/// A container: its tokens, its node, and whether it has containers in it.
#[inline(always)]
fn container([a, b, c, d, e, f, nested, _]: [u8; 8]) -> (usize, usize, u32, bool) {
    let ((token, node), close) = (pair([a, b, c, d]), u16::from_le_bytes([e, f]));
    (token, close as usize, node as u32, nested != 0)
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
        self.count = 0;
        self.labels.clear();
        self.label_numbers.clear();
    }

    /// Where the template of these tokens stands. `hash` is that of the tokens.
    #[inline(always)]
    fn find(&self, tokens: &[u8], hash: u64) -> Option<usize> {
        let same = |place: usize| {
            let template = self.places.get(place).and_then(Option::as_ref);
            template.is_some_and(|template| template.hash == hash && template.parts().tokens == tokens)
        };
        let place = place_of(hash);
        if same(place) { Some(place) } else { same(place ^ 1).then_some(place ^ 1) }
    }

    /// The number of a label. All that are too long to be compared have one, which no text begins with.
    fn label(&mut self, text: &[u8]) -> u32 {
        let text = if text.len() > LABEL_BYTES_MAX { &[] } else { text };
        if let Some(known) = self.label_numbers.get(text) {
            return *known;
        }
        self.labels.push(if text.is_empty() { Label::NONE } else { Label::of(text) });
        self.label_numbers.insert(text.to_vec(), self.labels.len() as u32 - 1);
        self.labels.len() as u32 - 1
    }
}

/// Where the template of tokens with this hash stands, or beside it.
#[inline(always)]
fn place_of(hash: u64) -> usize {
    (hash >> (64 - PLACES_BITS)) as usize
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

/// The event's object, and where its template stands.
type Found = Option<(Span, usize)>;

impl Walk<'_> {
    /// The event's object, if its shape is known and all values are as they must be. Otherwise slots may have been filled.
    #[inline(always)]
    pub fn by_template(&mut self, dispatch: Dispatch, templates: &mut Templates, changed: &mut Vec<Changed>) -> Found {
        match dispatch {
            // SAFETY: a `Dispatch` other than the portable one is only got where the machine can do it.
            #[cfg(target_arch = "x86_64")]
            Dispatch::Avx512 => unsafe { self.by_template_avx512(templates, changed) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Dispatch::Avx2 => unsafe { self.by_template_avx2(templates, changed) },
            // SAFETY: it uses no instruction that a machine may lack.
            _ => unsafe { self.by_template_with::<Portable>(templates, changed) },
        }
    }

    /// # Safety
    /// The machine must have the instructions.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
    unsafe fn by_template_avx512(&mut self, templates: &mut Templates, changed: &mut Vec<Changed>) -> Found {
        // SAFETY: as the caller holds.
        unsafe { self.by_template_with::<Avx512>(templates, changed) }
    }

    /// # Safety
    /// The machine must have the instructions.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    unsafe fn by_template_avx2(&mut self, templates: &mut Templates, changed: &mut Vec<Changed>) -> Found {
        // SAFETY: as the caller holds.
        unsafe { self.by_template_with::<Avx2>(templates, changed) }
    }

    /// # Safety
    /// The machine must have the instructions.
    #[inline(always)]
    unsafe fn by_template_with<I: Instructions>(&mut self, templates: &mut Templates, changed: &mut Vec<Changed>) -> Found {
        let kinds = self.tokens.structure.kinds();
        if kinds.len() > TOKENS_MAX {
            return None;
        }
        let hash = hash_of(kinds);
        let place = templates.find(kinds, hash)?;
        let template = templates.places[place].as_ref()?;
        // SAFETY: as the caller holds.
        unsafe { self.differing::<I>(template, &templates.labels, changed)? };
        let structure = self.tokens.structure;
        if structure.white || structure.escapes {
            self.values::<false>(template)?;
        } else {
            self.values::<true>(template)?;
        }
        if !changed.is_empty() {
            self.replace(template, changed)?;
        }
        if !template.rest.wholes.is_empty() {
            self.wholes(template, changed);
        }
        let tokens = self.tokens;
        for value in &template.rest.unexamined {
            let (start, end) = (tokens.position(value.token as usize), tokens.position(value.close as usize) + 1);
            self.repeats.unexamined.push((start, end));
        }
        templates.credit = (templates.credit + 1).min(CREDIT_MAX);
        let end = tokens.position(kinds.len() - 1) + 1;
        Some((Span { start: tokens.position(0), end, kind: Kind::Object }, place))
    }

    /// The keys that differ from the template's; none if they are too many.
    ///
    /// # Safety
    /// The machine must have the instructions.
    #[inline(always)]
    unsafe fn differing<I: Instructions>(&self, template: &Template, labels: &[Label], changed: &mut Vec<Changed>) -> Option<()> {
        let mut differs = [0u8; TOKENS_MAX / 4];
        let keys = template.parts().keys;
        for (key, differs) in keys.iter().zip(&mut differs) {
            let (token, label) = pair(*key);
            // SAFETY: as the caller holds.
            *differs = !unsafe { labels[label as usize].begins::<I>(self.tokens.text, self.tokens.position(token)) } as u8;
        }
        for (first, eight) in differs[..keys.len().next_multiple_of(8)].as_chunks::<8>().0.iter().enumerate() {
            let mut eight = u64::from_le_bytes(*eight);
            while eight != 0 {
                changed.push(Changed { key: first as u16 * 8 + eight.trailing_zeros() as u16 / 8, hash: 0 });
                eight &= eight - 1;
            }
        }
        (changed.len() <= CHANGED_MAX).then_some(())
    }

    /// Takes the values of the template's nodes, and checks all numbers and words. `SIMPLE`: there is no white space around values,
    /// and no escape.
    #[inline(always)]
    fn values<const SIMPLE: bool>(&mut self, template: &Template) -> Option<()> {
        let tokens = self.tokens;
        let end = |start: usize, next: usize| if SIMPLE { tokens.position(next) } else { tokens.end(start, next) };
        let parts = template.parts();
        for value in parts.texts {
            let (token, node) = pair(*value);
            let start = tokens.position(token);
            let end = end(start, token + 1);
            self.keep(node as u32, start, end, if SIMPLE { Tag::Text } else { tokens.text_tag(start, end) });
        }
        for value in parts.scalars {
            let (token, node) = pair(*value);
            let start = tokens.position(token);
            let end = end(start, token + 1);
            let tag = tokens.scalar(start, end)?;
            if node != NO_NODE {
                self.keep(node as u32, start, end, tag);
            }
        }
        for value in parts.objects {
            let (token, close, node, _) = container(*value);
            self.keep(node, tokens.position(token), tokens.position(close) + 1, Tag::Object);
        }
        for value in parts.lists {
            let (token, close, node, nested) = container(*value);
            self.keep(node, tokens.position(token), tokens.position(close) + 1, Tag::Array);
            let plain = self.trie.marks[node as usize].plain_items;
            if plain != 0 && (nested || tokens.structure.white || self.items(token, close)? & !plain != 0) {
                self.slots.unusual.push(node);
            }
        }
        Some(())
    }

    /// The tags of the items of a list that has no containers in it.
    #[inline(always)]
    fn items(&self, first: usize, close: usize) -> Option<u16> {
        let tokens = self.tokens;
        let mut tags = 0;
        for token in (first + 1..close).step_by(2) {
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
            let key = &template.rest.keys[each.key as usize];
            if key.container {
                return None;
            }
            if key.child != NONE {
                self.slots.list[key.child as usize].epoch = 0;
            }
        }
        let tokens = self.tokens;
        for each in changed {
            let key = &template.rest.keys[each.key as usize];
            let at = key.token as usize;
            let start = tokens.position(at);
            let end = tokens.end(start, at + 1);
            if tokens.text_tag(start, end) != Tag::Text {
                return None;
            }
            let name = tokens.text.text().get(start + 1..end - 1)?;
            each.hash = hash(name);
            let Some(node) = self.trie.nodes.get(template.rest.nodes[key.object as usize] as usize) else { continue };
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
        for whole in &template.rest.wholes {
            let same = changed.iter().all(|each| template.rest.keys[each.key as usize].object != whole.object);
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
pub fn distinct(templates: &Templates, shape: usize, changed: &[Changed]) -> bool {
    let Some(template) = &templates.places[shape] else { return false };
    let is_changed = |at: usize| changed.iter().any(|each| each.key as usize == at);
    let differs = |(number, each): (usize, &Changed)| {
        let object = template.rest.keys[each.key as usize].object;
        let others = changed[..number].iter();
        let mut others = others.filter(|other| template.rest.keys[other.key as usize].object == object);
        let mut kept = template.rest.keys.iter().enumerate().filter(|(_, key)| key.object == object && key.hash == each.hash);
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
        if kinds.len() > TOKENS_MAX || self.credit < HITS_PER_TEMPLATE || self.find(kinds, hash_of(kinds)).is_some() {
            return;
        }
        self.credit -= HITS_PER_TEMPLATE;
        if self.count >= TEMPLATES_MAX {
            self.forget();
        }
        self.places.resize_with(1 << PLACES_BITS, || None);
        let mut maker = Maker::new(self, trie, tokens);
        if maker.nested(0, 0, 0).is_none() {
            return;
        }
        let Some(made) = maker.finish() else { return self.forget() };
        let mut place = place_of(made.hash);
        place ^= self.places[place].is_some() as usize & self.places[place ^ 1].is_none() as usize;
        self.count += self.places[place].is_none() as usize;
        self.places[place] = Some(made);
    }
}

struct Maker<'m> {
    templates: &'m mut Templates,
    trie: &'m Trie,
    tokens: Tokens<'m>,
    texts: Vec<Value>,
    scalars: Vec<Value>,
    objects: Vec<Value>,
    lists: Vec<(Value, bool)>,
    rest: Rest,
}

/// Objects inside of objects deeper than this have no template.
const DEPTH_MAX: u32 = 32;

impl<'m> Maker<'m> {
    fn new(templates: &'m mut Templates, trie: &'m Trie, tokens: Tokens<'m>) -> Maker<'m> {
        let (texts, scalars, objects, lists) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Maker { templates, trie, tokens, texts, scalars, objects, lists, rest: Rest::default() }
    }

    /// None where labels or nodes are so many that their numbers do not fit.
    fn finish(self) -> Option<Template> {
        let tokens = self.tokens.structure.kinds();
        if self.templates.labels.len() > u16::MAX as usize || self.trie.nodes.len() >= NO_NODE as usize {
            return None;
        }
        let counts = Counts {
            tokens: tokens.len() as u16,
            keys: self.rest.keys.len() as u16,
            texts: self.texts.len() as u16,
            scalars: self.scalars.len() as u16,
            objects: self.objects.len() as u16,
        };
        let mut data = tokens.to_vec();
        let mut put = |numbers: &[u16]| data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.rest.keys.iter().for_each(|key| put(&[key.token, key.label as u16]));
        self.texts.iter().chain(&self.scalars).for_each(|value| put(&[value.token, value.node.min(NO_NODE as u32) as u16]));
        self.objects.iter().for_each(|value| put(&[value.token, value.node as u16, value.close, 0]));
        self.lists.iter().for_each(|(value, nested)| put(&[value.token, value.node as u16, value.close, *nested as u16]));
        Some(Template { hash: hash_of(tokens), data: data.into(), counts, rest: Box::new(self.rest) })
    }

    /// An object that is walked: the token behind it. None if it can have no template.
    fn nested(&mut self, first: usize, node: u32, depth: u32) -> Option<usize> {
        if depth > DEPTH_MAX {
            return None;
        }
        let object = self.rest.nodes.len() as u16;
        self.rest.nodes.push(node);
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
            self.objects.push(Value { token: first as u16, close: at as u16, node });
        }
        if let Some(marks) = self.trie.marks.get(node as usize)
            && (marks.whole || marks.whole_inside)
        {
            let members = (!members.contains(&NONE)).then_some(members);
            self.rest.wholes.push(Whole { object, node, members });
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
        self.rest.keys.push(Key { token: at as u16, object, label, child, hash: hash(name), container });
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
                    self.lists.push((Value { close: next as u16 - 1, ..value }, nested));
                }
                return Some(next);
            }
            b'"' if child == NONE => {}
            b'"' => self.texts.push(value),
            _ => self.scalars.push(value),
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
                _ => self.scalars.push(Value { token: at as u16, close: 0, node: NONE }),
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        if objects {
            self.rest.unexamined.push(Value { token: first as u16, close: at as u16 - 1, node: NONE });
        }
        (at, nested)
    }
}
