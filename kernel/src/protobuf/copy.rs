//! Fields that are copied from one message to another, each under its new number, where the result is what decoding and encoding
//! would give.

use super::descriptor::{Cardinality, Descriptor, Kind, Meaning, WireField};
use super::walk::{run, unknown, varint};
use super::wire::{close, write_varint};
use crate::read::{Shape, Shapes};

/// How a field is copied.
#[derive(Debug)]
pub struct Copy {
    /// The tag that it gets.
    tag: Vec<u8>,
    what: What,
}

#[derive(Debug)]
enum What {
    Text,
    /// A varint whose shortest form is asked for.
    Varint,
    Bool,
    Fixed64,
    Struct(Vec<Inner>),
}

/// A field inside: its tag, and its place, which tells the order in which it is written.
#[derive(Debug)]
struct Inner {
    tag: u32,
    place: usize,
    repeated: bool,
    copy: Copy,
}

impl Copy {
    /// How a field that is read as a shape is copied to another one; none where that is not simple.
    pub fn new(from: (&Descriptor, &WireField), shape: u32, shapes: &Shapes, to: (&Descriptor, &WireField)) -> Option<Copy> {
        let ((_, field), (_, target)) = (from, to);
        let shape = &shapes.list[shape as usize];
        let tag = target.tag.clone();
        if field.cardinality == Cardinality::Repeated && target.cardinality == Cardinality::Repeated {
            let Shape::List { item } = shape else { return None };
            let texts = matches!(shapes.list[*item as usize], Shape::Varchar) && is_text(field) && is_text(target);
            return texts.then_some(Copy { tag, what: What::Text });
        }
        if field.cardinality != Cardinality::Optional || target.cardinality != Cardinality::Optional || field.kind != target.kind
        {
            return None;
        }
        let what = match (shape, field.kind) {
            (Shape::Varchar, Kind::String) if is_text(field) && is_text(target) => What::Text,
            (Shape::BigInt, Kind::Int64 | Kind::Sint64) => What::Varint,
            (Shape::BigInt, Kind::Sfixed64) | (Shape::Double, Kind::Double) => What::Fixed64,
            (Shape::Boolean, Kind::Bool) => What::Bool,
            (Shape::Struct(fields), Kind::Struct) => {
                let (source, sink) = (&from.0.structs[field.inner], &to.0.structs[target.inner]);
                if source.meaning != Meaning::None || sink.meaning != Meaning::None {
                    return None;
                }
                let mut inner = Vec::new();
                for (name, shape) in fields.keys.names().zip(&fields.shapes) {
                    let Some(place) = source.names.find(name).map(|place| place as usize) else { continue };
                    let Some(target) = sink.names.find(name) else { continue };
                    let (field, target) = (&source.fields[place], &sink.fields[target as usize]);
                    let copy = Copy::new((from.0, field), *shape, shapes, (to.0, target))?;
                    let repeated = field.cardinality == Cardinality::Repeated;
                    inner.push(Inner { tag: field.number << 3 | field.kind.wire(), place, repeated, copy });
                }
                What::Struct(inner)
            }
            _ => return None,
        };
        Some(Copy { tag, what })
    }

    /// Appends the field, or its items, of which `part` is all with their tags. None where it does not stand as it would be written.
    pub fn write(&self, part: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut at = 0;
        while at < part.len() {
            (_, at) = varint(part, at)?;
            at = self.value(part, at, out)?;
        }
        Some(())
    }

    /// Appends the tag and the value that begins at `at`; where that ends.
    fn value(&self, bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
        out.extend_from_slice(&self.tag);
        match &self.what {
            What::Text => {
                let (from, to) = run(bytes, at)?;
                write_varint((to - from) as u64, out);
                out.extend_from_slice(&bytes[from..to]);
                Some(to)
            }
            What::Varint => {
                let (_, to) = varint(bytes, at)?;
                out.extend_from_slice(&bytes[at..to]);
                (to == at + 1 || bytes[to - 1] != 0).then_some(to)
            }
            What::Bool => {
                let flag = *bytes.get(at)?;
                out.push(flag);
                (flag < 2).then_some(at + 1)
            }
            What::Fixed64 => {
                out.extend_from_slice(bytes.get(at..at + 8)?);
                Some(at + 8)
            }
            What::Struct(inner) => {
                let (from, to) = run(bytes, at)?;
                let start = out.len();
                fields(inner, bytes.get(..to)?, from, out)?;
                close(start, out);
                Some(to)
            }
        }
    }
}

fn fields(known: &[Inner], bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut last = None;
    while at < bytes.len() {
        let (tag, from) = varint(bytes, at)?;
        let tag = u32::try_from(tag).ok()?;
        at = match known.iter().find(|inner| inner.tag == tag) {
            Some(Inner { place, repeated, copy, .. }) => {
                if last.is_some_and(|last| last > *place || (last == *place && !repeated)) {
                    return None;
                }
                last = Some(*place);
                copy.value(bytes, from, out)?
            }
            None => unknown(bytes, from, tag)?,
        };
    }
    Some(())
}

fn is_text(field: &WireField) -> bool {
    field.kind == Kind::String && !field.json
}
