//! The keys that the last events had, place by place. Events of one producer have their keys in one order, so a comparison
//! mostly takes the place of finding where a key ends and of looking it up.

use crate::structure::{Instructions, Padded, Portable};

/// No node.
pub const NONE: u32 = u32::MAX;
/// Objects with more keys, and keys that are longer, are looked up without a guess.
pub const PLACES_MAX: usize = 256;
pub const LABEL_BYTES_MAX: usize = 32;
/// Objects that no rule names anything of, but whose keys are remembered all the same.
const UNNAMED_MAX: usize = 512;

/// By node: those of the trie, and after them those of objects that no rule names anything of.
#[derive(Debug, Default)]
pub struct Layout {
    objects: Vec<Object>,
    named: usize,
}

#[derive(Debug, Default)]
struct Object {
    guesses: Vec<Guess>,
    /// Of the key at each place.
    hashes: Vec<u32>,
    /// The keys at so many first places are known to differ.
    distinct: usize,
}

/// `"key":` and white space up to the value; bytes that no text has where there is none.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Label {
    text: [u8; LABEL_BYTES_MAX],
    /// The bits of its bytes.
    mask: u32,
}

impl Label {
    /// What no text begins with.
    pub const NONE: Label = Label { text: [0xFF; LABEL_BYTES_MAX], mask: u32::MAX };

    /// None where the text is too long.
    pub fn of(text: &[u8]) -> Label {
        let mut label = Label::NONE;
        if text.len() <= LABEL_BYTES_MAX {
            label.text[..text.len()].copy_from_slice(text);
            label.mask = ((1u64 << text.len()) - 1) as u32;
        }
        label
    }

    /// Whether it is what stands at `at` of the text.
    ///
    /// # Safety
    /// The machine must have the instructions.
    #[inline(always)]
    pub unsafe fn begins<I: Instructions>(&self, text: Padded, at: usize) -> bool {
        let text = text.bytes::<LABEL_BYTES_MAX>(at);
        // SAFETY: as the caller holds; both have as many bytes as are compared.
        unsafe { I::begins(text.as_ptr(), self.text.as_ptr(), self.mask) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Guess {
    label: Label,
    child: u32,
    /// The node of the object that stands here where `child` is none.
    unnamed: u32,
}

const NO_GUESS: Guess = Guess { label: Label::NONE, child: NONE, unnamed: NONE };

impl Layout {
    /// Forgets everything.
    pub fn begin(&mut self, nodes: usize) {
        self.objects.clear();
        self.objects.resize_with(nodes, Object::default);
        self.named = nodes;
    }

    /// The node of the key at `at`, if it is the key that stood at this place in the last event.
    #[inline(always)]
    pub fn guess(&self, node: u32, place: usize, text: Padded, at: usize) -> Option<u32> {
        let guess = self.objects[node as usize].guesses.get(place)?;
        // SAFETY: it uses no instruction that a machine may lack.
        unsafe { guess.label.begins::<Portable>(text, at) }.then_some(guess.child)
    }

    /// Remembers the key that stands at a place. Without a label it is not guessed.
    pub fn learn(&mut self, node: u32, place: usize, label: Option<&[u8]>, hash: u32, child: u32) {
        if place >= PLACES_MAX {
            return;
        }
        let object = &mut self.objects[node as usize];
        if place >= object.guesses.len() {
            object.guesses.resize(place + 1, NO_GUESS);
            object.hashes.resize(place + 1, 0);
        }
        let guess = &mut object.guesses[place];
        *guess = Guess { child, unnamed: guess.unnamed, ..NO_GUESS };
        object.hashes[place] = hash;
        object.distinct = object.distinct.min(place);
        guess.label = label.map_or(Label::NONE, Label::of);
    }

    /// The node for the object at a place where no rule names anything; none where there are too many of them.
    pub fn unnamed(&mut self, node: u32, place: usize) -> Option<u32> {
        let next = self.objects.len() as u32;
        let guess = self.objects[node as usize].guesses.get_mut(place)?;
        if guess.unnamed == NONE {
            if next as usize - self.named >= UNNAMED_MAX {
                return None;
            }
            guess.unnamed = next;
            self.objects.push(Object::default());
            return Some(next);
        }
        Some(guess.unnamed)
    }

    /// Whether the keys at the first places are known to differ.
    #[inline(always)]
    pub fn distinct(&self, node: u32, count: usize) -> bool {
        self.objects[node as usize].distinct >= count
    }

    /// Whether the keys at the first places differ for certain; remembered.
    pub fn prove_distinct(&mut self, node: u32, count: usize) -> bool {
        let object = &mut self.objects[node as usize];
        let Some(hashes) = object.hashes.get(..count) else { return false };
        let mut new = hashes.iter().enumerate().skip(object.distinct);
        if new.any(|(at, hash)| hashes[..at].contains(hash)) {
            return false;
        }
        object.distinct = object.distinct.max(count);
        true
    }
}
