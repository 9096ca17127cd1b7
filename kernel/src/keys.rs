//! A small table of keys, asked once for every key of an event.

/// Finds a key's number. Keys of up to 16 bytes are told apart by two words, without comparing bytes.
#[derive(Clone, Debug, Default)]
pub struct KeyTable {
    /// Number + 1 of the key; 0 where the place is free. A power of two, at most half full.
    places: Vec<u32>,
    shift: u32,
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    words: (u64, u64),
    text: Box<[u8]>,
}

/// The bytes of a text in two words: together with the length they tell texts of up to 16 bytes apart.
#[inline(always)]
pub fn words(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64);
    }
    match *text {
        [] => (0, 0),
        [a] => (a as u64, 0),
        [a, b] => (a as u64 | (b as u64) << 8, 0),
        [a, b, c, ..] => (a as u64 | (b as u64) << 8 | (c as u64) << 16, 0),
    }
}

/// A hash of a key. Keys over 16 bytes that differ only in the middle have the same one.
#[inline(always)]
pub fn hash_of(text: &[u8]) -> u32 {
    (hash(words(text), text.len()) >> 32) as u32
}

#[inline(always)]
fn hash(words: (u64, u64), length: usize) -> u64 {
    let mixed = words.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ words.1.wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(29);
    (mixed ^ length as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

impl KeyTable {
    /// The keys get the numbers 0, 1, 2, … in order. They must differ.
    pub fn new<'k>(keys: impl Iterator<Item = &'k str>) -> KeyTable {
        let keys: Vec<Key> = keys.map(|key| Key { words: words(key.as_bytes()), text: key.as_bytes().into() }).collect();
        let bits = (keys.len() * 4).max(2).next_power_of_two().trailing_zeros();
        let mut table = KeyTable { places: vec![0; 1 << bits], shift: 64 - bits, keys: Vec::new() };
        for (number, key) in keys.iter().enumerate() {
            let mut place = table.first_place(key.words, key.text.len());
            while table.places[place] != 0 {
                place = (place + 1) & (table.places.len() - 1);
            }
            table.places[place] = number as u32 + 1;
        }
        table.keys = keys;
        table
    }

    /// The keys in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &*key.text)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[inline(always)]
    fn first_place(&self, words: (u64, u64), length: usize) -> usize {
        (hash(words, length) >> self.shift) as usize
    }

    #[inline(always)]
    pub fn find(&self, text: &[u8]) -> Option<u32> {
        if self.keys.is_empty() {
            return None;
        }
        let words = words(text);
        let mut place = self.first_place(words, text.len());
        loop {
            let number = self.places[place].checked_sub(1)?;
            let key = &self.keys[number as usize];
            if key.words == words && key.text.len() == text.len() && (text.len() <= 16 || *key.text == *text) {
                return Some(number);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_holds_and_nothing_else() {
        let keys: Vec<String> = (0..300).map(|n| "key_of_some_length_"[..n % 20].to_owned() + &n.to_string()).collect();
        let table = KeyTable::new(keys.iter().map(String::as_str));
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(table.find(key.as_bytes()), Some(number as u32), "{key}");
            assert_eq!(table.find(format!("{key}x").as_bytes()), None);
        }
        assert_eq!(KeyTable::new([].into_iter()).find(b""), None);
        assert_eq!(KeyTable::new([""].into_iter()).find(b""), Some(0));
    }

    #[test]
    fn long_keys_that_differ_in_the_middle_are_told_apart() {
        let table = KeyTable::new(["beginning_A_ending_x", "beginning_B_ending_x"].into_iter());
        assert_eq!(table.find(b"beginning_A_ending_x"), Some(0));
        assert_eq!(table.find(b"beginning_B_ending_x"), Some(1));
        assert_eq!(table.find(b"beginning_C_ending_x"), None);
    }
}
