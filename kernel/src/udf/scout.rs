//! A batch through the rules that call functions: which calls are asked for, and which events match.

use std::sync::Arc;

use crate::eval::Evaluation;
use crate::op::Op;
use crate::protobuf::decode;
use crate::record::{RecordError, RecordRef};
use crate::run::{Event, Failure, Frame, Pool, Position, Run, State};
use crate::udf::ask::{Answers, Ask, Asked};
use crate::udf::link::UdfRule;
use crate::udf::{Udfs, pack};
use crate::value::Value;

/// Where the events of a batch stand.
#[derive(Clone, Copy)]
pub enum Source<'b> {
    Lines(&'b [u8]),
    Items(&'b [&'b [u8]]),
    Records(&'b [u8]),
}

impl<'b> Source<'b> {
    fn positions(self, messages: bool) -> Result<Vec<Position>, RecordError> {
        let mut found = Vec::new();
        match self {
            Source::Lines(batch) if messages => {
                let mut at = 0;
                // What is left where there is no whole message is refused when the batch runs.
                while let Ok(Some((start, end))) = decode::length(&batch[at..]) {
                    found.push(Position { index: found.len(), start: at + start, end: at + end });
                    at += end;
                }
            }
            Source::Lines(batch) => {
                let mut start = 0;
                for (index, end) in memchr::memchr_iter(b'\n', batch).chain(std::iter::once(batch.len())).enumerate() {
                    found.push(Position { index, start, end });
                    start = end + 1;
                }
            }
            Source::Items(items) => {
                found.extend(items.iter().enumerate().map(|(index, item)| Position { index, start: 0, end: item.len() }));
            }
            Source::Records(batch) => {
                let mut at = 0;
                while at < batch.len() {
                    let (record, end) = RecordRef::parse(batch, at)?;
                    found.push(Position { index: found.len(), start: end - record.payload.len(), end });
                    at = end;
                }
            }
        }
        Ok(found)
    }

    fn text(self, index: usize) -> &'b [u8] {
        match self {
            Source::Lines(batch) | Source::Records(batch) => batch,
            Source::Items(items) => items[index],
        }
    }
}

/// The calls of one function that are asked for at the same time.
pub struct Request {
    function: u32,
    calls: Vec<(u32, u32)>,
    pub columns: Vec<u8>,
}

impl Request {
    /// How many calls it is of.
    pub fn rows(&self) -> usize {
        self.calls.len()
    }
}

/// Finds out round by round which calls a batch asks for.
pub struct Scouting<'p> {
    udfs: &'p Udfs,
    pool: &'p Pool,
    /// The events to look at in the next round.
    waiting: Vec<Position>,
    answers: Box<Answers>,
}

impl<'p> Scouting<'p> {
    pub fn new(udfs: &'p Udfs, pool: &'p Pool, source: Source) -> Result<Self, RecordError> {
        let messages = udfs.scout.as_ref().is_some_and(|scout| scout.input.is_some());
        Ok(Scouting { udfs, pool, waiting: source.positions(messages)?, answers: Box::default() })
    }

    /// What is asked for next: a request for each function that is; none where all calls are answered.
    pub fn round(&mut self, source: Source) -> Vec<Request> {
        let Some(scout) = &self.udfs.scout else { return Vec::new() };
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let mut run = Run::new(scout, self.pool);
        let answers = std::mem::take(&mut self.answers);
        let asked = Some(vec![Asked::default(); self.udfs.functions.len()]);
        run.state.memory.udf = Some(Box::new(Answers { asked, ..*answers }));
        let waiting = std::mem::take(&mut self.waiting);
        for position in waiting {
            let before = run.waiting;
            run.event(position, source.text(position.index), Frame::Item);
            if run.waiting > before {
                self.waiting.push(position);
            }
        }
        self.answers = run.state.memory.udf.take().unwrap_or_default();
        self.pool.give_outputs(run.finish().outputs);
        let asked =
            self.answers.asked.take().unwrap_or_default().into_iter().zip(0..).filter(|(asked, _)| !asked.calls.is_empty());
        let request = |(asked, function): (Asked, u32)| Request { function, columns: pack::columns(&asked), calls: asked.calls };
        asked.map(request).collect()
    }

    pub fn name(&self, request: &Request) -> &'p str {
        &self.udfs.functions[request.function as usize]
    }

    /// Takes in what the calls of a request gave.
    pub fn answer(&mut self, request: &Request, answer: &[u8]) {
        let given = Arc::make_mut(&mut self.answers.given);
        let result = request.calls.first().map(|(_, call)| &self.udfs.calls[*call as usize].result);
        if let Some(result) = result {
            pack::take(answer, self.udfs.functions[request.function as usize].as_str(), &request.calls, result, given);
        }
    }

    pub fn finish(self) -> Box<Answers> {
        self.answers
    }
}

impl Run<'_> {
    /// With what calls of Python functions give.
    pub fn given(mut self, answers: Option<Box<Answers>>) -> Self {
        self.state.memory.udf = answers;
        self
    }

    /// Whether a rule whose conditions without calls hold matches. While it is found out which calls are asked for, none does.
    #[cold]
    #[inline(never)]
    pub fn holds(&mut self, number: u32, event: &Event) -> bool {
        let Some(rule) = self.program.udfs.as_deref().and_then(|udfs| udfs.rules[number as usize].as_ref()) else { return true };
        let Some(answers) = &mut self.state.memory.udf else { return false };
        answers.event = event.position.index as u32;
        if answers.asked.is_some() {
            self.scout(rule, event);
            return false;
        }
        rule.filter.is_none_or(|filter| self.is_true(filter, number, event))
    }

    fn scout(&mut self, rule: &UdfRule, event: &Event) {
        let mut evaluation = Evaluation { program: self.program, event: event.values, memory: &mut self.state.memory };
        let found = match rule.filter {
            Some(filter) => match evaluation.ask(filter) {
                Ask::Ready if evaluation.value(filter) == Value::Boolean(true) => evaluation.ask_all(&rule.columns),
                Ask::Ready => return,
                other => other,
            },
            None => evaluation.ask_all(&rule.columns),
        };
        self.waiting += (found == Ask::Waiting && !rule.at_once) as u64;
    }

    /// Whether what of a rule's WHERE calls functions is TRUE.
    fn is_true(&mut self, filter: u32, number: u32, event: &Event) -> bool {
        let State { memory, counts, .. } = &mut self.state;
        let mut evaluation = Evaluation { program: self.program, event: event.values, memory };
        if let Ask::Failed(reason) = evaluation.ask(filter) {
            counts.rule(number).failed += 1;
            let failure = Failure { position: event.position, rule: number, column: u32::MAX, op: Op::Udf };
            self.batch.failures.push(failure);
            self.say(Some(reason));
            return false;
        }
        match evaluation.value(filter) {
            Value::Boolean(true) => return true,
            Value::Failed => counts.rule(number).where_errors += 1,
            _ => {}
        }
        false
    }

    /// Says of the failure that was noted last why the call in this column failed.
    #[cold]
    pub fn note_reason(&mut self, number: u32, column: u32, event: &Event) {
        let program = self.program;
        let rule = program.udfs.as_deref().and_then(|udfs| udfs.rules[number as usize].as_ref());
        let Some(node) = rule.and_then(|rule| rule.columns.get(column as usize)) else { return };
        let mut evaluation = Evaluation { program, event: event.values, memory: &mut self.state.memory };
        let found = evaluation.ask(*node);
        self.say(if let Ask::Failed(reason) = found { Some(reason) } else { None });
    }

    fn say(&mut self, reason: Option<u32>) {
        let given = self.state.memory.udf.as_deref().map(|answers| &answers.given);
        let known = given.and_then(|given| given.reasons.get(reason? as usize).cloned());
        let reason = known.unwrap_or_else(|| "udf: too_large: what it gave does not fit".to_owned());
        self.batch.reasons.push((self.batch.failures.len() - 1, reason));
    }
}
