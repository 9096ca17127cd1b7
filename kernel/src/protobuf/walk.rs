//! One pass over a message that checks all of it and takes the values that rules name.
//!
//! What is seldom is left to the way through JSON, which has the same meaning and knows why bytes are no message: the walk only
//! says that it does not go on.

use super::decode::{fits, moment};
use super::input::{Action, Entry, Input, NONE, Repeats, Table};
use super::instructions::{Instructions, Plain, short_varint};
use super::utf8;
use super::wire::{self, Wire, unzigzag};
use crate::structure::{Dispatch, Padded};
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
    pub event: Padded<'w>,
    pub epoch: u32,
    pub readings: &'w mut [(Packed, u32)],
    pub found: &'w mut [Found],
    pub around: &'w mut Around,
}

/// The messages around the one that is walked: where each ends, and the number of its table.
#[derive(Debug)]
pub struct Around([(u32, u32); wire::DEPTH_MAX - 1]);

impl Default for Around {
    fn default() -> Around {
        Around([(0, 0); wire::DEPTH_MAX - 1])
    }
}

type Read<T> = Option<(T, usize)>;

#[inline(always)]
pub fn varint(bytes: &[u8], at: usize) -> Read<u64> {
    let first = *bytes.get(at)?;
    if first < 0x80 { Some((u64::from(first), at + 1)) } else { long_varint(bytes, at) }
}

#[inline]
fn long_varint(bytes: &[u8], at: usize) -> Read<u64> {
    if let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
        && let Some((value, length)) = short_varint(Plain, u64::from_le_bytes(*word))
    {
        return Some((value, at + length));
    }
    let mut value = 0;
    for (index, byte) in bytes.get(at..)?.iter().take(10).enumerate() {
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

fn finite(bits: u64) -> Option<Value> {
    Some(f64::from_bits(bits)).filter(|double| double.is_finite()).map(Value::Double)
}

fn finite_float(bits: u32) -> Option<Value> {
    Some(f32::from_bits(bits)).filter(|float| float.is_finite()).map(|float| Value::Double(f64::from(float)))
}

impl<'w> Walk<'w> {
    /// Walks the whole event, whose offsets take 32 bits. None where it is no message, or one that is to be read by way of JSON.
    pub fn event(self, dispatch: Dispatch) -> Option<()> {
        match dispatch {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Dispatch` other than the portable one is only got where the machine has its instructions; these are among
            // those of both.
            Dispatch::Avx512 | Dispatch::Avx2 => unsafe { self.event_wide() },
            _ => self.event_with(Plain),
        }
    }

    /// # Safety
    /// The machine must have the instructions.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    unsafe fn event_wide(self) -> Option<()> {
        // SAFETY: as the caller holds.
        self.event_with(unsafe { super::instructions::Wide::new() })
    }

    /// What is read before it is known to be of the message is read from what follows it.
    #[inline(always)]
    fn event_with<I: Instructions>(mut self, machine: I) -> Option<()> {
        let Walk { input, event, epoch, .. } = self;
        assert!(self.readings.len() >= input.readings);
        let mut number = 0;
        let mut table = input.tables.first()?;
        let (mut at, mut end) = (0, event.text().len());
        let mut depth = 0;
        self.absent(table);
        loop {
            if at == end {
                if depth == 0 {
                    return Some(());
                }
                depth -= 1;
                let outer = self.around.0[depth];
                (end, number) = (outer.0 as usize, outer.1);
                table = &input.tables[number as usize];
                continue;
            }
            // SAFETY: it was compared above, and a table has only readings below that number.
            at = unsafe { simple_fields(machine, event, table, (at, end), self.readings, epoch) };
            if at >= end {
                if at > end {
                    return None;
                }
                continue;
            }
            let start = at;
            let entry;
            (entry, at) = entry_at(event, table, (at, end))?;
            if entry.action == Action::Inside {
                let (from, to) = run_of(event, at)?;
                if to > end {
                    return None;
                }
                note(entry, (start, to), input, self.found, epoch)?;
                *self.around.0.get_mut(depth)? = (end as u32, number);
                depth += 1;
                (at, end, number) = (from, to, entry.inner);
                table = &input.tables[number as usize];
                self.absent(table);
                continue;
            }
            at = self.field(machine, entry, (start, at, end), (table, depth + 1))?;
            if at > end {
                return None;
            }
        }
    }

    /// Takes or checks a field that is no message, whose tag begins at `start` and whose value at `at`; where it ends.
    #[inline(always)]
    fn field(
        &mut self,
        machine: impl Instructions,
        entry: &Entry,
        (start, at, end): (usize, usize, usize),
        inside: (&Table, usize),
    ) -> Option<usize> {
        let (event, epoch) = (self.event, self.epoch);
        let length = event.byte(at);
        match entry.action {
            Action::TakeText | Action::Text if length < 0x80 => {
                let (from, to) = (at + 1, at + 1 + usize::from(length));
                if to > end || !utf8::is_text(machine, event, from, to) {
                    return None;
                }
                if entry.action == Action::Text {
                    note(entry, (start, to), self.input, self.found, epoch)?;
                } else {
                    let value = Value::Text(Text { place: Place::Wire, start: from as u32, end: to as u32 });
                    self.readings[entry.reading as usize] = (Packed::of(value), epoch);
                }
                Some(to)
            }
            Action::TakeDouble => {
                let value = finite(u64::from_le_bytes(event.bytes(at)))?;
                self.readings[entry.reading as usize] = (Packed::of(value), epoch);
                Some(at + 8)
            }
            Action::TakeBool if length < 0x80 => {
                self.readings[entry.reading as usize] = (Packed::of(Value::Boolean(length != 0)), epoch);
                Some(at + 1)
            }
            _ => self.seldom((start, at, end), entry, inside),
        }
    }

    /// Gives what is absent from a message and has a value all the same that value.
    #[inline(always)]
    fn absent(&mut self, table: &Table) {
        if table.is_implicit {
            self.implicit(table);
        }
    }

    #[inline(never)]
    fn implicit(&mut self, table: &Table) {
        for (reading, value) in &table.values {
            self.readings[*reading as usize] = (Packed::of(*value), self.epoch);
        }
        for held in &table.implicit {
            self.found[*held as usize] = Found { start: 0, end: 0, epoch: self.epoch, read: false, value: false };
        }
    }

    /// Takes or checks a field of the less frequent kinds, whose tag begins at `start` and whose value at `at`; where it ends.
    #[inline(never)]
    fn seldom(
        &mut self,
        (start, at, end): (usize, usize, usize),
        entry: &Entry,
        (table, depth): (&Table, usize),
    ) -> Option<usize> {
        let bytes = &self.event.text()[..end];
        let to = if entry.reading == NONE {
            self.check(bytes, (start, at), entry, (table, depth))?
        } else {
            self.take(bytes, at, entry)?
        };
        note(entry, (start, to), self.input, self.found, self.epoch)?;
        Some(to)
    }

    /// Takes a value of the less frequent kinds; where it ends.
    #[inline]
    fn take(&mut self, bytes: &[u8], at: usize, entry: &Entry) -> Option<usize> {
        let (value, to) = match entry.action {
            Action::TakeText => {
                let (from, to) = run(bytes, at)?;
                if !utf8::is_utf8(&bytes[from..to]) {
                    return None;
                }
                (Value::Text(Text { place: Place::Wire, start: from as u32, end: to as u32 }), to)
            }
            Action::TakeFixed64 | Action::TakeSfixed64 => {
                let (bits, to) = fixed64(bytes, at)?;
                let value = match entry.action {
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
                    Action::TakeInt64 => Value::Integer(bits as i64),
                    Action::TakeInt32 => Value::Integer(i64::from(bits as i32)),
                    Action::TakeUint64 => Value::Integer(i64::try_from(bits).ok()?),
                    Action::TakeUint32 => Value::Integer(i64::from(bits as u32)),
                    Action::TakeSint64 => Value::Integer(unzigzag(bits)),
                    _ => Value::Integer(unzigzag(bits & 0xffff_ffff)),
                };
                (value, to)
            }
        };
        self.readings[entry.reading as usize] = (Packed::of(value), self.epoch);
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
        entry: &Entry,
        (table, depth): (&Table, usize),
    ) -> Option<usize> {
        Some(match entry.action {
            Action::Text => {
                let (from, to) = run(bytes, at)?;
                utf8::is_utf8(&bytes[from..to]).then_some(to)?
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
            Action::Unknown => unknown(bytes, at, varint(bytes, start)?.0 as u32)?,
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

/// Takes fields as long as they are short ASCII texts and whole numbers with tags of one byte, as most are; where the next one
/// begins. That is behind the end if the last one is not whole.
///
/// # Safety
/// The readings of the table must be below the number of `readings`.
#[inline(always)]
unsafe fn simple_fields(
    machine: impl Instructions,
    event: Padded,
    table: &Table,
    (mut at, end): (usize, usize),
    readings: &mut [(Packed, u32)],
    epoch: u32,
) -> usize {
    while at < end {
        let (first, length) = (event.byte(at), event.byte(at + 1));
        let entry = table.first_entry(first);
        if entry.tag != u16::from(first) {
            break;
        }
        let (value, to) = if entry.action == Action::TakeText {
            let (from, to) = (at + 2, at + 2 + usize::from(length));
            if !utf8::is_short_ascii(machine, event, from, length) {
                break;
            }
            (Value::Text(Text { place: Place::Wire, start: from as u32, end: to as u32 }), to)
        } else if entry.action == Action::TakeInt64
            && let Some((value, bytes)) = short_varint(machine, u64::from_le_bytes(event.bytes(at + 1)))
        {
            (Value::Integer(value as i64), at + 1 + bytes)
        } else {
            break;
        };
        // SAFETY: as the caller holds: only entries of fields whose values are taken come here.
        unsafe { *readings.get_unchecked_mut(entry.reading as usize) = (Packed::of(value), epoch) };
        at = to;
    }
    at
}

/// What is done with the field that begins at `at`, and where its tag ends.
#[inline(always)]
fn entry_at<'t>(event: Padded, table: &'t Table, (at, end): (usize, usize)) -> Read<&'t Entry> {
    let (first, second) = (event.byte(at), event.byte(at + 1));
    if first < 0x80 {
        return Some((table.entry(u32::from(first)), at + 1));
    }
    let (tag, at) = if second < 0x80 {
        (u32::from(first & 0x7f) | u32::from(second) << 7, at + 2)
    } else {
        long_tag(&event.text()[..end], at)?
    };
    Some((table.entry(tag), at))
}

/// As `run`; it may end behind the event.
#[inline(always)]
fn run_of(event: Padded, at: usize) -> Read<usize> {
    let length = event.byte(at);
    if length < 0x80 { Some((at + 1, at + 1 + usize::from(length))) } else { run(event.text(), at) }
}

/// Keeps where a field stands that is held.
#[inline(always)]
fn note(entry: &Entry, (start, end): (usize, usize), input: &Input, found: &mut [Found], epoch: u32) -> Option<()> {
    if entry.held == NONE {
        return Some(());
    }
    let found = &mut found[entry.held as usize];
    let mut start = start as u32;
    if found.epoch == epoch && found.end > 0 {
        match input.held[entry.held as usize].repeats {
            Repeats::Last => {}
            // Items that do not follow one another are seldom, as are messages that are to be merged.
            Repeats::Items if found.end == start => start = found.start,
            _ => return None,
        }
    }
    *found = Found { start, end: end as u32, epoch, read: false, value: false };
    Some(())
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
}
