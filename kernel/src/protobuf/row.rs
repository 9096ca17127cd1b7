//! Rows as messages: what a rule writes as a list of steps, tags and constant fields made ready when linking.
//!
//! A row is what its JSON would be encoded as. What is seldom is written as JSON and encoded.

use std::collections::HashMap;

use super::copy::Copy;
use super::descriptor::{Cardinality, Kind, Meaning, WireField};
use super::encode::{write_integer, write_timestamp};
use super::wire::close;
use crate::eval::Evaluation;
use crate::json::Cursor;
use crate::link::Node;
use crate::op::Op;
use crate::pen::Pen;
use crate::project::{self, NestedWriter};
use crate::read::Shape;
use crate::row::{Failed, Known, LeftOut, leading};
use crate::value::{Place, Value};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    Text,
    Int64,
    /// A whole number of another kind, which may not hold it.
    Whole(Kind),
    Double,
    Float,
    Bool,
    Timestamp,
    Json,
    /// As JSON, which is encoded.
    Encoded,
    /// The message has no such field.
    Nowhere,
}

/// A column that is not constant.
#[derive(Debug)]
pub struct Column {
    pub node: u32,
    pub how: How,
    pub tag: Vec<u8>,
    /// The dataset, and the place of the field in its message.
    pub field: (u32, u32),
    /// The field of the input that it is copied from, and how.
    pub copied: Option<(u32, Copy)>,
}

/// A piece of a row.
#[derive(Debug)]
pub enum Part {
    Constant(Vec<u8>),
    Column(Column),
}

impl Part {
    /// The node that is evaluated for it wherever the event comes from.
    pub fn evaluated(&self) -> Option<u32> {
        match self {
            Part::Column(Column { node, copied: None, .. }) => Some(*node),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum PartKey {
    Constant(Vec<u8>),
    Column(u32, How, Vec<u8>, Option<(u32, u32)>),
}

impl PartKey {
    fn of(part: &Part) -> PartKey {
        match part {
            Part::Constant(written) => PartKey::Constant(written.clone()),
            Part::Column(Column { node, how, tag, field, copied }) => {
                let own = (*how == How::Encoded || copied.is_some()).then_some(*field);
                PartKey::Column(*node, *how, tag.clone(), own)
            }
        }
    }
}

/// The steps of all rows.
#[derive(Debug, Default)]
pub struct Rows {
    steps: Vec<Step>,
    /// The constant text, and room behind it that is not part of any.
    text: Vec<u8>,
    encoded: Vec<Encoded>,
    known: usize,
}

/// A column that is encoded from JSON, or copied from the input.
#[derive(Debug)]
struct Encoded {
    field: (u32, u32),
    copied: Option<(u32, Copy)>,
}

/// So much follows the last constant text, so that it can be copied in whole steps.
const PADDING: usize = 64;

/// One row: its steps, and the number of the leading part that it shares with others, with its steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    first: u32,
    count: u32,
    shared: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    what: What,
    how: How,
    tag_bytes: u8,
    /// The tag, its first byte the lowest.
    tag: u64,
    /// Of the reading or the node; where a constant begins; of `SharedEnd` where it is noted.
    number: u32,
    /// Of a constant: its bytes. Else of what is encoded.
    second: u32,
    /// Where it is noted that it was written for this event, if several rows have it; else `NOT_SHARED`.
    known: u32,
}

const NOT_SHARED: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum What {
    /// A reading that is a text, written as one.
    Text,
    /// A reading that is a whole number, written as a varint.
    Int64,
    Reading,
    /// A node in which nothing can fail.
    Node,
    Fallible,
    /// A reading that is copied from the input where that was walked.
    Copied,
    Constant,
    /// The leading part that rows share ends here.
    SharedEnd,
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Whole,
    /// Its field cannot hold it, or there is none.
    Nothing,
    NotFinite,
}

impl Rows {
    /// Makes rows ready. `can_fail` says of each node whether something in it can fail; what rows share is numbered from `first_known`
    /// on.
    pub fn new(rows: Vec<Vec<Part>>, nodes: &[Node], can_fail: &[bool], first_known: usize) -> (Rows, Vec<Row>) {
        let keys: Vec<Vec<PartKey>> = rows.iter().map(|parts| parts.iter().map(PartKey::of).collect()).collect();
        let certain: Vec<&[PartKey]> = rows
            .iter()
            .zip(&keys)
            .map(|(parts, keys)| {
                let fails = |part: &Part| matches!(part, Part::Column(column) if can_fail[column.node as usize]);
                &keys[..parts.iter().position(fails).unwrap_or(keys.len())]
            })
            .collect();
        let leading = leading(&certain);
        let mut uses: HashMap<&PartKey, u32> = HashMap::new();
        for (keys, leading) in keys.iter().zip(&leading) {
            keys[*leading..].iter().for_each(|key| *uses.entry(key).or_default() += 1);
        }
        let mut made = Rows::default();
        let mut numbers: HashMap<&[PartKey], u32> = HashMap::new();
        let mut list = Vec::with_capacity(rows.len());
        for ((parts, keys), count) in rows.into_iter().zip(&keys).zip(leading) {
            let first = made.steps.len();
            let mut shared = None;
            for (at, (part, key)) in parts.into_iter().zip(keys).enumerate() {
                if at == count && at > 0 {
                    shared = Some(made.shared_end(&mut numbers, &keys[..count], first, first_known));
                }
                made.part(part, nodes, can_fail);
                let next = (first_known + numbers.len()) as u32;
                if let Some(step) = made.steps.last_mut()
                    && at >= count
                    && matches!(step.what, What::Node | What::Fallible | What::Copied)
                    && uses[key] > 1
                {
                    step.known = *numbers.entry(std::slice::from_ref(key)).or_insert(next);
                }
            }
            if count == keys.len() && count > 0 {
                shared = Some(made.shared_end(&mut numbers, keys, first, first_known));
            }
            list.push(Row { first: first as u32, count: (made.steps.len() - first) as u32, shared });
        }
        made.known = numbers.len();
        made.text.resize(made.text.len() + PADDING, 0);
        (made, list)
    }

    /// How many `Known` a run needs.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Ends the leading part of a row that begins at `first`; the number under which it is noted, and its steps.
    fn shared_end<'k>(
        &mut self,
        numbers: &mut HashMap<&'k [PartKey], u32>,
        keys: &'k [PartKey],
        first: usize,
        first_known: usize,
    ) -> (u32, u32) {
        let next = (first_known + numbers.len()) as u32;
        // One part may be shared by itself, too: it is noted in the same way.
        let number = *numbers.entry(keys).or_insert(next);
        self.steps.push(Step { what: What::SharedEnd, number, ..Step::NONE });
        (number, (self.steps.len() - first) as u32)
    }

    fn part(&mut self, part: Part, nodes: &[Node], can_fail: &[bool]) {
        let step = match part {
            Part::Constant(written) => {
                let number = self.text.len() as u32;
                self.text.extend_from_slice(&written);
                Step { what: What::Constant, number, second: written.len() as u32, ..Step::NONE }
            }
            Part::Column(Column { node, how, tag, field, copied }) => {
                let (what, number) = match nodes[node as usize] {
                    Node::Reading(number) if copied.is_some() => (What::Copied, number),
                    Node::Reading(number) if how == How::Text => (What::Text, number),
                    Node::Reading(number) if how == How::Int64 => (What::Int64, number),
                    Node::Reading(number) => (What::Reading, number),
                    _ if can_fail[node as usize] => (What::Fallible, node),
                    _ => (What::Node, node),
                };
                let second = self.encoded.len() as u32;
                if how == How::Encoded || copied.is_some() {
                    self.encoded.push(Encoded { field, copied });
                }
                let mut word = [0; 8];
                word[..tag.len()].copy_from_slice(&tag);
                let (tag_bytes, tag) = (tag.len() as u8, u64::from_le_bytes(word));
                Step { what, how, tag_bytes, tag, number, second, known: NOT_SHARED }
            }
        };
        self.steps.push(step);
    }
}

impl Step {
    const NONE: Step =
        Step { what: What::Constant, how: How::Nowhere, tag_bytes: 0, tag: 0, number: 0, second: 0, known: NOT_SHARED };
}

impl Row {
    /// What was written from `start` on was taken back: nothing that is noted stands there any more.
    #[cold]
    pub fn forget(&self, rows: &Rows, start: usize, known: &mut [Known]) {
        let steps = &rows.steps[self.first as usize..(self.first + self.count) as usize];
        let noted = steps.iter().map(|step| step.known).chain(self.shared.map(|(number, _)| number));
        for number in noted.filter(|number| *number != NOT_SHARED) {
            let known = &mut known[number as usize];
            if known.start >= start {
                *known = Known::default();
            }
        }
    }
}

impl How {
    /// How values of a shape are written into a field.
    pub fn of(shape: &Shape, field: &WireField, meaning: Meaning) -> How {
        if !matches!(field.cardinality, Cardinality::Optional | Cardinality::Implicit) {
            return How::Encoded;
        }
        match (shape, field.kind) {
            (Shape::Varchar, Kind::String) if !field.json => How::Text,
            (Shape::BigInt, Kind::Int64) => How::Int64,
            (Shape::BigInt, kind) if kind.is_whole() => How::Whole(kind),
            (Shape::Double, Kind::Double) => How::Double,
            (Shape::Double, Kind::Float) => How::Float,
            (Shape::Boolean, Kind::Bool) => How::Bool,
            (Shape::Timestamp, Kind::Struct) if meaning == Meaning::Timestamp => How::Timestamp,
            (Shape::Json, Kind::String) if field.json => How::Json,
            _ => How::Encoded,
        }
    }
}

impl Evaluation<'_> {
    /// Appends a row as a message; how many of its columns were left out. Where it fails, what was written of it is to be taken
    /// back.
    pub fn message_row(&mut self, row: Row, known: &mut [Known], pen: &mut Pen) -> Result<LeftOut, Failed> {
        let program = self.program;
        let rows = &program.messages;
        let steps = &rows.steps[row.first as usize..(row.first + row.count) as usize];
        let epoch = self.memory.epoch;
        let start = pen.at();
        let (mut from, mut left) = (0, LeftOut::default());
        if let Some((number, count)) = row.shared
            && let Known { left: counted, start, end, .. } = known[number as usize]
            && known[number as usize].epoch == epoch
        {
            pen.repeat(start, end);
            (from, left) = (count as usize, counted);
        }
        for (at, step) in steps.iter().enumerate().skip(from) {
            match step.what {
                What::Text | What::Int64 => {
                    let (packed, read) = self.memory.readings[step.number as usize];
                    let tag = (step.tag, usize::from(step.tag_bytes));
                    if read == epoch
                        && step.what == What::Text
                        && let Some((start, end)) = packed.wire_text()
                    {
                        pen.tagged_text(tag, self.event, start, end);
                    } else if read == epoch
                        && let Some(integer) = packed.integer()
                    {
                        pen.tagged_varint(tag, integer as u64);
                    } else {
                        let value = self.reading(step.number);
                        left += self.column_of_row(step, value, pen);
                    }
                }
                What::Constant => pen.piece(&rows.text, step.number as usize, (step.number + step.second) as usize),
                What::SharedEnd => known[step.number as usize] = Known { epoch, left, start, end: pen.at() },
                _ => {
                    if step.known != NOT_SHARED
                        && let Known { left: counted, start, end, .. } = known[step.known as usize]
                        && known[step.known as usize].epoch == epoch
                    {
                        left += counted;
                        pen.repeat(start, end);
                        continue;
                    }
                    let start = pen.at();
                    let counted = self.step(step, pen).map_err(|op| Failed { column: column_number(&steps[..at]), op })?;
                    left += counted;
                    if step.known != NOT_SHARED {
                        known[step.known as usize] = Known { epoch, left: counted, start, end: pen.at() };
                    }
                }
            }
        }
        Ok(left)
    }

    /// Appends a column that is not simply a reading.
    #[inline]
    fn step(&mut self, step: &Step, pen: &mut Pen) -> Result<LeftOut, Op> {
        let value = match step.what {
            What::Node => self.value(step.number),
            What::Fallible => {
                self.memory.failed = None;
                let value = self.value(step.number);
                if let Some(op) = self.memory.failed {
                    return Err(op);
                }
                value
            }
            What::Copied if self.memory.messages.walked => {
                let start = pen.at();
                pen.with(|out| self.copied(&self.program.messages.encoded[step.second as usize], step.number, out));
                return Ok(LeftOut { nulls: (pen.at() == start) as u32, not_finite: 0 });
            }
            _ => self.reading(step.number),
        };
        Ok(self.column_of_row(step, value, pen))
    }

    /// Appends a value behind its tag, or nothing.
    #[inline(always)]
    fn column_of_row(&mut self, step: &Step, value: Value, pen: &mut Pen) -> LeftOut {
        if value == Value::Null {
            return LeftOut { nulls: 1, not_finite: 0 };
        }
        let start = pen.at();
        pen.tag(step.tag, usize::from(step.tag_bytes));
        match self.write_value(step, value, pen) {
            Written::Whole => LeftOut::default(),
            Written::Nothing => {
                pen.back_to(start);
                LeftOut::default()
            }
            Written::NotFinite => {
                pen.back_to(start);
                LeftOut { nulls: 0, not_finite: 1 }
            }
        }
    }

    #[inline(always)]
    fn write_value(&mut self, step: &Step, value: Value, pen: &mut Pen) -> Written {
        match (step.how, value) {
            (How::Text, Value::Text(text)) => {
                let from = match text.place {
                    Place::Event | Place::Wire => self.event,
                    Place::Made => &self.memory.made,
                    Place::Program => &self.program.texts,
                };
                pen.counted(from, text.start as usize, text.end as usize);
            }
            (How::Int64, Value::Integer(integer)) => pen.varint(integer as u64),
            (How::Double, value) => {
                let double = self.texts().double(value);
                if !double.is_finite() {
                    return Written::NotFinite;
                }
                pen.word(double.to_bits());
            }
            (How::Bool, Value::Boolean(flag)) => pen.byte(u8::from(flag)),
            (How::Json, Value::Json { start, end }) => pen.counted(self.event, start as usize, end as usize),
            _ => return pen.with(|out| self.write_seldom(step, value, out)),
        }
        Written::Whole
    }

    fn write_seldom(&mut self, step: &Step, value: Value, out: &mut Vec<u8>) -> Written {
        match (step.how, value) {
            (How::Whole(kind), Value::Integer(integer)) => {
                if write_integer(kind, integer, out) {
                    Written::Whole
                } else {
                    Written::Nothing
                }
            }
            (How::Timestamp, Value::Timestamp(micros)) => {
                let start = out.len();
                write_timestamp(micros, out);
                close(start, out);
                Written::Whole
            }
            (_, Value::Double(double)) if !double.is_finite() => Written::NotFinite,
            (How::Float, value) => {
                out.extend_from_slice(&(self.texts().double(value) as f32).to_le_bytes());
                Written::Whole
            }
            (How::Encoded, value) => self.encode(self.program.messages.encoded[step.second as usize].field, value, out),
            _ => Written::Nothing,
        }
    }

    /// Writes a value as JSON, and this as the field.
    fn encode(&mut self, field: (u32, u32), value: Value, out: &mut Vec<u8>) -> Written {
        let mut json = std::mem::take(&mut self.memory.messages.json);
        json.clear();
        let (text, at) = match value {
            Value::Nested { plain: true, start, .. } => (self.event, start as usize),
            _ => {
                project::write_value(self, value, &mut json);
                (&json[..], 0)
            }
        };
        let before = out.len();
        if let Ok(span) = Cursor::from(text, at).value()
            && let Some(encoding) = &self.program.encodings[field.0 as usize]
        {
            self.memory.messages.encoder.column(&encoding.descriptor, field.1 as usize, text, span, out);
        }
        self.memory.messages.json = json;
        if out.len() > before { Written::Whole } else { Written::Nothing }
    }

    /// Writes a field of the input that was walked.
    fn copied(&mut self, encoded: &Encoded, reading: u32, out: &mut Vec<u8>) {
        let (Some((number, copy)), Some(input)) = (&encoded.copied, &self.program.input) else { return };
        let found = self.memory.messages.found[*number as usize];
        if found.epoch != self.memory.epoch {
            return;
        }
        let part = &self.event[found.start as usize..found.end as usize];
        let kept = out.len();
        if copy.write(part, out).is_some() {
            return;
        }
        out.truncate(kept);
        // It does not stand as it would be written.
        let held = &input.held[*number as usize];
        let (mut decoded, mut json) = (Vec::new(), Vec::new());
        let there = input.descriptor.decode_field(held.number, held.place, (part, 1), &mut decoded);
        let (_, shape) = self.program.readings[reading as usize];
        if there == Ok(true)
            && let Ok(span) = Cursor::from(&decoded, 0).value()
            && let program = self.program
            && (NestedWriter { program, reader: crate::read::Reader { event: &decoded, ..self.reader() } })
                .write(span, shape, &mut json)
            && let Ok(span) = Cursor::from(&json, 0).value()
            && let Some(encoding) = &program.encodings[encoded.field.0 as usize]
        {
            self.memory.messages.encoder.column(&encoding.descriptor, encoded.field.1 as usize, &json, span, out);
        }
    }
}

/// How many of the steps are columns that are not constant.
#[cold]
fn column_number(steps: &[Step]) -> u32 {
    steps.iter().filter(|step| !matches!(step.what, What::Constant | What::SharedEnd)).count() as u32
}
