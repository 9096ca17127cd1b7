//! What a scan found: for every path that rules name, where its value stands in the event and what it is.

use crate::json::{Kind, Span};

/// What a value is, told without converting it. Numbers are stable only within one build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    #[default]
    Null,
    True,
    False,
    /// Up to 18 digits and perhaps a minus; not `-0`.
    Integer,
    /// A number with a fraction and no exponent, of less than 300 bytes: as a double it is finite.
    Decimal,
    /// Any other number.
    Number,
    /// A string without a backslash.
    Text,
    /// A string with escapes, none of them of a surrogate.
    EscapedText,
    /// A string with escapes, of which some may be of surrogates.
    SurrogateText,
    Object,
    Array,
}

impl Tag {
    #[inline(always)]
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }

    pub fn kind(self) -> Kind {
        match self {
            Tag::Null => Kind::Null,
            Tag::True => Kind::True,
            Tag::False => Kind::False,
            Tag::Integer | Tag::Decimal | Tag::Number => Kind::Number,
            Tag::Text => Kind::Text,
            Tag::EscapedText | Tag::SurrogateText => Kind::EscapedText,
            Tag::Object => Kind::Object,
            Tag::Array => Kind::Array,
        }
    }
}

/// The tags of a set.
pub const fn tags(of: &[Tag]) -> u16 {
    let mut bits = 0;
    let mut at = 0;
    while at < of.len() {
        bits |= of[at].bit();
        at += 1;
    }
    bits
}

pub const ANY: u16 = u16::MAX;

/// A value of the event, quotes and brackets included. It is there where its epoch is the event's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    pub start: u32,
    pub end: u32,
    pub epoch: u32,
    pub tag: Tag,
}

impl Slot {
    pub fn span(self) -> Span {
        Span { start: self.start as usize, end: self.end as usize, kind: self.tag.kind() }
    }
}

/// By node of the trie.
#[derive(Debug, Default)]
pub struct Slots {
    pub list: Vec<Slot>,
    pub epoch: u32,
    /// Nodes whose values are not simply taken as they are: they are read, and counted, at once.
    pub unusual: Vec<u32>,
}

impl Slots {
    /// Makes ready for the next event; of another program where `anew`.
    #[inline(always)]
    pub fn begin(&mut self, nodes: usize, anew: bool) {
        if anew || self.epoch == u32::MAX {
            self.list.clear();
            self.list.resize(nodes, Slot::default());
            self.epoch = 0;
        }
        self.epoch += 1;
        self.unusual.clear();
    }

    /// The value of a node, if the event has it.
    #[inline(always)]
    pub fn get(&self, node: u32) -> Option<Slot> {
        let slot = self.list[node as usize];
        (slot.epoch == self.epoch).then_some(slot)
    }
}
