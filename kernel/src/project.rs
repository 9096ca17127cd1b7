//! Writing values as JSON.

use crate::eval::Evaluation;
use crate::functions::{number, timestamp};
use crate::json::{self, Kind, Span};
use crate::link::Program;
use crate::read::{Items, Reader, Shape};
use crate::value::{Place, Texts, Value};

/// Appends a value that is neither an object nor a list. False, and nothing is written, for NULL and a DOUBLE that is not finite.
#[inline]
pub fn write_scalar(texts: Texts, value: Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Text(text) if text.place == Place::Event => {
            out.push(b'"');
            out.extend_from_slice(texts.text(text));
            out.push(b'"');
        }
        Value::Text(text) => json::write_string(texts.text(text), out),
        Value::Integer(integer) => number::write_integer(integer, out),
        Value::Number { start, end } | Value::Json { start, end } => {
            out.extend_from_slice(&texts.event[start as usize..end as usize]);
        }
        Value::Double(double) if double.is_finite() => number::write_double(double, out),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Timestamp(micros) => {
            out.push(b'"');
            timestamp::write(micros, b'T', out);
            out.extend_from_slice(b"Z\"");
        }
        Value::Null | Value::Failed | Value::Double(_) | Value::Items { .. } | Value::Nested { .. } => return false,
    }
    true
}

/// Appends a value of any type. False, and nothing is written, for NULL and a DOUBLE that is not finite.
pub fn write_value(evaluation: &mut Evaluation, value: Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Nested { start, end, plain: true, .. } => out.extend_from_slice(&evaluation.event[start as usize..end as usize]),
        Value::Nested { start, end, shape, .. } => {
            let (start, end) = (start as usize, end as usize);
            let kind = if evaluation.event[start] == b'{' { Kind::Object } else { Kind::Array };
            let program = evaluation.program;
            return NestedWriter { program, reader: evaluation.reader() }.write(Span { start, end, kind }, shape, out);
        }
        Value::Items { first, count } => {
            let start = out.len();
            for at in first..first + count {
                out.push(b',');
                let item = evaluation.memory.items[at as usize];
                if !write_value(evaluation, item, out) {
                    out.extend_from_slice(b"null");
                }
            }
            close(b'[', b']', start, out);
        }
        scalar => return write_scalar(evaluation.texts(), scalar, out),
    }
    true
}

/// Writes objects and lists of one event by their types.
pub struct NestedWriter<'a> {
    pub program: &'a Program,
    pub reader: Reader<'a>,
}

impl NestedWriter<'_> {
    /// Appends a value of the event read as a shape. False, and nothing is written, where that is NULL.
    pub fn write(&mut self, span: Span, shape: u32, out: &mut Vec<u8>) -> bool {
        let program = self.program;
        match &program.shapes.list[shape as usize] {
            Shape::Struct(fields) if span.kind == Kind::Object => {
                let base = self.reader.members.len();
                self.reader.collect_members(span, fields);
                let start = out.len();
                for at in base..self.reader.members.len() {
                    let (field, value) = self.reader.members[at];
                    let kept = out.len();
                    out.push(b',');
                    out.extend_from_slice(&fields.labels[field as usize]);
                    if !self.write(value, fields.shapes[field as usize], out) {
                        out.truncate(kept);
                    }
                }
                self.reader.members.truncate(base);
                close(b'{', b'}', start, out);
                true
            }
            Shape::List { item } if span.kind == Kind::Array => {
                let start = out.len();
                for value in Items::new(self.reader.event, span.start) {
                    out.push(b',');
                    if !self.write(value, *item, out) {
                        out.extend_from_slice(b"null");
                    }
                }
                close(b'[', b']', start, out);
                true
            }
            Shape::Struct(_) | Shape::List { .. } => false,
            _ => {
                let kept = self.reader.made.len();
                let value = self.reader.read(span, shape);
                let texts = Texts { event: self.reader.event, made: self.reader.made, program: &program.texts };
                let written = write_scalar(texts, value, out);
                self.reader.made.truncate(kept);
                written
            }
        }
    }
}

/// Puts brackets around what was appended since `start`, each piece with a comma before it.
#[inline]
pub fn close(open: u8, close: u8, start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = open,
        None => out.push(open),
    }
    out.push(close);
}
