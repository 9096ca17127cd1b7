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
    shared: usize,
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
    /// Where its text begins: first what is written in any case, then the tag, which a NULL leaves out.
    text: u32,
    constant: u32,
    tag: u32,
    number: u32,
    encoded: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum What {
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
    /// Makes rows ready. `can_fail` says of each node whether something in it can fail; the leading parts that rows share are
    /// numbered from `first_shared` on.
    pub fn new(rows: Vec<Vec<Part>>, nodes: &[Node], can_fail: &[bool], first_shared: usize) -> (Rows, Vec<Row>) {
        let keys: Vec<Vec<PartKey>> = rows
            .iter()
            .map(|parts| {
                let fails = |part: &&Part| matches!(part, Part::Column(column) if can_fail[column.node as usize]);
                parts.iter().take_while(|part| !fails(part)).map(PartKey::of).collect()
            })
            .collect();
        let mut made = Rows::default();
        let mut numbers: HashMap<&[PartKey], u32> = HashMap::new();
        let mut list = Vec::with_capacity(rows.len());
        for ((parts, keys), count) in rows.into_iter().zip(&keys).zip(leading(&keys)) {
            let first = made.steps.len();
            let mut parts = parts.into_iter();
            made.parts(parts.by_ref().take(count), nodes, can_fail);
            let shared = (count > 0).then(|| {
                let next = (first_shared + numbers.len()) as u32;
                let number = *numbers.entry(&keys[..count]).or_insert(next);
                made.steps.push(Step { number, ..Step::constant(What::SharedEnd, 0, 0) });
                (number, (made.steps.len() - first) as u32)
            });
            made.parts(parts, nodes, can_fail);
            list.push(Row { first: first as u32, count: (made.steps.len() - first) as u32, shared });
        }
        made.shared = numbers.len();
        made.text.resize(made.text.len() + PADDING, 0);
        (made, list)
    }

    /// How many `Known` a run needs.
    pub fn shared(&self) -> usize {
        self.shared
    }

    fn parts(&mut self, parts: impl Iterator<Item = Part>, nodes: &[Node], can_fail: &[bool]) {
        let mut before: Option<Step> = None;
        for part in parts {
            let text = self.text.len() as u32;
            match part {
                Part::Constant(written) => {
                    self.text.extend_from_slice(&written);
                    match &mut before {
                        Some(step) => step.constant += written.len() as u32,
                        None => before = Some(Step::constant(What::Constant, text, written.len() as u32)),
                    }
                }
                Part::Column(Column { node, how, tag, field, copied }) => {
                    self.text.extend_from_slice(&tag);
                    let (what, number) = match nodes[node as usize] {
                        Node::Reading(number) if copied.is_some() => (What::Copied, number),
                        Node::Reading(number) => (What::Reading, number),
                        _ if can_fail[node as usize] => (What::Fallible, node),
                        _ => (What::Node, node),
                    };
                    let (text, constant) = before.take().map_or((text, 0), |before| (before.text, before.constant));
                    let encoded = self.encoded.len() as u32;
                    if how == How::Encoded || copied.is_some() {
                        self.encoded.push(Encoded { field, copied });
                    }
                    self.steps.push(Step { what, how, text, constant, tag: tag.len() as u32, number, encoded });
                }
            }
        }
        self.steps.extend(before);
    }
}

impl Step {
    fn constant(what: What, text: u32, constant: u32) -> Step {
        Step { what, how: How::Nowhere, text, constant, tag: 0, number: 0, encoded: 0 }
    }
}

impl Row {
    /// What was written of this row was taken back: the leading part may have stood there.
    pub fn forget(&self, known: &mut [Known]) {
        if let Some((number, _)) = self.shared {
            known[number as usize] = Known::default();
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
    pub fn message_row(&mut self, row: Row, known: &mut [Known], out: &mut Vec<u8>) -> Result<LeftOut, Failed> {
        let program = self.program;
        let rows = &program.messages;
        let steps = &rows.steps[row.first as usize..(row.first + row.count) as usize];
        let epoch = self.memory.epoch;
        let mut pen = Pen::new(out);
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
            let text = step.text as usize;
            let tag = text + step.constant as usize;
            let value = match step.what {
                What::Reading => self.reading(step.number),
                What::Node => self.value(step.number),
                What::Fallible => {
                    self.memory.failed = None;
                    let value = self.value(step.number);
                    if let Some(op) = self.memory.failed {
                        pen.finish();
                        return Err(Failed { column: column_number(&steps[..at]), op });
                    }
                    value
                }
                What::Copied if self.memory.messages.walked => {
                    pen.piece(&rows.text, text, tag);
                    let start = pen.at();
                    pen.with(|out| self.copied(&rows.encoded[step.encoded as usize], step.number, out));
                    left.nulls += (pen.at() == start) as u32;
                    continue;
                }
                What::Copied => self.reading(step.number),
                What::Constant => {
                    pen.piece(&rows.text, text, tag);
                    continue;
                }
                What::SharedEnd => {
                    known[step.number as usize] = Known { epoch, left, start, end: pen.at() };
                    continue;
                }
            };
            let kept = pen.at() + step.constant as usize;
            pen.piece(&rows.text, text, tag + step.tag as usize);
            if value == Value::Null {
                pen.back_to(kept);
                left.nulls += 1;
                continue;
            }
            match self.write_value(step, value, &mut pen) {
                Written::Whole => {}
                Written::Nothing => pen.back_to(kept),
                Written::NotFinite => {
                    pen.back_to(kept);
                    left.not_finite += 1;
                }
            }
        }
        pen.finish();
        Ok(left)
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
            (How::Encoded, value) => self.encode(self.program.messages.encoded[step.encoded as usize].field, value, out),
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
