//! The descriptor as snapshots carry it, made ready for reading and writing.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::wire;
use crate::json;
use crate::keys::KeyTable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Int64,
    Int32,
    Uint64,
    Uint32,
    Sint64,
    Sint32,
    Fixed64,
    Fixed32,
    Sfixed64,
    Sfixed32,
    Double,
    Float,
    Bool,
    String,
    Bytes,
    Enum,
    Struct,
    Group,
}

const KINDS: [(&str, Kind); 18] = [
    ("int64", Kind::Int64),
    ("int32", Kind::Int32),
    ("uint64", Kind::Uint64),
    ("uint32", Kind::Uint32),
    ("sint64", Kind::Sint64),
    ("sint32", Kind::Sint32),
    ("fixed64", Kind::Fixed64),
    ("fixed32", Kind::Fixed32),
    ("sfixed64", Kind::Sfixed64),
    ("sfixed32", Kind::Sfixed32),
    ("double", Kind::Double),
    ("float", Kind::Float),
    ("bool", Kind::Bool),
    ("string", Kind::String),
    ("bytes", Kind::Bytes),
    ("enum", Kind::Enum),
    ("message", Kind::Struct),
    ("group", Kind::Group),
];

impl Kind {
    /// How it stands on the wire: 0 a varint, 1 and 5 fixed, 2 with a length, 3 a group.
    pub fn wire(self) -> u32 {
        match self {
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => 1,
            Kind::String | Kind::Bytes | Kind::Struct => 2,
            Kind::Group => 3,
            Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => 5,
            _ => 0,
        }
    }

    /// Whether its values are whole numbers.
    pub fn is_whole(self) -> bool {
        !matches!(
            self,
            Kind::Double | Kind::Float | Kind::Bool | Kind::String | Kind::Bytes | Kind::Enum | Kind::Struct | Kind::Group
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    Optional,
    Implicit,
    Repeated,
    Packed,
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    None,
    /// A list inside a list: its first field holds the items.
    Items,
    Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireField {
    pub number: u32,
    pub kind: Kind,
    pub cardinality: Cardinality,
    /// The place of its message; `usize::MAX` where it has none.
    pub inner: usize,
    /// A string that holds JSON.
    pub json: bool,
    /// `"name":`
    pub label: Vec<u8>,
    /// The tag before a value; before all of them where the field is packed.
    pub tag: Vec<u8>,
    pub end_tag: Vec<u8>,
    /// Of an enum: number and `"name"`.
    pub values: Vec<(i32, Vec<u8>)>,
}

#[derive(Clone, Debug)]
pub struct WireStruct {
    pub fields: Vec<WireField>,
    pub meaning: Meaning,
    pub names: KeyTable,
    /// By number, where that is small; the others are in `by_number`. A place is one more than that of the field, 0 none.
    small: Vec<u32>,
    by_number: HashMap<u32, u32>,
}

const SMALL_MAX: u32 = 1024;
const NUMBER_MAX: u64 = (1 << 29) - 1;

impl WireStruct {
    #[inline]
    pub fn find(&self, number: u32) -> Option<usize> {
        let place = match self.small.get(number as usize) {
            Some(place) => *place,
            None => self.by_number.get(&number).copied().unwrap_or(0),
        };
        (place as usize).checked_sub(1)
    }
}

/// The messages of a dataset; the first one is an event or row.
#[derive(Clone, Debug)]
pub struct Descriptor {
    pub structs: Vec<WireStruct>,
}

impl Descriptor {
    /// Whether messages of both are written the same.
    pub fn is_like(&self, other: &Descriptor) -> bool {
        let same = |(one, other): (&WireStruct, &WireStruct)| one.meaning == other.meaning && one.fields == other.fields;
        self.structs.len() == other.structs.len() && self.structs.iter().zip(&other.structs).all(same)
    }

    /// Reads the stored form. The error says what is not as it must be.
    pub fn parse(stored: &[u8]) -> Result<Descriptor, String> {
        let stored: Json = serde_json::from_slice(stored).map_err(|error| format!("the descriptor is not JSON: {error}"))?;
        let found = stored["messages"].as_array().filter(|found| !found.is_empty());
        let found = found.ok_or("a descriptor has a list of messages")?;
        let structs = found.iter().map(|each| wire_struct(each, found.len())).collect::<Result<Vec<_>, _>>()?;
        let lists = |each: &&WireStruct| each.meaning == Meaning::Items;
        for each in structs.iter().filter(lists) {
            if !matches!(each.fields.as_slice(), [WireField { cardinality: Cardinality::Repeated | Cardinality::Packed, .. }]) {
                return Err("a message that stands for a list has one field, which is repeated".to_owned());
            }
        }
        for field in structs.iter().flat_map(|each| &each.fields).filter(|field| field.cardinality == Cardinality::Map) {
            let entry = structs.get(field.inner).filter(|entry| entry.find(1) == Some(0) && entry.find(2) == Some(1));
            entry.ok_or("a map has messages of a key (1) and a value (2)")?;
        }
        Ok(Descriptor { structs })
    }
}

fn wire_struct(stored: &Json, count: usize) -> Result<WireStruct, String> {
    let name = stored["name"].as_str().ok_or("a message has no name")?;
    let meaning = match stored["meaning"].as_str().unwrap_or("") {
        "" => Meaning::None,
        "items" => Meaning::Items,
        "timestamp" => Meaning::Timestamp,
        other => return Err(format!("the message {name} has a meaning that is not known: {other}")),
    };
    let listed = stored["fields"].as_array().ok_or_else(|| format!("the message {name} has no list of fields"))?;
    let (mut fields, mut names, mut by_number) = (Vec::new(), Vec::new(), HashMap::new());
    for each in listed {
        let called = each["name"].as_str().ok_or_else(|| format!("a field of {name} has no name"))?;
        let number = each["number"].as_u64().filter(|number| (1..=NUMBER_MAX).contains(number));
        let number = number.ok_or_else(|| format!("the number of {name}.{called} is not from 1 to {NUMBER_MAX}"))? as u32;
        let twice = names.contains(&called) || by_number.insert(number, fields.len() as u32 + 1).is_some();
        if twice {
            return Err(format!("the name or the number of {name}.{called} stands twice"));
        }
        names.push(called);
        fields.push(field(each, number, count).ok_or_else(|| format!("the field {name}.{called} is not one: {each}"))?);
    }
    let last = by_number.keys().copied().filter(|number| *number < SMALL_MAX).max().unwrap_or(0);
    let small = (0..=last).map(|number| by_number.get(&number).copied().unwrap_or(0)).collect();
    Ok(WireStruct { fields, meaning, names: KeyTable::new(names.into_iter()), small, by_number })
}

fn field(stored: &Json, number: u32, count: usize) -> Option<WireField> {
    let kind = KINDS.iter().find(|(name, _)| stored["kind"] == *name)?.1;
    let cardinality = match stored["cardinality"].as_str().unwrap_or("optional") {
        "optional" => Cardinality::Optional,
        "implicit" => Cardinality::Implicit,
        "repeated" => Cardinality::Repeated,
        "packed" if matches!(kind.wire(), 0 | 1 | 5) => Cardinality::Packed,
        "map" if kind == Kind::Struct => Cardinality::Map,
        _ => return None,
    };
    let nested = matches!(kind, Kind::Struct | Kind::Group);
    let inner = stored["message"].as_u64().map_or(usize::MAX, |inner| inner as usize);
    if nested != (inner < count) || (nested && cardinality == Cardinality::Implicit) {
        return None;
    }
    let quoted = |text: &str| {
        let mut out = Vec::new();
        json::write_string(text.as_bytes(), &mut out);
        out
    };
    let value = |pair: &Json| Some((i32::try_from(pair[0].as_i64()?).ok()?, quoted(pair[1].as_str()?)));
    let values = stored["values"].as_array().map_or(Some(Vec::new()), |values| values.iter().map(value).collect())?;
    let mut label = quoted(stored["name"].as_str()?);
    label.push(b':');
    let tag = |wire: u32| {
        let mut out = Vec::new();
        wire::write_varint(u64::from(number << 3 | wire), &mut out);
        out
    };
    let wire = if cardinality == Cardinality::Packed { 2 } else { kind.wire() };
    let json = match stored["meaning"].as_str().unwrap_or("") {
        "" => false,
        "json" if kind == Kind::String => true,
        _ => return None,
    };
    Some(WireField { number, kind, cardinality, inner, json, label, tag: tag(wire), end_tag: tag(4), values })
}
