//! What the rules that match write.

use crate::arrow::table::{Plan, Selected};
use crate::eval::Evaluation;
use crate::json::{self, Span};
use crate::link::{Column, LinkedRule, Output};
use crate::op::Op;
use crate::project;
use crate::read::key_is;
use crate::record::{RecordError, RecordRef};
use crate::row::{Failed, LeftOut};
use crate::run::{Event, Failure, Run, State};
use crate::star;
use crate::value::Value;

/// Why a rule that matches wrote nothing.
pub enum Stop {
    Failed(Failed),
    Record(RecordError),
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Stop {
        Stop::Failed(failed)
    }
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Stop {
        Stop::Record(error)
    }
}

/// What a payload is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    Written,
    /// The event itself, as it stands in the batch.
    Whole,
}

impl Output {
    /// Whether it takes the event's own text.
    pub fn takes_event(&self) -> bool {
        matches!(self, Output::Star { .. } | Output::Arrow(Plan { select: Selected::Star { .. }, .. }))
    }

    /// The name of the column with this number, of those that are not constant.
    pub fn column(&self, number: u32) -> &str {
        let number = number as usize;
        let name = match self {
            Output::Star { replace, .. } | Output::Arrow(Plan { select: Selected::Star { replace, .. }, .. }) => {
                replace.get(number).map(|column| &column.name)
            }
            Output::Row { names, .. }
            | Output::Message { names, .. }
            | Output::Arrow(Plan { select: Selected::Columns { names, .. }, .. }) => names.get(number),
        };
        name.map_or("", String::as_str)
    }
}

impl Run<'_> {
    /// Writes the output of a rule that matches, or counts why there is none.
    #[inline]
    pub fn output(&mut self, number: u32, event: &Event) {
        let program = self.program;
        let start = self.state.outputs.written.len();
        let rule = &program.rules[number as usize];
        let before = self.state.outputs.total(rule.dataset);
        let written = self.write(rule, event, start);
        let after = self.state.outputs.total(rule.dataset);
        let counts = self.state.counts.rule(number);
        match written {
            Ok(left) => {
                counts.matched += 1;
                counts.emitted += after.rows - before.rows;
                counts.bytes += (after.bytes - before.bytes) as u64;
                counts.nulls += left.nulls as u64;
                counts.not_finite += left.not_finite as u64;
            }
            Err(stop) => {
                self.state.outputs.written.truncate(start);
                match &rule.output {
                    Output::Row { row, .. } => row.forget(&program.rows, start, &mut self.state.rows),
                    Output::Message { row, .. } => row.forget(&program.messages, start, &mut self.state.rows),
                    Output::Star { .. } | Output::Arrow(_) => {}
                }
                match stop {
                    Stop::Failed(Failed { column, op }) => {
                        counts.failed += 1;
                        self.batch.failures.push(Failure { position: event.position, rule: number, column, op });
                        if op == Op::Udf {
                            self.note_reason(number, column, event);
                        }
                    }
                    Stop::Record(error) => self.error = self.error.or(Some(error)),
                }
            }
        }
    }

    /// Writes an output; how many of its columns were left out. Nothing is a dataset's before all of it was written.
    #[inline]
    fn write(&mut self, rule: &LinkedRule, event: &Event, start: usize) -> Result<LeftOut, Stop> {
        if let Some(encoding) = &self.program.encodings[rule.dataset as usize] {
            return self.write_message(rule, encoding, event, start);
        }
        let begun = match event.header {
            Some(header) => Some(RecordRef { rule: &rule.name, ..*header }.begin(&mut self.state.outputs.written)?),
            None => None,
        };
        let (left, payload) = match &rule.output {
            Output::Row { row, .. } => {
                let State { memory, rows, outputs, .. } = &mut self.state;
                let mut evaluation = Evaluation { program: self.program, event: event.values, memory };
                (evaluation.row(*row, rows, &mut outputs.written)?, Payload::Written)
            }
            Output::Star { exclude, replace } => self.star(exclude, replace, event)?,
            Output::Message { .. } => (LeftOut::default(), Payload::Written),
            Output::Arrow(plan) => return self.arrow(rule.dataset, plan, event, start),
        };
        let outputs = &mut self.state.outputs;
        let whole = event.whole.filter(|_| payload == Payload::Whole);
        if payload == Payload::Whole && whole.is_none() {
            outputs.written.extend_from_slice(&event.text[event.span.start..event.span.end]);
        }
        match (begun, whole) {
            (Some(begun), _) => begun.finish_without(&mut outputs.written, whole.map_or(0, |(_, bytes)| bytes))?,
            (None, None) => outputs.written.push(b'\n'),
            (None, Some(_)) => {}
        }
        if outputs.written.len() > start {
            outputs.add_written(rule.dataset, start);
        }
        if let Some((at, bytes)) = whole {
            outputs.add_of_batch(rule.dataset, at, bytes);
        }
        outputs.end_row(rule.dataset);
        Ok(left)
    }

    /// Writes an output into the columns of its dataset.
    fn arrow(&mut self, dataset: u32, plan: &Plan, event: &Event, start: usize) -> Result<LeftOut, Stop> {
        let table = plan.table as usize;
        let left = match &plan.select {
            Selected::Columns { columns, .. } => {
                let State { memory, values, arrow, .. } = &mut self.state;
                let mut evaluation = Evaluation { program: self.program, event: event.values, memory };
                evaluation.arrow_row(columns, values, &mut arrow[table])?
            }
            Selected::Star { to, exclude, replace } => {
                let (left, payload) = self.star(exclude, replace, event)?;
                let State { arrow, outputs, .. } = &mut self.state;
                match payload {
                    Payload::Whole => arrow[table].event(*to, &event.text[event.span.start..event.span.end]),
                    Payload::Written => arrow[table].event(*to, &outputs.written[start..]),
                }
                outputs.written.truncate(start);
                left
            }
        };
        self.state.outputs.end_row(dataset);
        Ok(left)
    }

    /// Appends what a `*` gives, unless it is the event itself.
    pub fn star(&mut self, exclude: &[Vec<u8>], replace: &[Column], event: &Event) -> Result<(LeftOut, Payload), Stop> {
        let state = &mut self.state;
        if state.cuts.1 != state.memory.epoch {
            let collapser = &mut state.collapser;
            let object = |start, end| Span { start, end, kind: json::Kind::Object };
            state.cuts.0.clear();
            // What stands in JSON texts of messages was not scanned.
            let message = event.message.is_some();
            if message || state.scan.may_repeat(|start, end| !collapser.cuts(event.text, object(start, end)).is_empty()) {
                state.cuts.0.extend_from_slice(collapser.cuts(event.text, event.span));
            }
            state.cuts.1 = state.memory.epoch;
        }
        if replace.is_empty() && exclude.is_empty() && state.cuts.0.is_empty() {
            return Ok((LeftOut::default(), Payload::Whole));
        }
        // Every column is evaluated before a byte is written: where a key stands does not say which of two failures counts.
        let mut columns: Vec<(Vec<u8>, bool)> = Vec::with_capacity(replace.len());
        let mut left = LeftOut::default();
        for (number, column) in replace.iter().enumerate() {
            let mut written = Vec::new();
            self.column(column, number as u32, event, &mut left, &mut written)?;
            columns.push((written, false));
        }
        let State { memory, cuts: (cuts, _), outputs, .. } = &mut self.state;
        let (spare, out) = (&mut memory.made, &mut outputs.written);
        let mut excluded = |key: Span| exclude.iter().any(|name| key_is(event.text, key, name, spare));
        let mut members = star::top_members(event.text, event.span, cuts);
        if replace.is_empty() && !members.any(|member| excluded(member.key)) {
            star::write_cut(event.text, event.span.start, event.span.end, cuts, out);
            return Ok((left, Payload::Written));
        }
        let start = out.len();
        for member in star::top_members(event.text, event.span, cuts) {
            let name = |column: &Column, made: &mut Vec<u8>| key_is(event.text, member.key, column.name.as_bytes(), made);
            if let Some(at) = replace.iter().position(|column| name(column, spare)) {
                let (written, used) = &mut columns[at];
                *used = true;
                if !written.is_empty() {
                    out.push(b',');
                    out.extend_from_slice(&event.text[member.key.start..member.value.start]);
                    out.extend_from_slice(&written[replace[at].label.len()..]);
                }
            } else if !exclude.iter().any(|name| key_is(event.text, member.key, name, spare)) {
                out.push(b',');
                star::write_cut(event.text, member.key.start, member.value.end, cuts, out);
            }
        }
        for (written, _) in columns.iter().filter(|(_, used)| !used) {
            out.extend_from_slice(written);
        }
        project::close(b'{', b'}', start, out);
        Ok((left, Payload::Written))
    }

    /// Appends `,"name":value`, or nothing where it is NULL, or a DOUBLE that is not finite.
    fn column(&mut self, column: &Column, number: u32, event: &Event, left: &mut LeftOut, out: &mut Vec<u8>) -> Result<(), Stop> {
        let memory = &mut self.state.memory;
        memory.failed = None;
        let mut evaluation = Evaluation { program: self.program, event: event.values, memory };
        let value = evaluation.value(column.node);
        if let Some(op) = evaluation.memory.failed {
            return Err(Stop::Failed(Failed { column: number, op }));
        }
        if value == Value::Null {
            left.nulls += 1;
            return Ok(());
        }
        let kept = out.len();
        out.extend_from_slice(&column.label);
        if !project::write_value(&mut evaluation, value, out) {
            out.truncate(kept);
            left.not_finite += 1;
        }
        Ok(())
    }
}
