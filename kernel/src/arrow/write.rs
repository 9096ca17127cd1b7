//! Writing what rules select into columns.

use super::table::PlanColumn;
use super::{Column, Data, Rows};
use crate::eval::Evaluation;
use crate::json::{Kind, Span};
use crate::link::Program;
use crate::read::{Items, Reader, Shape};
use crate::row::{Failed, LeftOut};
use crate::value::{Texts, Value};

impl Evaluation<'_> {
    /// Appends a row; how many of its columns were not finite. Nothing is appended where it fails.
    pub fn arrow_row(&mut self, columns: &[PlanColumn], values: &mut Vec<Value>, rows: &mut Rows) -> Result<LeftOut, Failed> {
        values.clear();
        self.memory.failed = None;
        for (at, column) in columns.iter().enumerate() {
            values.push(self.value(column.node));
            if let Some(op) = self.memory.failed {
                let column = columns[..at].iter().filter(|column| !column.constant).count() as u32;
                return Err(Failed { column, op });
            }
        }
        let mut left = LeftOut::default();
        for (column, value) in columns.iter().zip(&*values) {
            let to = &mut rows.columns[column.to as usize];
            to.pad_to(rows.count);
            left.not_finite += !self.append(*value, to) as u32;
            left.nulls += (*value == Value::Null && !column.constant) as u32;
        }
        rows.count += 1;
        Ok(left)
    }

    /// Appends a value. False where NULL stands for a DOUBLE that is not finite.
    fn append(&mut self, value: Value, to: &mut Column) -> bool {
        match value {
            Value::Items { first, count } => {
                if let Data::List { item, .. } = &mut to.data {
                    for at in first..first + count {
                        self.append(self.memory.items[at as usize], item);
                    }
                }
                to.end_list();
                true
            }
            Value::Nested { start, end, shape, .. } => {
                let (start, end) = (start as usize, end as usize);
                let kind = if self.event[start] == b'{' { Kind::Object } else { Kind::Array };
                let program = self.program;
                Nested { program, reader: self.reader() }.append(Span { start, end, kind }, shape, to);
                true
            }
            scalar => append_scalar(self.texts(), scalar, to),
        }
    }
}

fn append_scalar(texts: Texts, value: Value, to: &mut Column) -> bool {
    match value {
        Value::Text(text) => to.text(texts.text(text)),
        Value::Json { start, end } => to.text(&texts.event[start as usize..end as usize]),
        Value::Integer(integer) | Value::Timestamp(integer) => to.integer(integer),
        Value::Boolean(boolean) => to.boolean(boolean),
        Value::Double(_) | Value::Number { .. } => {
            let double = texts.double(value);
            if !double.is_finite() {
                to.null();
                return false;
            }
            to.double(double);
        }
        Value::Null | Value::Failed | Value::Items { .. } | Value::Nested { .. } => to.null(),
    }
    true
}

/// Appends objects and lists of one event by their types, as `project::NestedWriter` writes them.
struct Nested<'a> {
    program: &'a Program,
    reader: Reader<'a>,
}

impl Nested<'_> {
    fn append(&mut self, span: Span, shape: u32, to: &mut Column) {
        let program = self.program;
        match (&program.shapes.list[shape as usize], &mut to.data) {
            (Shape::Struct(fields), Data::Struct(columns)) if span.kind == Kind::Object => {
                let base = self.reader.members.len();
                self.reader.collect_members(span, fields);
                for at in base..self.reader.members.len() {
                    let (field, value) = self.reader.members[at];
                    self.append(value, fields.shapes[field as usize], &mut columns[field as usize]);
                }
                self.reader.members.truncate(base);
                to.end_struct();
            }
            (Shape::List { item: shape }, Data::List { item, .. }) if span.kind == Kind::Array => {
                for value in Items::new(self.reader.event, span.start) {
                    self.append(value, *shape, item);
                }
                to.end_list();
            }
            (Shape::Struct(_) | Shape::List { .. }, _) => to.null(),
            _ => {
                let kept = self.reader.made.len();
                let value = self.reader.read(span, shape);
                let texts = Texts { event: self.reader.event, made: self.reader.made, program: &program.texts };
                append_scalar(texts, value, to);
                self.reader.made.truncate(kept);
            }
        }
    }
}
