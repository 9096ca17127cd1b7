//! The messages that a program reads: for every field that can stand on the wire, what is to be done with it.

use std::collections::HashMap;

use super::descriptor::{Cardinality, Descriptor, Kind, Meaning, WireField};
use super::wire;
use crate::link::Reading;
use crate::read::{Shape, Shapes};
use crate::trie::Trie;
use crate::value::{Place, Text, Value};

pub const NONE: u32 = u32::MAX;

/// What is done with a field. All are checked; `Take…` give their value to a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Not of the descriptor, or not of this wire type.
    Unknown,
    /// What is so seldom that the event is better read by way of JSON.
    Seldom,
    Varint,
    Fixed64,
    Fixed32,
    Double,
    Float,
    Bytes,
    Text,
    /// A message, checked by its table.
    Inside,
    /// Entries of a map.
    Map,
    PackedVarints,
    PackedFixed64,
    PackedFixed32,
    PackedDoubles,
    PackedFloats,
    TakeInt64,
    TakeInt32,
    TakeUint64,
    TakeUint32,
    TakeSint64,
    TakeSint32,
    TakeFixed64,
    TakeFixed32,
    TakeSfixed64,
    TakeSfixed32,
    TakeDouble,
    TakeFloat,
    TakeBool,
    TakeText,
    TakeTimestamp,
}

#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub action: Action,
    /// The tag that it is for, where that is small.
    pub tag: u16,
    /// What takes the value.
    pub reading: u32,
    /// Where it is noted that the field is there.
    pub held: u32,
    /// The table of the message inside; of `TakeTimestamp` the number of its message, of `Map` the place of the field.
    pub inner: u32,
}

static UNKNOWN: Entry = Entry { action: Action::Unknown, tag: NO_TAG, reading: NONE, held: NONE, inner: NONE };
/// A tag of no wire type.
const NO_TAG: u16 = u16::MAX;

/// The fields of a message, of which rules want some.
#[derive(Debug)]
pub struct Table {
    /// The number of the message.
    pub number: usize,
    /// By number, where its tag is one byte.
    first: [Entry; FIRST_NUMBERS],
    /// By number, where that is small: close together, since each event needs most of them.
    small: Vec<Entry>,
    /// By tag: numbers that are not small, and the less usual one of two wire types.
    others: HashMap<u32, Entry>,
    /// What readings are where a field is absent, which then is zero or empty.
    pub values: Vec<(u32, Value)>,
    /// Fields that are held, and there though absent.
    pub implicit: Vec<u32>,
    /// Whether there are any of these two.
    pub is_implicit: bool,
}

const FIRST_NUMBERS: usize = 16;
const SMALL_NUMBERS: u32 = 512;

impl Table {
    fn new(number: usize) -> Table {
        Table {
            number,
            first: [UNKNOWN; FIRST_NUMBERS],
            small: Vec::new(),
            others: HashMap::new(),
            values: Vec::new(),
            implicit: Vec::new(),
            is_implicit: false,
        }
    }

    /// The entry for the number that the tag of one byte has; its own tag says whether it is the one.
    #[inline(always)]
    pub fn first_entry(&self, tag: u8) -> &Entry {
        &self.first[usize::from(tag >> 3) % FIRST_NUMBERS]
    }

    /// What is done with a field of this tag.
    #[inline(always)]
    pub fn entry(&self, tag: u32) -> &Entry {
        match self.small.get(tag as usize >> 3) {
            Some(entry) if u32::from(entry.tag) == tag => entry,
            _ => self.seldom_entry(tag),
        }
    }

    #[inline(never)]
    fn seldom_entry(&self, tag: u32) -> &Entry {
        self.others.get(&tag).unwrap_or(&UNKNOWN)
    }

    /// Adds a field; of two wire types of one number the first is the quicker one.
    fn add(&mut self, number: u32, wire: u32, entry: Entry) {
        let at = number as usize;
        if number < SMALL_NUMBERS && self.small.len() <= at {
            self.small.resize(at + 1, UNKNOWN);
        }
        match self.small.get_mut(at) {
            Some(place) if place.tag == NO_TAG => {
                *place = Entry { tag: (number << 3 | wire) as u16, ..entry };
                if let Some(first) = self.first.get_mut(at) {
                    *first = *place;
                }
            }
            _ => {
                self.others.insert(number << 3 | wire, entry);
            }
        }
    }
}

/// A field whose value is not simply taken: where it stands is kept, and when it is asked for it is read as JSON.
#[derive(Debug)]
pub struct Held {
    /// The number of the message, and the place of the field in it.
    pub number: usize,
    pub place: usize,
    /// All that stands of it is one value or a list; else it is a message, which must not stand twice.
    pub repeats: Repeats,
    pub readings: Vec<(u32, Reading)>,
    /// It is read as soon as it is met: a WHERE asks for it, or reading it may count something.
    pub eager: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Of several the last counts.
    Last,
    /// They are items of one list, or entries of one map.
    Items,
    /// They would have to be merged.
    Merged,
}

/// Messages as the input of a program.
#[derive(Debug)]
pub struct Input {
    pub descriptor: Descriptor,
    /// The first is that of an event.
    pub tables: Vec<Table>,
    pub held: Vec<Held>,
    /// All readings in the tables are below this.
    pub readings: usize,
    /// The numbers of those that are read as soon as they are met.
    pub eager: Vec<u32>,
    /// By reading: the field that is held for it.
    held_for: HashMap<u32, u32>,
}

impl Input {
    /// Makes the tables. `asked` says of each reading whether a WHERE asks for it.
    pub fn new(
        descriptor: Descriptor,
        trie: &Trie,
        readings_of: &[Vec<(u32, Reading)>],
        shapes: &Shapes,
        asked: &[bool],
    ) -> Input {
        let mut wanted = vec![false; trie.nodes.len()];
        for node in (0..trie.nodes.len()).rev() {
            wanted[node] = trie.nodes[node].children.iter().any(|child| {
                let child = *child as usize;
                wanted[child] || !readings_of[child].is_empty()
            });
        }
        let nobody = asked.len() as u32;
        let known = Known { descriptor: &descriptor, trie, readings_of, shapes, asked, wanted, nobody };
        let mut made = Made::default();
        made.table(&known, 0, Some(0), 1);
        let eager = (0..made.held.len() as u32).filter(|held| made.held[*held as usize].eager).collect();
        let numbers = made.held.iter().zip(0..).flat_map(|(held, number)| held.readings.iter().map(move |(of, _)| (*of, number)));
        let held_for = numbers.collect();
        let readings = asked.len() + 1;
        Input { readings, tables: made.tables, held: made.held, eager, held_for, descriptor }
    }

    /// The field that is held for a reading.
    pub fn held_for(&self, reading: u32) -> Option<u32> {
        self.held_for.get(&reading).copied()
    }
}

struct Known<'k> {
    descriptor: &'k Descriptor,
    trie: &'k Trie,
    readings_of: &'k [Vec<(u32, Reading)>],
    shapes: &'k Shapes,
    asked: &'k [bool],
    /// By node: whether anything below it is read.
    wanted: Vec<bool>,
    /// The place behind those of the readings, for values that nobody reads.
    nobody: u32,
}

#[derive(Default)]
struct Made {
    tables: Vec<Table>,
    held: Vec<Held>,
    numbers: HashMap<(usize, Option<u32>), u32>,
}

impl Made {
    /// The table of a message at a node; without one nothing of it is wanted.
    fn table(&mut self, known: &Known, number: usize, node: Option<u32>, depth: usize) -> u32 {
        if let Some(made) = self.numbers.get(&(number, node)) {
            return *made;
        }
        let at = self.tables.len() as u32;
        self.tables.push(Table::new(number));
        self.numbers.insert((number, node), at);
        let mut table = Table::new(number);
        for (place, field) in known.descriptor.structs[number].fields.iter().enumerate() {
            let child = node.and_then(|node| {
                let node = &known.trie.nodes[node as usize];
                let name: String = serde_json::from_slice(&field.label[..field.label.len() - 1]).unwrap_or_default();
                node.keys.find(name.as_bytes()).map(|index| node.children[index as usize])
            });
            self.field(known, &mut table, (number, place), field, child, depth);
        }
        table.is_implicit = !table.values.is_empty() || !table.implicit.is_empty();
        self.tables[at as usize] = table;
        at
    }

    fn field(
        &mut self,
        known: &Known,
        table: &mut Table,
        at: (usize, usize),
        field: &WireField,
        child: Option<u32>,
        depth: usize,
    ) {
        let readings = child.map_or(&[][..], |child| &known.readings_of[child as usize]);
        let below = child.is_some_and(|child| known.wanted[child as usize]);
        let plain = Entry { action: Action::Seldom, ..UNKNOWN };
        let nested = known.descriptor.structs.get(field.inner);
        let meaning = nested.map_or(Meaning::None, |nested| nested.meaning);
        // Paths that go on inside what is an object only as JSON.
        let as_object = field.cardinality == Cardinality::Map || field.json || meaning == Meaning::Timestamp;
        let too_deep = nested.is_some() && depth >= wire::DEPTH_MAX;
        if field.kind == Kind::Group || (below && as_object) || too_deep {
            table.add(field.number, field.kind.wire(), plain);
            if field.cardinality == Cardinality::Implicit && !readings.is_empty() {
                let held = self.hold(known, at, field, readings);
                table.implicit.push(held);
            }
            return;
        }
        if let (Cardinality::Optional | Cardinality::Implicit, [(number, reading)]) = (field.cardinality, readings)
            && let Some(action) = taken(field.kind, field.json, meaning, &known.shapes.list[reading.shape as usize])
        {
            if field.cardinality == Cardinality::Implicit {
                table.values.push((*number, zero(field.kind)));
            }
            table.add(field.number, field.kind.wire(), Entry { action, reading: *number, inner: field.inner as u32, ..plain });
            return;
        }
        let inside = below && field.cardinality == Cardinality::Optional && meaning == Meaning::None;
        let held = if inside || !readings.is_empty() { self.hold(known, at, field, readings) } else { NONE };
        if held != NONE && field.cardinality == Cardinality::Implicit {
            table.implicit.push(held);
        }
        let (action, inner) = match (field.cardinality, field.kind) {
            (Cardinality::Map, _) => (Action::Map, at.1 as u32),
            (_, Kind::Struct) => (Action::Inside, self.table(known, field.inner, child.filter(|_| inside), depth + 1)),
            (_, kind) => (checked(kind), NONE),
        };
        // What is taken for nobody costs less than telling apart what is wanted.
        let (action, reading) = match action {
            Action::Text if held == NONE => (Action::TakeText, known.nobody),
            Action::Varint if held == NONE => (Action::TakeInt64, known.nobody),
            _ => (action, NONE),
        };
        let alone = Entry { action, held, inner, reading, ..plain };
        let run = Entry { action: packed(field.kind), held, ..plain };
        let runs = matches!(field.cardinality, Cardinality::Repeated | Cardinality::Packed) && field.kind.wire() != 2;
        if runs && field.cardinality == Cardinality::Packed {
            table.add(field.number, 2, run);
        }
        table.add(field.number, field.kind.wire(), alone);
        if runs && field.cardinality == Cardinality::Repeated {
            table.add(field.number, 2, run);
        }
    }

    fn hold(&mut self, known: &Known, at: (usize, usize), field: &WireField, readings: &[(u32, Reading)]) -> u32 {
        let counts = |(number, reading): &(u32, Reading)| {
            known.asked[*number as usize] || !known.never_counts(field, reading.shape, false)
        };
        let repeats = match (field.cardinality, field.kind) {
            (Cardinality::Repeated | Cardinality::Packed | Cardinality::Map, _) => Repeats::Items,
            (_, Kind::Struct) => Repeats::Merged,
            _ => Repeats::Last,
        };
        let eager = readings.iter().any(counts);
        self.held.push(Held { number: at.0, place: at.1, repeats, readings: readings.to_vec(), eager });
        self.held.len() as u32 - 1
    }
}

impl Known<'_> {
    /// Whether reading a field, or an item of it, as a shape neither coerces anything nor meets anything that it cannot read.
    fn never_counts(&self, field: &WireField, shape: u32, item: bool) -> bool {
        let repeated = matches!(field.cardinality, Cardinality::Repeated | Cardinality::Packed) && !item;
        let nested = self.descriptor.structs.get(field.inner);
        match &self.shapes.list[shape as usize] {
            Shape::Json => true,
            Shape::List { item } if repeated => self.never_counts(field, *item, true),
            Shape::List { item } => {
                let list = nested.filter(|nested| nested.meaning == Meaning::Items);
                list.is_some_and(|list| self.never_counts(&list.fields[0], *item, true))
            }
            _ if repeated || field.cardinality == Cardinality::Map => false,
            Shape::Struct(fields) => nested.filter(|nested| nested.meaning == Meaning::None).is_some_and(|nested| {
                fields.keys.names().zip(&fields.shapes).all(|(name, shape)| {
                    nested.names.find(name).is_none_or(|place| self.never_counts(&nested.fields[place as usize], *shape, false))
                })
            }),
            Shape::BigInt => field.kind.is_whole() && !matches!(field.kind, Kind::Uint64 | Kind::Fixed64),
            // Doubles that are not finite are seldom.
            Shape::Double => field.kind.is_whole() || matches!(field.kind, Kind::Double | Kind::Float),
            Shape::Boolean => field.kind == Kind::Bool,
            Shape::Varchar => field.kind == Kind::Bytes || (field.kind == Kind::String && !field.json),
            Shape::Timestamp => false,
        }
    }
}

/// How the value of a field is taken as a shape, if that is simple.
fn taken(kind: Kind, json: bool, meaning: Meaning, shape: &Shape) -> Option<Action> {
    Some(match (shape, kind) {
        (Shape::BigInt, Kind::Int64) => Action::TakeInt64,
        (Shape::BigInt, Kind::Int32) => Action::TakeInt32,
        (Shape::BigInt, Kind::Uint64) => Action::TakeUint64,
        (Shape::BigInt, Kind::Uint32) => Action::TakeUint32,
        (Shape::BigInt, Kind::Sint64) => Action::TakeSint64,
        (Shape::BigInt, Kind::Sint32) => Action::TakeSint32,
        (Shape::BigInt, Kind::Fixed64) => Action::TakeFixed64,
        (Shape::BigInt, Kind::Fixed32) => Action::TakeFixed32,
        (Shape::BigInt, Kind::Sfixed64) => Action::TakeSfixed64,
        (Shape::BigInt, Kind::Sfixed32) => Action::TakeSfixed32,
        (Shape::Double, Kind::Double) => Action::TakeDouble,
        (Shape::Double, Kind::Float) => Action::TakeFloat,
        (Shape::Boolean, Kind::Bool) => Action::TakeBool,
        (Shape::Varchar, Kind::String) if !json => Action::TakeText,
        (Shape::Timestamp, Kind::Struct) if meaning == Meaning::Timestamp => Action::TakeTimestamp,
        _ => return None,
    })
}

fn zero(kind: Kind) -> Value {
    match kind {
        Kind::Double | Kind::Float => Value::Double(0.0),
        Kind::Bool => Value::Boolean(false),
        Kind::String => Value::Text(Text { place: Place::Program, start: 0, end: 0 }),
        _ => Value::Integer(0),
    }
}

/// How a field is checked of which nothing is taken.
fn checked(kind: Kind) -> Action {
    match (kind, kind.wire()) {
        (Kind::String, _) => Action::Text,
        (Kind::Double, _) => Action::Double,
        (Kind::Float, _) => Action::Float,
        (_, 1) => Action::Fixed64,
        (_, 2) => Action::Bytes,
        (_, 5) => Action::Fixed32,
        _ => Action::Varint,
    }
}

fn packed(kind: Kind) -> Action {
    match (kind, kind.wire()) {
        (Kind::Double, _) => Action::PackedDoubles,
        (Kind::Float, _) => Action::PackedFloats,
        (_, 1) => Action::PackedFixed64,
        (_, 5) => Action::PackedFixed32,
        _ => Action::PackedVarints,
    }
}
