//! Events that are messages, through a program.

use hashbrown::HashMap;

use super::decode;
use super::encode::Encoder;
use super::input::Input;
use super::walk::{Around, Found, Walk};
use super::wire::{self, CUT_OFF, Malformed};
use crate::counts::Watch;
use crate::json::{self, Kind, Span};
use crate::read::read_all;
use crate::row::Known;
use crate::run::{Batch, EVENT_BYTES_MAX, Event, Frame, Position, REASON_TOO_LONG, Reject, Run, State, Whole};
use crate::scan::{self, Scanned};
use crate::structure::Padded;
use crate::value::Value;

/// What is kept while messages run.
#[derive(Debug, Default)]
pub struct Walked {
    /// By field that is held: where it stands.
    pub found: Vec<Found>,
    /// What walking needs.
    around: Around,
    /// The event that runs was walked; else it was read by way of JSON.
    pub walked: bool,
    pub encoder: Encoder,
    /// By the first dataset of those that have messages alike: where the whole event stands, encoded.
    pub wholes: HashMap<u32, Known>,
    /// What is to be encoded.
    pub json: Vec<u8>,
}

impl Walked {
    /// Epochs begin anew.
    pub fn forget(&mut self) {
        self.found.clear();
        self.wholes.clear();
    }
}

/// Longer events are read by way of JSON, which is careful with offsets.
const WALKED_BYTES_MAX: usize = 16 << 20;
/// So much behind an event may be looked at where texts are copied.
const BEHIND: usize = 64;

/// Messages, each behind its length. What is left of a last one that is not whole is one reject.
pub fn run_messages(mut run: Run, batch: &[u8]) -> Batch {
    let mut at = 0;
    let mut index = 0;
    while at < batch.len() {
        let (reason, offset) = match decode::length(&batch[at..]) {
            Ok(Some((start, end))) => {
                let (start, end) = (at + start, at + end);
                run.message(Position { index, start, end }, batch, Frame::Delimited { from: at });
                (at, index) = (end, index + 1);
                continue;
            }
            Ok(None) => (CUT_OFF, batch.len() - at),
            Err(Malformed { reason, at }) => (reason, at),
        };
        run.batch.events += 1;
        run.batch.rejects.push(Reject { position: Position { index, start: at, end: batch.len() }, reason, offset });
        break;
    }
    run.finish()
}

impl Run<'_> {
    /// The event at this position of a batch or item.
    pub fn message(&mut self, position: Position, batch: &[u8], frame: Frame) {
        let Some(input) = &self.program.input else { return };
        self.batch.events += 1;
        let bytes = &batch[position.start..position.end];
        if bytes.len() > EVENT_BYTES_MAX {
            return self.batch.rejects.push(Reject { position, reason: REASON_TOO_LONG, offset: EVENT_BYTES_MAX });
        }
        let header = if let Frame::Record(header) = frame { Some(header) } else { None };
        let in_batch = match frame {
            Frame::Delimited { from } => Some((from, position.end - from)),
            Frame::Record(_) => Some((position.start, bytes.len())),
            _ => None,
        };
        let span = Span { start: 0, end: 0, kind: Kind::Object };
        let whole = Some(Whole { bytes, in_batch });
        let event = Event { position, text: bytes, values: bytes, span, header, whole: None, message: whole };
        self.begin();
        if bytes.len() > WALKED_BYTES_MAX || !self.walk(input, position, batch) {
            return self.message_as_json(input, event);
        }
        let behind = batch.len().min(position.end + BEHIND);
        self.state.memory.messages.walked = true;
        self.walked(input, Event { values: &batch[position.start..behind], ..event });
        self.state.memory.messages.walked = false;
    }

    fn walk(&mut self, input: &Input, Position { start, end, .. }: Position, batch: &[u8]) -> bool {
        let State { memory, padded, .. } = &mut self.state;
        let event = match Padded::within(batch, start, end) {
            Some(event) => event,
            None => Padded::copied(&batch[start..end], padded),
        };
        let Walked { found, around, .. } = &mut memory.messages;
        if found.len() < input.held.len() {
            found.resize(input.held.len(), Found::default());
        }
        let (epoch, readings) = (memory.epoch, &mut memory.readings[..]);
        Walk { input, event, epoch, readings, found, around }.event(self.program.dispatch).is_some()
    }

    /// Reads a message by way of JSON, which tells what is no message.
    #[cold]
    #[inline(never)]
    fn message_as_json(&mut self, input: &Input, event: Event) {
        let mut decoded = std::mem::take(&mut self.state.decoded);
        decoded.clear();
        let refused = match input.descriptor.decode(event.text, &mut decoded) {
            Ok(()) if decoded.len() > EVENT_BYTES_MAX => Some((REASON_TOO_LONG, EVENT_BYTES_MAX)),
            Ok(()) => None,
            Err(Malformed { reason, at }) => Some((reason, at)),
        };
        if let Some((reason, offset)) = refused {
            self.batch.rejects.push(Reject { position: event.position, reason, offset });
        } else {
            // What the walk left is forgotten.
            self.begin();
            let State { scan, padded, memory, .. } = &mut self.state;
            let text = Padded::copied(&decoded, padded);
            // What was decoded is an object.
            if let Ok(Scanned::Object(span)) =
                scan::scan(&self.program.trie, text, self.program.dispatch, scan, &mut memory.slots)
            {
                self.apply(&Event { text: &decoded, values: &decoded, span, ..event });
            }
        }
        decoded.clear();
        decoded.shrink_to(KEPT_BYTES_MAX);
        self.state.decoded = decoded;
    }

    /// Runs the rules on a message that was walked.
    fn walked(&mut self, input: &Input, event: Event) {
        scan::begin(&self.program.trie, &mut self.state.scan, &mut self.state.memory.slots);
        let mut scratch = std::mem::take(&mut self.state.scratch);
        scratch.clear();
        for held in &input.eager {
            self.read_held(input, *held, event.text, &mut scratch);
        }
        let timed = self.timed(|run| run.count_present_in_message(input, event.text, &mut scratch));
        let before = self.batch.times.lengths();
        let values = if scratch.is_empty() { event.values } else { &scratch };
        if timed {
            self.find::<true>(values)
        } else {
            self.find::<false>(values)
        }
        let mut watch = timed.then(Watch::start);
        let mut matched = std::mem::take(&mut self.state.matched);
        matched.sort_unstable();
        let mut decoded = std::mem::take(&mut self.state.decoded);
        decoded.clear();
        for &rule in &matched {
            let linked = &self.program.rules[rule as usize];
            for held in &linked.needs {
                self.read_held(input, *held, event.text, &mut scratch);
            }
            let values = if scratch.is_empty() { event.values } else { &scratch };
            let mut event = Event { values, ..event };
            if self.program.udfs.is_some() && !self.holds(rule, &event) {
                continue;
            }
            if linked.output.takes_event() && !linked.passes_whole {
                if decoded.is_empty() {
                    // It was walked, so it is a message.
                    let _ = input.descriptor.decode(event.text, &mut decoded);
                }
                event = Event { text: &decoded, span: Span { start: 0, end: decoded.len(), kind: Kind::Object }, ..event };
            }
            self.output(rule, &event);
            if let Some(watch) = &mut watch {
                self.batch.times.rules.push((rule, watch.lap()));
            }
        }
        if timed {
            self.batch.times.end(before);
        }
        matched.clear();
        decoded.clear();
        self.state.matched = matched;
        for (kept, mut text) in [(&mut self.state.decoded, decoded), (&mut self.state.scratch, scratch)] {
            text.shrink_to(KEPT_BYTES_MAX);
            *kept = text;
        }
    }

    /// Counts which paths have values. What is held is read for it.
    #[cold]
    fn count_present_in_message(&mut self, input: &Input, event: &[u8], scratch: &mut Vec<u8>) {
        for held in 0..input.held.len() {
            self.read_held(input, held as u32, event, scratch);
        }
        let State { memory, fields, .. } = &mut self.state;
        let mut present = vec![false; fields.len()];
        for (number, reading) in self.program.readings_of.iter().flatten() {
            let (value, epoch) = memory.readings[*number as usize];
            present[reading.path as usize] |= epoch == memory.epoch && value.value() != Value::Null;
        }
        for (held, found) in input.held.iter().zip(&memory.messages.found) {
            let value = found.epoch == memory.epoch && found.value;
            held.readings.iter().for_each(|(_, reading)| present[reading.path as usize] |= value);
        }
        for (counts, present) in fields.iter_mut().zip(present) {
            counts.present += present as u64;
        }
    }

    /// Reads a field that is held, as JSON behind a copy of the event, if the event has it and nobody did so before.
    fn read_held(&mut self, input: &Input, number: u32, event: &[u8], scratch: &mut Vec<u8>) {
        let found = &mut self.state.memory.messages.found[number as usize];
        if found.epoch != self.state.memory.epoch || found.read {
            return;
        }
        found.read = true;
        if scratch.is_empty() {
            scratch.extend_from_slice(event);
        }
        let held = &input.held[number as usize];
        let start = scratch.len();
        let part = (&event[found.start as usize..found.end as usize], 1);
        // It was walked, so it is well-formed; a packed field may be there without an item.
        if !input.descriptor.decode_field(held.number, held.place, part, scratch).unwrap_or(false) {
            return scratch.truncate(start);
        }
        let Ok(span) = json::Cursor::from(scratch, start).value() else { return };
        self.state.memory.messages.found[number as usize].value = span.kind != Kind::Null;
        read_all(self.program, &held.readings, span, scratch, &mut self.state.memory, &mut self.state.fields);
    }
}

/// Memory beyond this is given back after an event that needed it.
const KEPT_BYTES_MAX: usize = wire::DEPTH_MAX << 14;
