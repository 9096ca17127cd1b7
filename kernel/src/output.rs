//! Rows: what a rule that matches writes.

use crate::eval::Evaluation;
use crate::json::{self, Span};
use crate::link::{Column, LinkedRule, Output, Part};
use crate::op::Op;
use crate::project::{self, NestedWriter};
use crate::read::key_is;
use crate::record::{Begun, RecordError, RecordRef};
use crate::run::{Event, Failure, Run};
use crate::star;
use crate::value::Value;

impl Run<'_> {
    /// Writes the row of a rule that matches, or counts why there is none.
    pub fn output(&mut self, number: u32, event: Event) {
        let program = self.program;
        let rule = &program.rules[number as usize];
        let (rows, mut out) = std::mem::take(&mut self.state.outputs[rule.dataset as usize]);
        let kept = out.len();
        let begun = event.header.map(|header| RecordRef { rule: &rule.name, ..header }.begin(&mut out));
        let written = match begun {
            Some(Err(error)) => Err(Stop::Record(error)),
            Some(Ok(begun)) => self.row(rule, event, &mut out).and_then(|count| finish_record(begun, &mut out).map(|()| count)),
            None => {
                let written = self.row(rule, event, &mut out);
                out.push(b'\n');
                written
            }
        };
        let counts = &mut self.state.rules[number as usize];
        let mut added = 0;
        match written {
            Ok(not_finite) => {
                counts.matched += 1;
                counts.not_finite += not_finite;
                added = 1;
            }
            Err(stop) => {
                out.truncate(kept);
                match stop {
                    Stop::Failed { column, op } => {
                        counts.failed += 1;
                        self.batch.failures.push(Failure { position: event.position, rule: number, column, op });
                    }
                    Stop::Record(error) => self.error = self.error.or(Some(error)),
                }
            }
        }
        self.state.outputs[rule.dataset as usize] = (rows + added, out);
    }

    /// Appends the row of a rule; how many of its columns were not finite.
    fn row(&mut self, rule: &LinkedRule, event: Event, out: &mut Vec<u8>) -> Result<u64, Stop> {
        let mut not_finite = 0;
        match &rule.output {
            Output::Row(parts) => {
                let start = out.len();
                let mut column = 0;
                for part in parts {
                    match part {
                        Part::Constant(written) => out.extend_from_slice(written),
                        Part::Column(each) => {
                            not_finite += self.column(each, column, event, out)?;
                            column += 1;
                        }
                    }
                }
                project::close(b'{', b'}', start, out);
            }
            Output::Star { exclude, replace } => self.star(exclude, replace, event, out, &mut not_finite)?,
        }
        Ok(not_finite)
    }

    /// Appends `,"name":value`, or nothing where it is NULL. 1 if it was a DOUBLE that is not finite.
    #[inline]
    fn column(&mut self, column: &Column, number: u32, event: Event, out: &mut Vec<u8>) -> Result<u64, Stop> {
        let memory = &mut self.state.memory;
        memory.failed = None;
        let mut evaluation = Evaluation { program: self.program, event: event.text, memory };
        let value = evaluation.value(column.node);
        if let Some(op) = evaluation.memory.failed {
            return Err(Stop::Failed { column: number, op });
        }
        if value == Value::Null {
            return Ok(0);
        }
        let kept = out.len();
        out.extend_from_slice(&column.label);
        if let Value::Nested { start, end, shape, plain } = value {
            let (start, end) = (start as usize, end as usize);
            if plain {
                out.extend_from_slice(&event.text[start..end]);
            } else {
                let program = self.program;
                let kind = if event.text[start] == b'{' { json::Kind::Object } else { json::Kind::Array };
                NestedWriter { program, reader: evaluation.reader() }.write(Span { start, end, kind }, shape, out);
            }
            return Ok(0);
        }
        if project::write_scalar(evaluation.texts(), value, out) {
            return Ok(0);
        }
        out.truncate(kept);
        Ok(1)
    }

    fn star(
        &mut self,
        exclude: &[Vec<u8>],
        replace: &[Column],
        event: Event,
        out: &mut Vec<u8>,
        not_finite: &mut u64,
    ) -> Result<(), Stop> {
        // Every column is evaluated before a byte is written: where a key stands does not say which of two failures counts.
        let mut columns: Vec<(Vec<u8>, bool)> = Vec::with_capacity(replace.len());
        for (number, column) in replace.iter().enumerate() {
            let mut written = Vec::new();
            *not_finite += self.column(column, number as u32, event, &mut written)?;
            columns.push((written, false));
        }
        let state = &mut self.state;
        if state.cuts.1 != state.memory.epoch {
            let cuts = state.collapser.cuts(event.text, event.span);
            state.cuts.0.clear();
            state.cuts.0.extend_from_slice(cuts);
            state.cuts.1 = state.memory.epoch;
        }
        let cuts = &state.cuts.0;
        let spare = &mut state.memory.made;
        let mut excluded = |key: Span| exclude.iter().any(|name| key_is(event.text, key, name, spare));
        let mut members = star::top_members(event.text, event.span, cuts);
        if replace.is_empty() && (exclude.is_empty() || !members.any(|member| excluded(member.key))) {
            star::write_cut(event.text, event.span.start, event.span.end, cuts, out);
            return Ok(());
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
        Ok(())
    }
}

/// Why a row was not written.
enum Stop {
    Failed { column: u32, op: Op },
    Record(RecordError),
}

fn finish_record(begun: Begun, out: &mut Vec<u8>) -> Result<(), Stop> {
    begun.finish(out).map_err(Stop::Record)
}
