//! One pass over a message that checks all of it and takes the values that rules name.
//!
//! What is seldom is left to the way through JSON, which has the same meaning and knows why bytes are no message: the walk only
//! says that it does not go on.

use super::decode::{fits, moment};
use super::input::{Action, Entry, Input, NONE, Repeats, Table};
use super::wire::{self, Wire, unzigzag};
use crate::value::{Packed, Place, Text, Value};

/// Where a field stands that is held, its tags included. It is there where its epoch is the event's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub start: u32,
    pub end: u32,
    pub epoch: u32,
    /// It was read already.
    pub read: bool,
    /// When it was read, it had a value that is not null.
    pub value: bool,
}

/// A walk over one event, whose values go where readings are kept.
pub struct Walk<'w> {
    pub input: &'w Input,
    pub event: &'w [u8],
    pub epoch: u32,
    pub readings: &'w mut [(Packed, u32)],
    pub found: &'w mut [Found],
}

type Read<T> = Option<(T, usize)>;

#[inline(always)]
pub fn varint(bytes: &[u8], at: usize) -> Read<u64> {
    let first = *bytes.get(at)?;
    if first < 0x80 { Some((u64::from(first), at + 1)) } else { long_varint(bytes, at) }
}

#[inline]
fn long_varint(bytes: &[u8], at: usize) -> Read<u64> {
    if let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let stops = !word & 0x8080_8080_8080_8080;
        if stops != 0 {
            // The bytes up to the first that has no bit of going on, seven bits of each.
            let bits = word & (stops ^ (stops - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
            let pairs = (bits & 0x7f00_7f00_7f00_7f00) >> 1 | (bits & 0x007f_007f_007f_007f);
            let fours = (pairs & 0x3fff_0000_3fff_0000) >> 2 | (pairs & 0x0000_3fff_0000_3fff);
            let value = (fours & 0x0fff_ffff_0000_0000) >> 4 | (fours & 0x0000_0000_0fff_ffff);
            return Some((value, at + stops.trailing_zeros() as usize / 8 + 1));
        }
    }
    let mut value = 0;
    for (index, byte) in bytes[at..].iter().take(10).enumerate() {
        if index == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, at + index + 1));
        }
    }
    None
}

/// The rest of a tag of several bytes.
#[inline]
fn long_tag(bytes: &[u8], at: usize) -> Read<u32> {
    let (tag, end) = long_varint(bytes, at)?;
    let tag = u32::try_from(tag).ok()?;
    (end - at <= 5).then_some((tag, end))
}

#[inline(always)]
fn fixed64(bytes: &[u8], at: usize) -> Read<u64> {
    let chunk = bytes.get(at..)?.first_chunk()?;
    Some((u64::from_le_bytes(*chunk), at + 8))
}

#[inline(always)]
fn fixed32(bytes: &[u8], at: usize) -> Read<u32> {
    let chunk = bytes.get(at..)?.first_chunk()?;
    Some((u32::from_le_bytes(*chunk), at + 4))
}

/// Where a run of bytes behind its length begins, and where it ends.
#[inline(always)]
pub fn run(bytes: &[u8], at: usize) -> Read<usize> {
    let (length, start) = varint(bytes, at)?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then_some((start, end))
}

#[inline(always)]
fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || simdutf8::basic::from_utf8(text).is_ok()
}

#[inline(always)]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if let Some(last) = text.last_chunk::<8>() {
        let words = text.as_chunks::<8>().0;
        let all = words.iter().fold(u64::from_le_bytes(*last), |all, word| all | u64::from_le_bytes(*word));
        return all & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return (u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH as u32 == 0;
    }
    text.iter().fold(0, |all, byte| all | byte) < 0x80
}

fn finite(bits: u64) -> Option<Value> {
    Some(f64::from_bits(bits)).filter(|double| double.is_finite()).map(Value::Double)
}

fn finite_float(bits: u32) -> Option<Value> {
    Some(f32::from_bits(bits)).filter(|float| float.is_finite()).map(|float| Value::Double(f64::from(float)))
}

impl<'w> Walk<'w> {
    /// Walks the whole event. None where it is no message, or one that is to be read by way of JSON.
    pub fn event(&mut self) -> Option<()> {
        let input = self.input;
        self.fields(0, self.event.len(), input.tables.first()?, 1)
    }

    fn fields(&mut self, mut at: usize, end: usize, table: &'w Table, depth: usize) -> Option<()> {
        for (reading, value) in &table.values {
            self.put(*reading, *value);
        }
        for held in &table.implicit {
            self.found[*held as usize] = Found { start: 0, end: 0, epoch: self.epoch, read: false, value: false };
        }
        let bytes = self.event.get(..end)?;
        while at < end {
            let start = at;
            let first = bytes[at];
            let tag;
            (tag, at) = if first < 0x80 { (u32::from(first), at + 1) } else { long_tag(bytes, at)? };
            let entry = table.entry(tag);
            at = match entry.action {
                Action::TakeText => {
                    let (from, to) = run(bytes, at)?;
                    if !is_utf8(&bytes[from..to]) {
                        return None;
                    }
                    self.put(entry.reading, Value::Text(Text { place: Place::Wire, start: from as u32, end: to as u32 }));
                    to
                }
                Action::TakeInt64 => {
                    let (value, to) = varint(bytes, at)?;
                    self.put(entry.reading, Value::Integer(value as i64));
                    to
                }
                Action::Inside => {
                    let (from, to) = run(bytes, at)?;
                    self.note(entry, start, to)?;
                    if depth >= wire::DEPTH_MAX {
                        return None;
                    }
                    let input = self.input;
                    self.fields(from, to, &input.tables[entry.inner as usize], depth + 1)?;
                    to
                }
                _ => {
                    let to = if entry.reading == NONE {
                        self.check(&bytes[..end], (start, at), tag, entry, (table, depth))?
                    } else {
                        self.take(bytes, at, entry)?
                    };
                    self.note(entry, start, to)?;
                    to
                }
            };
        }
        Some(())
    }

    #[inline(always)]
    fn put(&mut self, reading: u32, value: Value) {
        self.readings[reading as usize] = (Packed::of(value), self.epoch);
    }

    /// Keeps where a field stands that is held.
    #[inline(always)]
    fn note(&mut self, entry: &Entry, start: usize, end: usize) -> Option<()> {
        if entry.held == NONE {
            return Some(());
        }
        let found = &mut self.found[entry.held as usize];
        let mut start = start as u32;
        if found.epoch == self.epoch && found.end > 0 {
            match self.input.held[entry.held as usize].repeats {
                Repeats::Last => {}
                // Items that do not follow one another are seldom, as are messages that are to be merged.
                Repeats::Items if found.end == start => start = found.start,
                _ => return None,
            }
        }
        *found = Found { start, end: end as u32, epoch: self.epoch, read: false, value: false };
        Some(())
    }

    /// Takes a value of the less frequent kinds; where it ends.
    #[inline]
    fn take(&mut self, bytes: &[u8], at: usize, entry: &Entry) -> Option<usize> {
        let (value, to) = match entry.action {
            Action::TakeFixed64 | Action::TakeSfixed64 | Action::TakeDouble => {
                let (bits, to) = fixed64(bytes, at)?;
                let value = match entry.action {
                    Action::TakeDouble => finite(bits)?,
                    Action::TakeFixed64 => Value::Integer(i64::try_from(bits).ok()?),
                    _ => Value::Integer(bits as i64),
                };
                (value, to)
            }
            Action::TakeFixed32 | Action::TakeSfixed32 | Action::TakeFloat => {
                let (bits, to) = fixed32(bytes, at)?;
                let value = match entry.action {
                    Action::TakeFloat => finite_float(bits)?,
                    Action::TakeFixed32 => Value::Integer(i64::from(bits)),
                    _ => Value::Integer(i64::from(bits as i32)),
                };
                (value, to)
            }
            Action::TakeTimestamp => {
                let (from, to) = run(bytes, at)?;
                (self.timestamp(&bytes[from..to], entry)?, to)
            }
            _ => {
                let (bits, to) = varint(bytes, at)?;
                let value = match entry.action {
                    Action::TakeBool => Value::Boolean(bits != 0),
                    Action::TakeInt32 => Value::Integer(i64::from(bits as i32)),
                    Action::TakeUint64 => Value::Integer(i64::try_from(bits).ok()?),
                    Action::TakeUint32 => Value::Integer(i64::from(bits as u32)),
                    Action::TakeSint64 => Value::Integer(unzigzag(bits)),
                    _ => Value::Integer(unzigzag(bits & 0xffff_ffff)),
                };
                (value, to)
            }
        };
        self.put(entry.reading, value);
        Some(to)
    }

    /// A moment, which must stand alone: two would have to be merged.
    fn timestamp(&self, bytes: &[u8], entry: &Entry) -> Option<Value> {
        if self.readings[entry.reading as usize].1 == self.epoch {
            return None;
        }
        self.input.descriptor.read_timestamp(entry.inner as usize, bytes).map(Value::Timestamp)
    }

    /// Checks a field of which nothing is taken; where it ends.
    #[inline]
    fn check(
        &mut self,
        bytes: &[u8],
        (start, at): (usize, usize),
        tag: u32,
        entry: &Entry,
        (table, depth): (&Table, usize),
    ) -> Option<usize> {
        Some(match entry.action {
            Action::Text => {
                let (from, to) = run(bytes, at)?;
                is_utf8(&bytes[from..to]).then_some(to)?
            }
            Action::Varint => varint(bytes, at)?.1,
            Action::Bytes => run(bytes, at)?.1,
            Action::Fixed64 => fixed64(bytes, at)?.1,
            Action::Fixed32 => fixed32(bytes, at)?.1,
            Action::Double => {
                let (bits, to) = fixed64(bytes, at)?;
                finite(bits)?;
                to
            }
            Action::Float => {
                let (bits, to) = fixed32(bytes, at)?;
                finite_float(bits)?;
                to
            }
            Action::Unknown => unknown(bytes, at, tag)?,
            Action::Map => {
                let (_, to) = run(bytes, at)?;
                let mut spare = Vec::new();
                let field = (&bytes[start..to], depth);
                self.input.descriptor.decode_field(table.number, entry.inner as usize, field, &mut spare).ok()?;
                to
            }
            Action::PackedVarints
            | Action::PackedFixed64
            | Action::PackedFixed32
            | Action::PackedDoubles
            | Action::PackedFloats => packed(bytes, at, entry.action)?,
            _ => return None,
        })
    }
}

/// Passes over a field that is not known. Groups are seldom.
pub fn unknown(bytes: &[u8], at: usize, tag: u32) -> Option<usize> {
    if tag >> 3 == 0 {
        return None;
    }
    Some(match tag & 7 {
        0 => varint(bytes, at)?.1,
        1 => fixed64(bytes, at)?.1,
        2 => run(bytes, at)?.1,
        5 => fixed32(bytes, at)?.1,
        _ => return None,
    })
}

/// Checks the items of a packed run; where it ends.
fn packed(bytes: &[u8], at: usize, action: Action) -> Option<usize> {
    let (mut at, to) = run(bytes, at)?;
    let items = &bytes[..to];
    while at < to {
        at = match action {
            Action::PackedVarints => varint(items, at)?.1,
            Action::PackedFixed64 => fixed64(items, at)?.1,
            Action::PackedFixed32 => fixed32(items, at)?.1,
            Action::PackedDoubles => {
                let (bits, to) = fixed64(items, at)?;
                finite(bits)?;
                to
            }
            _ => {
                let (bits, to) = fixed32(items, at)?;
                finite_float(bits)?;
                to
            }
        };
    }
    Some(to)
}

impl super::Descriptor {
    /// The microseconds of a google.protobuf.Timestamp that a TIMESTAMP can be.
    fn read_timestamp(&self, number: usize, bytes: &[u8]) -> Option<i64> {
        let known = &self.structs[number];
        let (mut seconds, mut nanos) = (0, 0);
        let mut fields = Wire::new(bytes, 0);
        while let Some((number, raw)) = fields.field(wire::DEPTH_MAX).ok()? {
            let place = known.find(number).filter(|place| fits(&known.fields[*place], raw));
            match (number, raw) {
                _ if place.is_none() => {}
                (1, wire::Raw::Varint(value)) => seconds = value as i64,
                (2, wire::Raw::Varint(value)) => nanos = i64::from(value as i32),
                _ => return None,
            }
        }
        moment(seconds, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_are_read_as_the_format_says() {
        for value in (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, u64::MAX >> bit]) {
            let mut written = Vec::new();
            wire::write_varint(value, &mut written);
            let length = written.len();
            for room in [0, 1, 7, 20] {
                written.resize(length + room, 0xff);
                assert_eq!(varint(&written, 0), Some((value, length)));
            }
            written.truncate(length - 1);
            assert_eq!(varint(&written, 0), None);
        }
        assert_eq!(varint(&[0x80, 0x80, 0x00, 9, 9, 9, 9, 9, 9], 0), Some((0, 3)));
        assert_eq!(varint(&[0xff; 12], 0), None);
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], 0), None);
    }

    #[test]
    fn texts_with_a_byte_that_is_not_ascii_are_told() {
        for length in 0..40 {
            let mut text = vec![b'a'; length];
            assert!(is_ascii(&text));
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text) && !is_utf8(&text));
                text[at] = b'z';
            }
        }
    }
}
