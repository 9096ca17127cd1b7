//! Conditions as tests: comparisons of fields with constants, made without branches for a block of rules at a time.
//!
//! Every rule of a block has a mask of the tests that must be TRUE. What is no such comparison is evaluated by itself, and only
//! for rules whose mask is satisfied. Only rules whose WHERE cannot be failed NULL come here: for these FALSE and NULL are one.

use hashbrown::HashMap;

use crate::eval::Evaluation;
use crate::functions::number;
use crate::index::Key;
use crate::slots::{Slot, Tag};
use crate::value::Value;

/// Tests and rules of a block are numbered by the bits of a word.
const BLOCK_MAX: usize = 64;
/// Sets over keys of more literals are evaluated by themselves.
const SET_LITERALS_MAX: usize = 4096;

/// What tests look at: a field, once an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    pub node: u32,
    pub form: Form,
}

/// Where the value of an operand that is a field stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    pub slot: u32,
    /// The tags of which the operand's value is got from the slot itself. 0 where there are none.
    pub usual: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A number, a time or a truth value as an integer of the same order.
    Ordered,
    /// The number of its literal among those of the key with this number; the number of literals where it is none of them.
    Code(u32),
    /// 0: only whether it is NULL matters.
    Presence,
}

/// An operand's value, valid where the epoch is the event's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    pub value: i64,
    pub epoch: u32,
    /// `NULL` or 0.
    pub null: u32,
}

/// Outcomes of a test: outside its range, inside, NULL. A test holds the set of those that satisfy it, as bits.
pub const NULL: u32 = 2;
pub const OUTSIDE: u8 = 0b0001;
pub const INSIDE: u8 = 0b0010;
pub const IS_NULL: u8 = 0b1100;

/// A condition when linking. Operands are numbered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    Range {
        operand: u32,
        low: i64,
        high: i64,
        holds: u8,
    },
    Set {
        operand: u32,
        literals: Vec<u32>,
        holds: u8,
    },
    All(Vec<Condition>),
    Any(Vec<Condition>),
    /// The node is `wanted`, found out by evaluating it.
    Node {
        node: u32,
        wanted: bool,
    },
}

impl Condition {
    /// Whether nothing in it must be evaluated by itself.
    pub fn is_simple(&self) -> bool {
        match self {
            Condition::Range { .. } | Condition::Set { .. } => true,
            Condition::All(list) | Condition::Any(list) => list.iter().all(Condition::is_simple),
            Condition::Node { .. } => false,
        }
    }

    /// Whether its sets are over keys of few literals, so that their bits take little room.
    pub fn is_small(&self, literals: &dyn Fn(u32) -> usize) -> bool {
        match self {
            Condition::Set { operand, .. } => literals(*operand) <= SET_LITERALS_MAX,
            Condition::All(list) | Condition::Any(list) => list.iter().all(|inner| inner.is_small(literals)),
            _ => true,
        }
    }

    /// How many tests it takes.
    fn size(&self) -> usize {
        match self {
            Condition::All(list) | Condition::Any(list) => 1 + list.iter().map(Condition::size).sum::<usize>(),
            _ => 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct RangeTest {
    low: i64,
    high: i64,
    operand: u32,
    holds: u8,
}

#[derive(Clone, Copy, Debug)]
struct SetTest {
    operand: u32,
    /// Where its bits begin.
    first: u32,
    holds: u8,
}

/// A test made of those before it: all of a mask, or any.
#[derive(Clone, Copy, Debug)]
struct Composite {
    mask: u64,
    all: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    required: u64,
    rule: u32,
    /// Where the conditions begin that are to be evaluated by themselves; `NO_NODES` if there are none.
    nodes: u32,
}

const NO_NODES: u32 = u32::MAX;

/// Where the parts of a block begin; they end where those of the next one begin.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    operands: u32,
    ranges: u32,
    sets: u32,
    composites: u32,
    entries: u32,
}

/// The blocks of a program.
#[derive(Debug, Default)]
pub struct Blocks {
    pub operands: Vec<Operand>,
    /// By operand.
    pub sources: Vec<Source>,
    blocks: Vec<Block>,
    used: Vec<u32>,
    ranges: Vec<RangeTest>,
    sets: Vec<SetTest>,
    composites: Vec<Composite>,
    entries: Vec<Entry>,
    /// Nodes with the wanted value in the lowest bit; each list ends with `NO_NODES`.
    nodes: Vec<u32>,
    bits: Vec<u64>,
    known_bits: HashMap<(u32, Vec<u32>), u32>,
}

/// A rule and what must hold of it, besides the nodes that are evaluated by themselves in their order.
pub struct Candidate<'c> {
    pub rule: u32,
    pub conditions: Vec<&'c Condition>,
    pub nodes: Vec<u32>,
}

impl Blocks {
    /// Makes blocks of these rules; the numbers of the first and behind the last. `literals` counts those of an operand's key.
    pub fn add(&mut self, candidates: &[Candidate], literals: &dyn Fn(u32) -> usize) -> (u32, u32) {
        let first = self.blocks.len() as u32;
        let mut rest = candidates;
        while !rest.is_empty() {
            let mut size = 0;
            let fits = |candidate: &&Candidate| {
                size += candidate.conditions.iter().map(|condition| condition.size()).sum::<usize>();
                size <= BLOCK_MAX
            };
            let count = rest.iter().take(BLOCK_MAX).take_while(fits).count().max(1);
            let (block, after) = rest.split_at(count);
            self.block(block, literals);
            rest = after;
        }
        (first, self.blocks.len() as u32)
    }

    fn block(&mut self, candidates: &[Candidate], literals: &dyn Fn(u32) -> usize) {
        self.blocks.push(self.ends());
        let mut simple: Vec<&Condition> = Vec::new();
        for candidate in candidates {
            candidate.conditions.iter().for_each(|condition| leaves(condition, &mut simple));
        }
        let (ranges, sets): (Vec<_>, Vec<_>) = simple.iter().partition(|leaf| matches!(leaf, Condition::Range { .. }));
        let mut bits: HashMap<&Condition, u32> = HashMap::new();
        let mut operands: Vec<u32> = Vec::new();
        for leaf in ranges.into_iter().chain(sets) {
            let next = bits.len() as u32;
            if *bits.entry(leaf).or_insert(next) != next {
                continue;
            }
            let operand = match leaf {
                Condition::Range { operand, low, high, holds } => {
                    self.ranges.push(RangeTest { low: *low, high: *high, operand: *operand, holds: *holds });
                    *operand
                }
                Condition::Set { operand, literals: list, holds } => {
                    let first = self.bits_of(*operand, list, literals(*operand));
                    self.sets.push(SetTest { operand: *operand, first, holds: *holds });
                    *operand
                }
                _ => continue,
            };
            if !operands.contains(&operand) {
                operands.push(operand);
            }
        }
        self.used.extend(operands);
        let mut next = bits.len() as u32;
        for candidate in candidates {
            let mut required = 0;
            for condition in &candidate.conditions {
                required |= 1 << self.bit(condition, &mut bits, &mut next);
            }
            let mut nodes = NO_NODES;
            if !candidate.nodes.is_empty() {
                nodes = self.nodes.len() as u32;
                self.nodes.extend_from_slice(&candidate.nodes);
                self.nodes.push(NO_NODES);
            }
            self.entries.push(Entry { required, rule: candidate.rule, nodes });
        }
    }

    fn ends(&self) -> Block {
        Block {
            operands: self.used.len() as u32,
            ranges: self.ranges.len() as u32,
            sets: self.sets.len() as u32,
            composites: self.composites.len() as u32,
            entries: self.entries.len() as u32,
        }
    }

    /// The bit of a condition in the block being made.
    fn bit<'c>(&mut self, condition: &'c Condition, bits: &mut HashMap<&'c Condition, u32>, next: &mut u32) -> u32 {
        if let Some(known) = bits.get(condition) {
            return *known;
        }
        let (list, all) = match condition {
            Condition::Any(list) => (list.as_slice(), false),
            Condition::All(list) => (list.as_slice(), true),
            _ => (&[][..], true),
        };
        let mask = list.iter().fold(0, |mask, inner| mask | 1 << self.bit(inner, bits, next));
        self.composites.push(Composite { mask, all });
        *next += 1;
        bits.insert(condition, *next - 1);
        *next - 1
    }

    /// Where the bits of a set of literals begin.
    fn bits_of(&mut self, operand: u32, list: &[u32], literals: usize) -> u32 {
        let next = self.bits.len() as u32;
        let first = *self.known_bits.entry((operand, list.to_vec())).or_insert(next);
        if first == next {
            self.bits.resize(self.bits.len() + literals / 64 + 1, 0);
            for literal in list {
                self.bits[first as usize + *literal as usize / 64] |= 1 << (literal % 64);
            }
        }
        first
    }

    /// No more blocks will follow.
    pub fn finish(&mut self) {
        self.blocks.push(self.ends());
        self.known_bits = HashMap::new();
    }

    /// The rules that blocks hold.
    pub fn rules(&self, blocks: (u32, u32)) -> impl Iterator<Item = u32> + '_ {
        self.entries_of(blocks).iter().map(|entry| entry.rule)
    }

    /// The rules that blocks hold, each with the nodes that are evaluated by themselves.
    pub fn rules_and_nodes(&self, blocks: (u32, u32)) -> impl Iterator<Item = (u32, Vec<u32>)> + '_ {
        let nodes = |entry: &Entry| match entry.nodes {
            NO_NODES => Vec::new(),
            first => self.nodes[first as usize..].iter().take_while(|node| **node != NO_NODES).map(|node| node >> 1).collect(),
        };
        self.entries_of(blocks).iter().map(move |entry| (entry.rule, nodes(entry)))
    }

    fn entries_of(&self, blocks: (u32, u32)) -> &[Entry] {
        let (first, end) = (self.blocks[blocks.0 as usize], self.blocks[blocks.1 as usize]);
        &self.entries[first.entries as usize..end.entries as usize]
    }
}

fn leaves<'c>(condition: &'c Condition, found: &mut Vec<&'c Condition>) {
    match condition {
        Condition::All(list) | Condition::Any(list) => list.iter().for_each(|inner| leaves(inner, found)),
        _ => found.push(condition),
    }
}

/// Whether conditions fit into one block.
pub fn fits_block(conditions: &[&Condition]) -> bool {
    conditions.iter().map(|condition| condition.size()).sum::<usize>() <= BLOCK_MAX
}

/// A number as an integer of the same order; NaN is the greatest, and the zeros are equal.
pub fn ordered(number: f64) -> i64 {
    let bits = if number.is_nan() { f64::NAN.to_bits() & (u64::MAX >> 1) } else { (number + 0.0).to_bits() } as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// Runs blocks for one event.
pub struct Tester<'t, 'e> {
    pub evaluation: Evaluation<'e>,
    pub blocks: &'t Blocks,
    pub keys: &'t [Key],
    pub known: &'t mut [Known],
}

impl Tester<'_, '_> {
    /// An operand's value.
    #[inline(always)]
    pub fn operand(&mut self, number: u32) -> Known {
        let known = self.known[number as usize];
        if known.epoch == self.evaluation.memory.epoch { known } else { self.find_out(number) }
    }

    #[inline(never)]
    fn find_out(&mut self, number: u32) -> Known {
        let (value, null) = self.settle(number);
        // Word by word: put together elsewhere and copied, it would be read back before it is there.
        let known = &mut self.known[number as usize];
        known.value = value;
        known.epoch = self.evaluation.memory.epoch;
        known.null = null;
        Known { value, epoch: self.evaluation.memory.epoch, null }
    }

    #[inline(always)]
    fn settle(&mut self, number: u32) -> (i64, u32) {
        let Operand { node, form } = self.blocks.operands[number as usize];
        let Source { slot, usual } = self.blocks.sources[number as usize];
        if usual != 0 {
            let slots = &self.evaluation.memory.slots;
            let Some(slot) = slots.get(slot) else { return (0, NULL) };
            if usual & slot.tag.bit() != 0 {
                return (self.usual(form, slot), 0);
            }
        }
        let value = self.evaluation.value(node);
        if value.is_null() {
            return (0, NULL);
        }
        let value = match form {
            Form::Presence => 0,
            Form::Ordered => match value {
                Value::Integer(number) | Value::Timestamp(number) => number,
                Value::Boolean(flag) => flag as i64,
                _ => ordered(self.evaluation.texts().double(value)),
            },
            Form::Code(key) => {
                let key = &self.keys[key as usize];
                key.find(value, self.evaluation.texts()).unwrap_or(key.literals) as i64
            }
        };
        (value, 0)
    }

    /// The value of an operand whose field has a tag that its reading takes as it is.
    #[inline(always)]
    fn usual(&self, form: Form, slot: Slot) -> i64 {
        let (start, end) = (slot.start as usize, slot.end as usize);
        let event = self.evaluation.event;
        let integer = || number::json_integer(&event[start..end]).unwrap_or(0);
        match (form, slot.tag) {
            (Form::Presence, _) => 0,
            (Form::Code(key), Tag::Text) => {
                let key = &self.keys[key as usize];
                key.find_text(&event[start + 1..end - 1]).unwrap_or(key.literals) as i64
            }
            (Form::Code(key), _) => {
                let key = &self.keys[key as usize];
                key.find_integer(integer()).unwrap_or(key.literals) as i64
            }
            (Form::Ordered, Tag::Integer) => integer(),
            (Form::Ordered, tag) => (tag == Tag::True) as i64,
        }
    }

    /// Adds the rules of these blocks that match.
    #[inline]
    pub fn run(&mut self, first: u32, end: u32, matched: &mut Vec<u32>) {
        for number in first as usize..end as usize {
            self.block(number, matched);
        }
    }

    #[inline(always)]
    fn block(&mut self, number: usize, matched: &mut Vec<u32>) {
        let blocks = self.blocks;
        let (block, next) = (blocks.blocks[number], blocks.blocks[number + 1]);
        for operand in &blocks.used[block.operands as usize..next.operands as usize] {
            self.operand(*operand);
        }
        let mut satisfied = 0u64;
        let mut bit = 0;
        for test in &blocks.ranges[block.ranges as usize..next.ranges as usize] {
            let known = self.known[test.operand as usize];
            let inside = ((test.low <= known.value) & (known.value <= test.high)) as u32;
            satisfied |= ((test.holds >> (inside | known.null)) & 1) as u64 * (1 << bit);
            bit += 1;
        }
        for test in &blocks.sets[block.sets as usize..next.sets as usize] {
            let known = self.known[test.operand as usize];
            let word = blocks.bits[test.first as usize + known.value as usize / 64];
            let inside = (word >> (known.value as u64 % 64)) as u32 & 1;
            satisfied |= ((test.holds >> (inside | known.null)) & 1) as u64 * (1 << bit);
            bit += 1;
        }
        for test in &blocks.composites[block.composites as usize..next.composites as usize] {
            let met = satisfied & test.mask;
            let holds = if test.all { met == test.mask } else { met != 0 };
            satisfied |= (holds as u64) << bit;
            bit += 1;
        }
        let entries = &blocks.entries[block.entries as usize..next.entries as usize];
        let mut passing = 0u64;
        for (at, entry) in entries.iter().enumerate() {
            passing |= ((entry.required & !satisfied == 0) as u64) << at;
        }
        while passing != 0 {
            let entry = entries[passing.trailing_zeros() as usize];
            passing &= passing - 1;
            if entry.nodes == NO_NODES || self.nodes_hold(entry.nodes) {
                matched.push(entry.rule);
            }
        }
    }

    fn nodes_hold(&mut self, first: u32) -> bool {
        let nodes = &self.blocks.nodes[first as usize..];
        let mut nodes = nodes.iter().take_while(|node| **node != NO_NODES);
        nodes.all(|node| self.evaluation.value(node >> 1) == Value::Boolean(node & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_keep_their_order() {
        let numbers = [f64::NEG_INFINITY, -1e300, -2.5, -1e-300, 0.0, 1e-300, 1.0, 1e300, f64::INFINITY, f64::NAN];
        assert!(numbers.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert_eq!(ordered(-0.0), ordered(0.0));
        assert_eq!(ordered(-f64::NAN), ordered(f64::NAN));
    }
}
