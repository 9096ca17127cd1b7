//! Rows of JSON → messages, by the table "Reading a field": what cannot be what the field holds is left out, and what the
//! descriptor does not know.

use super::descriptor::{Cardinality, Descriptor, Kind, Meaning, WireField};
use super::wire::{self, close, write_varint, zigzag};
use crate::json::{self, Cursor, Span};
use crate::read::{Flags, Items, Reader, Shapes, find_key};
use crate::value::{Texts, Value};

/// The numbers of the shapes that are scalars, as `read` lists them.
const BIGINT: u32 = 0;
const DOUBLE: u32 = 1;
const BOOLEAN: u32 = 2;
const VARCHAR: u32 = 3;
const TIMESTAMP: u32 = 4;

/// Why a row could not be written: it is no JSON object.
#[derive(Debug)]
pub struct NotAnObject {
    /// The number of the line from 0.
    pub line: usize,
}

/// Writes messages; keeps its memory from row to row.
#[derive(Debug, Default)]
pub struct Encoder {
    shapes: Shapes,
    made: Vec<u8>,
    members: Vec<(u32, Span)>,
}

impl Encoder {
    /// Appends the rows of NDJSON as messages, each behind its length; how many there are. Blank lines are passed over.
    pub fn lines(&mut self, descriptor: &Descriptor, lines: &[u8], out: &mut Vec<u8>) -> Result<u64, NotAnObject> {
        let mut rows = 0;
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', lines).chain(std::iter::once(lines.len()));
        for (line, end) in ends.enumerate() {
            let text = &lines[start..end];
            start = end + 1;
            if text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                continue;
            }
            let checked = json::check_utf8(text).and_then(|()| json::check(text));
            let span = checked.ok().filter(|span| span.kind == json::Kind::Object).ok_or(NotAnObject { line })?;
            let begun = out.len();
            self.object(descriptor, 0, text, span, 1, out);
            close(begun, out);
            rows += 1;
        }
        Ok(rows)
    }

    /// Appends an object, which is known to be well-formed, as a message.
    pub fn message(&mut self, descriptor: &Descriptor, text: &[u8], span: Span, out: &mut Vec<u8>) {
        self.object(descriptor, 0, text, span, 1, out);
    }

    /// Appends a value as the field at this place of the first message; nothing where it cannot hold it.
    pub fn column(&mut self, descriptor: &Descriptor, place: usize, text: &[u8], value: Span, out: &mut Vec<u8>) {
        if value.kind != json::Kind::Null {
            self.field(descriptor, &descriptor.structs[0].fields[place], text, value, 1, out);
        }
    }

    fn object(&mut self, descriptor: &Descriptor, number: usize, text: &[u8], span: Span, depth: usize, out: &mut Vec<u8>) {
        let known = &descriptor.structs[number];
        let mut cursor = Cursor::from(text, span.start);
        let mut more = cursor.enter(b'{', b'}').unwrap_or(false);
        while more {
            let (Ok(key), Ok(value)) = (cursor.key(), cursor.value()) else { return };
            if value.kind != json::Kind::Null
                && let Some(place) = find_key(&known.names, text, key, &mut self.made)
            {
                self.field(descriptor, &known.fields[place as usize], text, value, depth, out);
            }
            more = cursor.next_member(b'}').unwrap_or(false);
        }
    }

    fn field(&mut self, descriptor: &Descriptor, field: &WireField, text: &[u8], value: Span, depth: usize, out: &mut Vec<u8>) {
        match field.cardinality {
            Cardinality::Optional | Cardinality::Implicit => self.value(descriptor, field, text, value, depth, &field.tag, out),
            Cardinality::Repeated if value.kind == json::Kind::Array => {
                for item in Items::new(text, value.start) {
                    self.value(descriptor, field, text, item, depth, &field.tag, out);
                }
            }
            Cardinality::Packed if value.kind == json::Kind::Array => {
                let kept = out.len();
                out.extend_from_slice(&field.tag);
                let start = out.len();
                for item in Items::new(text, value.start) {
                    self.value(descriptor, field, text, item, depth, &[], out);
                }
                if out.len() == start {
                    out.truncate(kept);
                } else {
                    close(start, out);
                }
            }
            _ => {}
        }
    }

    /// Appends the tag and a value, or nothing.
    #[allow(clippy::too_many_arguments)]
    fn value(
        &mut self,
        descriptor: &Descriptor,
        field: &WireField,
        text: &[u8],
        value: Span,
        depth: usize,
        tag: &[u8],
        out: &mut Vec<u8>,
    ) {
        if value.kind == json::Kind::Null || depth > wire::DEPTH_MAX {
            return;
        }
        if !matches!(field.kind, Kind::Struct | Kind::Group) {
            return self.scalar(field, text, value, tag, out);
        }
        let kept = out.len();
        out.extend_from_slice(tag);
        let start = out.len();
        let inner = &descriptor.structs[field.inner];
        match (inner.meaning, value.kind) {
            (Meaning::Items, json::Kind::Array) => {
                self.field(descriptor, &inner.fields[0], text, value, depth + 1, out);
            }
            (Meaning::None, json::Kind::Object) => self.object(descriptor, field.inner, text, value, depth + 1, out),
            (Meaning::Timestamp, _) => match self.read(text, value, TIMESTAMP) {
                Value::Timestamp(micros) => write_timestamp(micros, out),
                _ => return out.truncate(kept),
            },
            _ => return out.truncate(kept),
        }
        if field.kind == Kind::Group {
            out.extend_from_slice(&field.end_tag);
        } else {
            close(start, out);
        }
    }

    fn read(&mut self, text: &[u8], value: Span, shape: u32) -> Value {
        self.made.clear();
        let Encoder { shapes, made, members } = self;
        Reader { shapes, event: text, made, flags: Flags::default(), members }.read(value, shape)
    }

    fn scalar(&mut self, field: &WireField, text: &[u8], value: Span, tag: &[u8], out: &mut Vec<u8>) {
        if field.json {
            out.extend_from_slice(tag);
            return write_text(&text[value.start..value.end], out);
        }
        let shape = match field.kind {
            Kind::Double | Kind::Float => DOUBLE,
            Kind::Bool => BOOLEAN,
            Kind::String => VARCHAR,
            // Nothing that a rule writes is one of these.
            Kind::Bytes | Kind::Enum => return,
            _ => BIGINT,
        };
        let read = self.read(text, value, shape);
        let texts = Texts { event: text, made: &self.made, program: &[] };
        let kept = out.len();
        out.extend_from_slice(tag);
        let written = match (field.kind, read) {
            (_, Value::Null) => false,
            (Kind::Double, double) => extend(out, &texts.double(double).to_le_bytes()),
            (Kind::Float, double) => extend(out, &(texts.double(double) as f32).to_le_bytes()),
            (Kind::Bool, Value::Boolean(flag)) => extend(out, &[u8::from(flag)]),
            (Kind::String, text) => {
                write_text(texts.bytes(text), out);
                true
            }
            (kind, Value::Integer(integer)) => write_integer(kind, integer, out),
            _ => false,
        };
        if !written {
            out.truncate(kept);
        }
    }
}

fn extend(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    out.extend_from_slice(bytes);
    true
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_varint(text.len() as u64, out);
    out.extend_from_slice(text);
}

/// False where the kind cannot hold it.
pub fn write_integer(kind: Kind, integer: i64, out: &mut Vec<u8>) -> bool {
    let narrow = i32::try_from(integer).ok();
    let natural = u64::try_from(integer).ok();
    let narrow_natural = u32::try_from(integer).ok();
    let varint = match kind {
        Kind::Int64 => Some(integer as u64),
        Kind::Sint64 => Some(zigzag(integer)),
        Kind::Int32 => narrow.map(|narrow| i64::from(narrow) as u64),
        Kind::Sint32 => narrow.map(|narrow| zigzag(i64::from(narrow))),
        Kind::Uint64 => natural,
        Kind::Uint32 => narrow_natural.map(u64::from),
        _ => {
            return match kind {
                Kind::Sfixed64 => extend(out, &integer.to_le_bytes()),
                Kind::Fixed64 => natural.is_some_and(|value| extend(out, &value.to_le_bytes())),
                Kind::Sfixed32 => narrow.is_some_and(|value| extend(out, &value.to_le_bytes())),
                Kind::Fixed32 => narrow_natural.is_some_and(|value| extend(out, &value.to_le_bytes())),
                _ => false,
            };
        }
    };
    varint.is_some_and(|value| {
        write_varint(value, out);
        true
    })
}

/// google.protobuf.Timestamp: seconds 1, nanos 2, both left out where they are zero.
pub fn write_timestamp(micros: i64, out: &mut Vec<u8>) {
    let (seconds, nanos) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) * 1000);
    for (tag, value) in [(1 << 3, seconds), (2 << 3, nanos)] {
        if value != 0 {
            out.push(tag);
            write_varint(value as u64, out);
        }
    }
}
