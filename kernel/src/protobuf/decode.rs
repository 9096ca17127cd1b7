//! Messages → JSON. What is no message is refused with a reason, never half read.

use super::descriptor::{Cardinality, Descriptor, Kind, Meaning, WireField};
use super::wire::{self, Malformed, Raw, Wire};
use crate::functions::{number, timestamp};
use crate::json;

const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A batch of messages, each behind its length.
pub struct Decoded {
    /// One line a message; an empty one where it was refused.
    pub lines: Vec<u8>,
    /// By message: where it stands in the batch, its length not included.
    pub places: Vec<(usize, usize)>,
    /// The number of the message, and why it is none.
    pub rejects: Vec<(usize, Malformed)>,
    /// How much of the batch was read: a last message that is not whole was not.
    pub read: usize,
}

impl Descriptor {
    /// Reads the messages of a batch. What follows a length that is none cannot be read: it is one reject.
    pub fn decode_batch(&self, batch: &[u8]) -> Decoded {
        let mut decoded =
            Decoded { lines: Vec::with_capacity(batch.len() * 2), places: Vec::new(), rejects: Vec::new(), read: 0 };
        while decoded.read < batch.len() {
            let rest = &batch[decoded.read..];
            let (start, end) = match length(rest) {
                Ok(Some((start, end))) => (decoded.read + start, decoded.read + end),
                Ok(None) => break,
                Err(malformed) => {
                    decoded.rejects.push((decoded.places.len(), malformed));
                    decoded.places.push((decoded.read, batch.len()));
                    decoded.lines.push(b'\n');
                    decoded.read = batch.len();
                    break;
                }
            };
            let kept = decoded.lines.len();
            if let Err(malformed) = self.decode(&batch[start..end], &mut decoded.lines) {
                decoded.lines.truncate(kept);
                decoded.rejects.push((decoded.places.len(), malformed));
            }
            decoded.lines.push(b'\n');
            decoded.places.push((start, end));
            decoded.read = end;
        }
        decoded
    }

    /// Appends the JSON object that a message stands for. On an error what was appended is to be taken back.
    pub fn decode(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        Decoder { descriptor: self }.object(0, &[(bytes, 0)], 1, out)
    }

    /// Appends the value of one field of a message. `part` is what of the message has it, and how deep it nests. False where there
    /// is none.
    pub fn decode_field(
        &self,
        number: usize,
        place: usize,
        (part, depth): (&[u8], usize),
        out: &mut Vec<u8>,
    ) -> Result<bool, Malformed> {
        let decoder = Decoder { descriptor: self };
        let (mut found, _) = decoder.fields(number, &[(part, 0)], depth)?;
        found.retain(|(at, _)| *at == place);
        decoder.value(&self.structs[number].fields[place], &found, depth, out)
    }
}

/// Where the first message of a batch begins and ends; none where it is not whole.
pub fn length(batch: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut start = 0;
    let mut length: u64 = 0;
    loop {
        let Some(&byte) = batch.get(start) else { return Ok(None) };
        if start == 4 && byte > 7 {
            return Err(Malformed { reason: wire::INVALID_VARINT, at: 0 });
        }
        length |= u64::from(byte & 0x7f) << (7 * start);
        start += 1;
        if byte < 0x80 {
            let end = start + length as usize;
            return Ok((end <= batch.len()).then_some((start, end)));
        }
    }
}

/// How long a message is that is not whole, its length included; 0 where not even that is.
pub fn wanted(batch: &[u8]) -> u64 {
    Wire::new(batch, 0).varint().map_or(0, |length| length + (1 + batch.iter().take_while(|byte| **byte >= 0x80).count()) as u64)
}

struct Decoder<'d> {
    descriptor: &'d Descriptor,
}

type Piece<'a> = (&'a [u8], usize);

/// The place of a field in its message, and its value.
type Known<'a> = (usize, Raw<'a>);

impl Decoder<'_> {
    /// A message that may stand in several pieces, which are merged: what stands in later ones counts.
    fn object(&self, number: usize, pieces: &[Piece], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let at = pieces.first().map_or(0, |piece| piece.1);
        if depth > wire::DEPTH_MAX {
            return Err(Malformed { reason: wire::TOO_DEEP, at });
        }
        let (found, _) = self.fields(number, pieces, depth)?;
        match self.descriptor.structs[number].meaning {
            Meaning::Items => return self.items(number, &found, depth, out),
            Meaning::Timestamp if self.timestamp(number, &found, out) => return Ok(()),
            _ => {}
        }
        out.push(b'{');
        let start = out.len();
        let mut rest = found.as_slice();
        for (place, field) in self.descriptor.structs[number].fields.iter().enumerate() {
            let count = rest.iter().take_while(|(found, _)| *found == place).count();
            let (here, after) = rest.split_at(count);
            rest = after;
            if here.is_empty() && field.cardinality != Cardinality::Implicit {
                continue;
            }
            let kept = out.len();
            if kept > start {
                out.push(b',');
            }
            out.extend_from_slice(&field.label);
            if !self.value(field, here, depth, out)? {
                out.truncate(kept);
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// What is known of the fields, in the order of the descriptor, of one field in the order of the message; and whether there
    /// are others.
    fn fields<'a>(&self, number: usize, pieces: &[Piece<'a>], depth: usize) -> Result<(Vec<Known<'a>>, bool), Malformed> {
        let known = &self.descriptor.structs[number];
        let mut found = Vec::with_capacity(known.fields.len());
        let (mut sorted, mut unknown) = (true, false);
        for (bytes, at) in pieces {
            let mut wire = Wire::new(bytes, *at);
            while let Some((number, raw)) = wire.field(depth)? {
                let Some(place) = known.find(number).filter(|place| fits(&known.fields[*place], raw)) else {
                    unknown = true;
                    continue;
                };
                let field = &known.fields[place];
                if let (Kind::String, Raw::Bytes(text, at)) = (field.kind, raw) {
                    check_utf8(text, at)?;
                }
                sorted &= found.last().is_none_or(|(last, _)| *last <= place);
                found.push((place, raw));
            }
        }
        if !sorted {
            found.sort_by_key(|(place, _)| *place);
        }
        Ok((found, unknown))
    }

    /// Appends the value of a field. False where there is none: a packed field may be there without an item.
    fn value(&self, field: &WireField, found: &[(usize, Raw)], depth: usize, out: &mut Vec<u8>) -> Result<bool, Malformed> {
        match field.cardinality {
            Cardinality::Repeated | Cardinality::Packed => {
                let start = out.len();
                out.push(b'[');
                for (_, raw) in found {
                    self.items_of(field, *raw, depth, out)?;
                }
                if out.last() == Some(&b',') {
                    out.pop();
                }
                let any = out.len() > start + 1;
                out.push(b']');
                return Ok(any);
            }
            Cardinality::Map => return self.map(field, found, depth, out),
            _ => {}
        }
        if !matches!(field.kind, Kind::Struct | Kind::Group) {
            scalar(field, found.last().map(|(_, raw)| *raw), out);
            return Ok(true);
        }
        let pieces: Vec<Piece> = found.iter().filter_map(|(_, raw)| piece(*raw)).collect();
        self.object(field.inner, &pieces, depth + 1, out)?;
        Ok(true)
    }

    /// Appends the item, or the items of a packed run, with a comma after each.
    fn items_of(&self, field: &WireField, raw: Raw, depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match (field.kind, raw) {
            (Kind::Struct | Kind::Group, _) => {
                self.object(field.inner, piece(raw).as_slice(), depth + 1, out)?;
                out.push(b',');
            }
            (Kind::String | Kind::Bytes, _) => {
                scalar(field, Some(raw), out);
                out.push(b',');
            }
            (_, Raw::Bytes(run, at)) => {
                let mut wire = Wire::new(run, at);
                while !wire.is_empty() {
                    let raw = match field.kind.wire() {
                        1 => Raw::Fixed64(wire.fixed64()?),
                        5 => Raw::Fixed32(wire.fixed32()?),
                        _ => Raw::Varint(wire.varint()?),
                    };
                    scalar(field, Some(raw), out);
                    out.push(b',');
                }
            }
            _ => {
                scalar(field, Some(raw), out);
                out.push(b',');
            }
        }
        Ok(())
    }

    /// Of a list inside a list: `[…]`.
    fn items(&self, number: usize, found: &[(usize, Raw)], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !self.value(&self.descriptor.structs[number].fields[0], found, depth, out)? && !out.ends_with(b"[]") {
            out.extend_from_slice(b"[]");
        }
        Ok(())
    }

    /// `{"key":value}`; of entries with one key the last counts, at its place. An entry that has anything besides its key and
    /// its value is an unknown field as a whole, as it is to the official library. False where there is no entry.
    fn map(&self, field: &WireField, found: &[(usize, Raw)], depth: usize, out: &mut Vec<u8>) -> Result<bool, Malformed> {
        let entry = &self.descriptor.structs[field.inner];
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut last = std::collections::HashMap::new();
        for (_, raw) in found {
            let (within, unknown) = self.fields(field.inner, piece(*raw).as_slice(), depth + 1)?;
            if unknown {
                continue;
            }
            let (keys, values): (Vec<_>, Vec<_>) = within.into_iter().partition(|(place, _)| *place == 0);
            let (mut key, mut value) = (Vec::new(), Vec::new());
            scalar(&entry.fields[0], keys.last().map(|(_, raw)| *raw), &mut key);
            if key.first() != Some(&b'"') {
                key.insert(0, b'"');
                key.push(b'"');
            }
            self.value(&entry.fields[1], &values, depth + 1, &mut value)?;
            last.insert(key.clone(), entries.len());
            entries.push((key, value));
        }
        out.push(b'{');
        let start = out.len();
        let counting = entries.iter().enumerate().filter(|(at, (key, _))| last.get(key) == Some(at));
        for (_, (key, value)) in counting {
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Ok(!entries.is_empty())
    }

    /// A moment as text. False where it is none that a TIMESTAMP can be: then its fields are written.
    fn timestamp(&self, number: usize, found: &[(usize, Raw)], out: &mut Vec<u8>) -> bool {
        let known = &self.descriptor.structs[number];
        let of = |number: u32| {
            let place = known.find(number);
            let last = found.iter().rev().find(|(at, _)| Some(*at) == place);
            last.map_or(0, |(_, raw)| if let Raw::Varint(value) = raw { *value as i64 } else { 0 })
        };
        let Some(micros) = moment(of(1), i64::from(of(2) as i32)) else { return false };
        out.push(b'"');
        timestamp::write(micros, b'T', out);
        out.extend_from_slice(b"Z\"");
        true
    }
}

/// The microseconds of a moment that a TIMESTAMP can be.
pub fn moment(seconds: i64, nanos: i64) -> Option<i64> {
    let is_one = SECONDS.contains(&seconds) && (0..1_000_000_000).contains(&nanos);
    is_one.then(|| seconds * 1_000_000 + nanos / 1000)
}

fn piece<'a>(raw: Raw<'a>) -> Option<Piece<'a>> {
    match raw {
        Raw::Bytes(bytes, at) | Raw::Group(bytes, at) => Some((bytes, at)),
        _ => None,
    }
}

/// Whether a field can stand so on the wire; one that does not is passed over like one that is not known.
pub fn fits(field: &WireField, raw: Raw) -> bool {
    let repeated = matches!(field.cardinality, Cardinality::Repeated | Cardinality::Packed);
    match (field.kind.wire(), raw) {
        (0, Raw::Varint(_)) | (1, Raw::Fixed64(_)) | (5, Raw::Fixed32(_)) | (2, Raw::Bytes(..)) | (3, Raw::Group(..)) => true,
        (0 | 1 | 5, Raw::Bytes(..)) => repeated,
        _ => false,
    }
}

fn check_utf8(text: &[u8], at: usize) -> Result<(), Malformed> {
    if text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok() {
        return Ok(());
    }
    let valid = std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len);
    Err(Malformed { reason: wire::INVALID_UTF8, at: at + valid })
}

/// Appends a value that is no message; without one, what a field that is absent stands for: zero or empty.
fn scalar(field: &WireField, raw: Option<Raw>, out: &mut Vec<u8>) {
    let bits = match raw {
        Some(Raw::Varint(value) | Raw::Fixed64(value)) => value,
        Some(Raw::Fixed32(value)) => u64::from(value),
        _ => 0,
    };
    let bytes = if let Some(Raw::Bytes(bytes, _)) = raw { bytes } else { &[] };
    match field.kind {
        Kind::Int64 | Kind::Sfixed64 => number::write_integer(bits as i64, out),
        Kind::Int32 | Kind::Sfixed32 => number::write_integer(i64::from(bits as i32), out),
        Kind::Uint64 | Kind::Fixed64 => out.extend_from_slice(bits.to_string().as_bytes()),
        Kind::Uint32 | Kind::Fixed32 => number::write_integer(i64::from(bits as u32), out),
        Kind::Sint64 => number::write_integer(wire::unzigzag(bits), out),
        Kind::Sint32 => number::write_integer(wire::unzigzag(bits & 0xffff_ffff), out),
        Kind::Double => double(f64::from_bits(bits), out),
        Kind::Float => double(f64::from(f32::from_bits(bits as u32)), out),
        Kind::Bool => out.extend_from_slice(if bits == 0 { b"false" } else { b"true" }),
        Kind::Enum => match field.values.iter().find(|(value, _)| *value == bits as i32) {
            Some((_, name)) => out.extend_from_slice(name),
            None => number::write_integer(i64::from(bits as i32), out),
        },
        Kind::Bytes => base64(bytes, out),
        Kind::String if field.json => json_text(bytes, out),
        _ => json::write_string(bytes, out),
    }
}

fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        number::write_double(value, out);
    } else {
        let name: &[u8] = if value.is_nan() {
            b"\"NaN\""
        } else if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        out.extend_from_slice(name);
    }
}

/// A string that holds JSON is that JSON; one that does not is a text. Line ends in it stand between tokens.
fn json_text(text: &[u8], out: &mut Vec<u8>) {
    match json::check(text) {
        Ok(span) => {
            out.extend(text[span.start..span.end].iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }))
        }
        Err(_) => json::write_string(text, out),
    }
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            out.push(if digit > chunk.len() { b'=' } else { DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] });
        }
    }
    out.push(b'"');
}
