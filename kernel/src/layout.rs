//! The keys that the last events had, place by place. Events of one producer have their keys in one order, so a comparison
//! mostly takes the place of finding where a key ends and of looking it up.

use crate::structure::Padded;

/// No node.
pub const NONE: u32 = u32::MAX;
/// Objects with more keys, and keys that are longer, are looked up without a guess.
pub const PLACES_MAX: usize = 256;
const LABEL_BYTES_MAX: usize = 32;
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

#[derive(Clone, Copy, Debug)]
struct Guess {
    /// `"key":` and white space up to the value; bytes that no text has where there is no guess.
    label: [u8; LABEL_BYTES_MAX],
    /// The bits of the label's bytes.
    mask: u32,
    child: u32,
    /// The node of the object that stands here where `child` is none.
    unnamed: u32,
}

const NO_GUESS: Guess = Guess { label: [0xFF; LABEL_BYTES_MAX], mask: u32::MAX, child: NONE, unnamed: NONE };

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
        let same = equal_bytes(&text.bytes::<LABEL_BYTES_MAX>(at), &guess.label);
        (same & guess.mask == guess.mask).then_some(guess.child)
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
        if let Some(label) = label.filter(|label| label.len() <= LABEL_BYTES_MAX) {
            guess.label[..label.len()].copy_from_slice(label);
            guess.mask = ((1u64 << label.len()) - 1) as u32;
        }
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

/// A bit for every byte that is equal.
#[inline(always)]
fn equal_bytes(a: &[u8; LABEL_BYTES_MAX], b: &[u8; LABEL_BYTES_MAX]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        // SAFETY: SSE2 is part of x86-64, and both have the 32 bytes that are loaded, at any alignment.
        unsafe {
            let half = |at: usize| {
                let (a, b) = (_mm_loadu_si128(a.as_ptr().add(at).cast()), _mm_loadu_si128(b.as_ptr().add(at).cast()));
                _mm_movemask_epi8(_mm_cmpeq_epi8(a, b)) as u32
            };
            half(0) | half(16) << 16
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        (0..LABEL_BYTES_MAX).fold(0, |bits, at| bits | ((a[at] == b[at]) as u32) << at)
    }
}
