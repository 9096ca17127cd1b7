//! What rules write into datasets whose rows are messages.

use super::descriptor::Descriptor;
use super::run::Walked;
use super::wire::write_varint;
use crate::eval::{Evaluation, Memory};
use crate::json::{Kind, Span};
use crate::link::{LinkedRule, Output};
use crate::output::{Payload, Stop};
use crate::pen::Pen;
use crate::record::RecordRef;
use crate::row::{Known, LeftOut};
use crate::run::{Event, Run, State};

/// The messages of a dataset.
#[derive(Debug)]
pub struct Encoding {
    pub descriptor: Descriptor,
    /// They are those of the input.
    pub is_input: bool,
    /// The first dataset that has messages like these.
    pub alike: u32,
}

/// A length takes no more: rows are shorter than 4 GiB.
const LENGTH_BYTES_MAX: usize = 5;

impl Run<'_> {
    /// Writes an output as a message, behind its length unless it is a record's payload; how many of its columns were left out.
    pub fn write_message(
        &mut self,
        rule: &LinkedRule,
        encoding: &Encoding,
        event: &Event,
        start: usize,
    ) -> Result<LeftOut, Stop> {
        if rule.passes_whole
            && let Some(whole) = event.message
        {
            return self.pass_message(rule, event, whole.bytes, whole.in_batch, start);
        }
        let begun = match event.header {
            Some(header) => Some(RecordRef { rule: &rule.name, ..*header }.begin(&mut self.state.outputs.written)?),
            None => None,
        };
        // The length is written in front of the row when it is known.
        let room = if begun.is_some() { 0 } else { LENGTH_BYTES_MAX };
        let body = self.state.outputs.written.len() + room;
        let mut whole = None;
        let left = match &rule.output {
            Output::Star { exclude, replace } => {
                self.state.outputs.written.resize(body, 0);
                let (left, payload) = self.star(exclude, replace, event)?;
                let State { memory, outputs, .. } = &mut self.state;
                let object = |start, end| Span { start, end, kind: Kind::Object };
                let Walked { encoder, wholes, .. } = &mut memory.messages;
                if payload == Payload::Whole {
                    match wholes.get(&encoding.alike) {
                        Some(known) if known.epoch == memory.epoch => outputs.written.extend_from_within(known.start..known.end),
                        _ => encoder.message(&encoding.descriptor, event.text, event.span, &mut outputs.written),
                    }
                    whole = Some((body, outputs.written.len()));
                } else {
                    let json = outputs.written.split_off(body);
                    encoder.message(&encoding.descriptor, &json, object(0, json.len()), &mut outputs.written);
                }
                left
            }
            Output::Message { row, .. } => {
                let State { memory, rows, outputs, .. } = &mut self.state;
                let mut evaluation = Evaluation { program: self.program, event: event.values, memory };
                let mut pen = Pen::new(&mut outputs.written);
                pen.leave(room);
                let left = evaluation.message_row(*row, rows, &mut pen);
                pen.finish();
                left?
            }
            Output::Row { .. } | Output::Arrow(_) => LeftOut::default(),
        };
        let outputs = &mut self.state.outputs;
        let mut from = start;
        match begun {
            Some(begun) => begun.finish(&mut outputs.written)?,
            None => from = put_length(&mut outputs.written, body),
        }
        outputs.add_written(rule.dataset, from);
        outputs.end_row(rule.dataset);
        if let Some((start, end)) = whole {
            let Memory { messages, epoch, .. } = &mut self.state.memory;
            messages.wholes.insert(encoding.alike, Known { epoch: *epoch, left, start, end });
        }
        Ok(left)
    }

    /// Passes the event on as it is.
    fn pass_message(
        &mut self,
        rule: &LinkedRule,
        event: &Event,
        bytes: &[u8],
        in_batch: Option<(usize, usize)>,
        start: usize,
    ) -> Result<LeftOut, Stop> {
        let outputs = &mut self.state.outputs;
        if let Some(header) = event.header {
            let begun = RecordRef { rule: &rule.name, ..*header }.begin(&mut outputs.written)?;
            begun.finish_without(&mut outputs.written, bytes.len())?;
        } else if in_batch.is_none() {
            write_varint(bytes.len() as u64, &mut outputs.written);
            outputs.written.extend_from_slice(bytes);
        }
        if outputs.written.len() > start {
            outputs.add_written(rule.dataset, start);
        }
        if let Some((at, bytes)) = in_batch {
            outputs.add_of_batch(rule.dataset, at, bytes);
        }
        outputs.end_row(rule.dataset);
        Ok(LeftOut::default())
    }
}

/// Writes the length of what stands from `body` on in front of it; where that begins.
#[inline(always)]
fn put_length(written: &mut [u8], body: usize) -> usize {
    let length = written.len() - body;
    if let Some(before) = body.checked_sub(2)
        && (0x80..0x4000).contains(&length)
    {
        written[before] = length as u8 | 0x80;
        written[before + 1] = (length >> 7) as u8;
        return before;
    }
    put_any_length(written, body, length)
}

#[inline(never)]
fn put_any_length(written: &mut [u8], body: usize, mut rest: usize) -> usize {
    let bytes = (usize::BITS - (rest | 1).leading_zeros()).div_ceil(7) as usize;
    debug_assert!(bytes <= LENGTH_BYTES_MAX);
    let from = body - bytes.min(LENGTH_BYTES_MAX);
    for byte in &mut written[from..body] {
        *byte = (rest & 0x7f) as u8 | 0x80;
        rest >>= 7;
    }
    written[body - 1] &= 0x7f;
    from
}
