//! Evaluation for one event: every node at most once, and only when it is asked for.

use std::cmp::Ordering;

use crate::functions::number;
use crate::json;
use crate::link::{Call, Node, Program, Set};
use crate::op::Op;
use crate::protobuf::run::Walked;
use crate::read::{Flags, Reader, Shape};
use crate::slots::{Slot, Slots, Tag};
use crate::udf::Answers;
use crate::value::{Packed, Place, Text, Texts, Value};

/// What is kept while events run: made once for a batch, and valid for one event where an epoch says so.
#[derive(Default)]
pub struct Memory {
    /// The program that it is of; 0 for none.
    program: u64,
    pub epoch: u32,
    /// Where the values of this event stand.
    pub slots: Slots,
    /// The values that were read, valid where the epoch is the event's.
    pub readings: Vec<(Packed, u32)>,
    nodes: Vec<Memo>,
    /// Texts made for this event.
    pub made: Vec<u8>,
    pub spare: Vec<u8>,
    /// The items of lists made for this event.
    pub items: Vec<Value>,
    /// By pattern: what matching needs.
    pub patterns: Vec<Option<Box<regex_automata::meta::Cache>>>,
    pub members: Vec<(u32, crate::json::Span)>,
    /// What is kept of messages.
    pub messages: Walked,
    /// The operation that failed first since this was last cleared.
    pub failed: Option<Op>,
    /// What Python functions gave, where any is called.
    pub udf: Option<Box<Answers>>,
}

#[derive(Clone, Copy)]
struct Memo {
    value: Packed,
    epoch: u32,
    failed: Option<Op>,
}

/// Texts made for one event take no more than this; an operation that would make more fails.
pub const MADE_BYTES_MAX: usize = 1 << 30;
/// Memory beyond this is given back after an event that needed it.
const KEPT_BYTES_MAX: usize = 16 << 20;

impl Memory {
    /// Makes ready for the next event. True if epochs begin anew.
    pub fn begin(&mut self, program: &Program) -> bool {
        let anew = self.program != program.id() || self.epoch == u32::MAX;
        if anew {
            self.patterns = program.regexps.iter().map(|_| None).collect();
            self.nodes = vec![Memo { value: Packed::default(), epoch: 0, failed: None }; program.nodes.len()];
            // The last one is for values that nobody reads.
            self.readings = vec![(Packed::default(), 0); program.readings.len() + 1];
            self.program = program.id();
            self.epoch = 0;
        }
        self.epoch += 1;
        for text in [&mut self.made, &mut self.spare] {
            text.clear();
            if text.capacity() > KEPT_BYTES_MAX {
                text.shrink_to(KEPT_BYTES_MAX);
            }
        }
        self.items.clear();
        if self.items.capacity() > KEPT_BYTES_MAX / size_of::<Value>() {
            self.items.shrink_to(KEPT_BYTES_MAX / size_of::<Value>());
        }
        anew
    }

    /// Keeps the value of a reading for this event.
    #[inline(always)]
    pub fn keep_reading(&mut self, number: u32, value: Value) {
        self.readings[number as usize] = (Packed::of(value), self.epoch);
    }
}

/// The value of a slot whose tag the reading takes as it is.
#[inline(always)]
fn plain_value(slot: Slot, number: u32, shape: &Shape, event: &[u8], made: &mut Vec<u8>) -> Value {
    let Slot { start, end, tag, .. } = slot;
    let raw = &event[start as usize..end as usize];
    match (shape, tag) {
        (_, Tag::Null) => Value::Null,
        (Shape::Varchar, Tag::Text) => Value::Text(Text { place: Place::Event, start: start + 1, end: end - 1 }),
        (Shape::Varchar, _) => {
            let first = made.len() as u32;
            json::unescape(raw, made);
            Value::Text(Text { place: Place::Made, start: first, end: made.len() as u32 })
        }
        (Shape::BigInt, _) => number::json_integer(raw).map_or(Value::Null, Value::Integer),
        (Shape::Double, _) => Value::Number { start, end },
        (Shape::Boolean, _) => Value::Boolean(tag == Tag::True),
        (Shape::Json | Shape::Timestamp, _) => Value::Json { start, end },
        (Shape::List { .. } | Shape::Struct(_), _) => Value::Nested { start, end, shape: number, plain: true },
    }
}

/// Evaluates the nodes of a program for one event.
pub struct Evaluation<'a> {
    pub program: &'a Program,
    pub event: &'a [u8],
    pub memory: &'a mut Memory,
}

impl<'a> Evaluation<'a> {
    #[inline(always)]
    pub fn texts(&self) -> Texts<'_> {
        Texts { event: self.event, made: &self.memory.made, program: &self.program.texts }
    }

    pub fn reader(&mut self) -> Reader<'_> {
        Reader {
            shapes: &self.program.shapes,
            event: self.event,
            made: &mut self.memory.made,
            flags: Flags::default(),
            members: &mut self.memory.members,
        }
    }

    /// The value of a field as a type. The only way that one is got.
    #[inline(always)]
    pub fn reading(&mut self, number: u32) -> Value {
        let (value, epoch) = self.memory.readings[number as usize];
        if epoch == self.memory.epoch { value.value() } else { self.first_reading(number) }
    }

    /// Converts a value that the scan found to be of its type.
    fn first_reading(&mut self, number: u32) -> Value {
        let (node, shape) = self.program.readings[number as usize];
        let value = match self.memory.slots.get(node) {
            Some(slot) => {
                let memory = &mut *self.memory;
                plain_value(slot, shape, &self.program.shapes.list[shape as usize], self.event, &mut memory.made)
            }
            None => Value::Null,
        };
        self.memory.keep_reading(number, value);
        value
    }

    #[inline]
    pub fn value(&mut self, node: u32) -> Value {
        match &self.program.nodes[node as usize] {
            Node::Constant(value) => *value,
            Node::Reading(number) => self.reading(*number),
            Node::Call(call) => {
                let memo = &self.memory.nodes[node as usize];
                if memo.epoch == self.memory.epoch {
                    let (value, failed) = (memo.value.value(), memo.failed);
                    self.memory.failed = self.memory.failed.or(failed);
                    return value;
                }
                self.evaluate(node, call)
            }
        }
    }

    fn evaluate(&mut self, node: u32, call: &'a Call) -> Value {
        let before = self.memory.failed.take();
        let value = self.call(call);
        let failed = self.memory.failed;
        self.memory.nodes[node as usize] = Memo { value: Packed::of(value), epoch: self.memory.epoch, failed };
        self.memory.failed = before.or(failed);
        value
    }

    #[inline(always)]
    fn arguments(&self, call: &Call) -> &'a [u32] {
        &self.program.arguments[call.first as usize..(call.first + call.count) as usize]
    }

    fn call(&mut self, call: &'a Call) -> Value {
        let arguments = self.arguments(call);
        match call.op {
            Op::And => self.connective(arguments, false),
            Op::Or => self.connective(arguments, true),
            Op::Case => self.case(arguments),
            Op::Coalesce => self.coalesce(arguments),
            Op::Nullif => {
                let (first, second) = (self.value(arguments[0]), self.value(arguments[1]));
                let same = !first.is_null() && !second.is_null() && self.texts().equal(first, second);
                if same { Value::Null } else { first }
            }
            Op::Distinct | Op::NotDistinct => {
                let (first, second) = (self.value(arguments[0]), self.value(arguments[1]));
                let differs = match (first.is_null(), second.is_null()) {
                    (false, false) => !self.texts().equal(first, second),
                    (first, second) => first != second,
                };
                Value::Boolean(differs == (call.op == Op::Distinct))
            }
            Op::IsNull => Value::Boolean(self.value(arguments[0]).is_null()),
            Op::IsNotNull => Value::Boolean(!self.value(arguments[0]).is_null()),
            Op::In => self.is_in(call, arguments),
            Op::Concat => self.concat(arguments),
            Op::MakeTimestamp if arguments.len() > 1 => self.make_timestamp(arguments),
            Op::Greatest => self.extreme(arguments, Ordering::Greater),
            Op::Least => self.extreme(arguments, Ordering::Less),
            Op::Udf => self.udf(call, arguments),
            _ => self.strict(call, arguments),
        }
    }

    /// `and`, `or`: the deciding value ends it; NULL is failed where any operand that is NULL had failed.
    fn connective(&mut self, arguments: &[u32], deciding: bool) -> Value {
        let mut result = Value::Boolean(!deciding);
        for argument in arguments {
            match self.value(*argument) {
                Value::Boolean(value) if value == deciding => return Value::Boolean(deciding),
                Value::Failed => result = Value::Failed,
                Value::Null if result != Value::Failed => result = Value::Null,
                _ => {}
            }
        }
        result
    }

    fn case(&mut self, arguments: &[u32]) -> Value {
        let Some((other, branches)) = arguments.split_last() else { return Value::Null };
        for [condition, value] in branches.as_chunks::<2>().0 {
            if self.value(*condition) == Value::Boolean(true) {
                return self.value(*value);
            }
        }
        self.value(*other)
    }

    fn coalesce(&mut self, arguments: &[u32]) -> Value {
        let mut result = Value::Null;
        for argument in arguments {
            match self.value(*argument) {
                Value::Null => {}
                Value::Failed => result = Value::Failed,
                value => return value,
            }
        }
        result
    }

    /// `greatest`, `least`: NULL is passed over; of equal values the first.
    fn extreme(&mut self, arguments: &[u32], better: Ordering) -> Value {
        let mut result = Value::Null;
        for argument in arguments {
            let value = self.value(*argument);
            if match (value, result) {
                (Value::Null, _) => false,
                (Value::Failed, _) => result == Value::Null,
                (_, Value::Null | Value::Failed) => true,
                _ => self.texts().order(value, result) == better,
            } {
                result = value;
            }
        }
        result
    }

    fn is_in(&mut self, call: &Call, arguments: &[u32]) -> Value {
        let value = self.value(arguments[0]);
        if value.is_null() {
            return value;
        }
        let texts = self.texts();
        let found = match (&self.program.sets[call.extra as usize], value) {
            (Set::Texts(set), _) => set.find(texts.bytes(value)).is_some(),
            (Set::Integers(set), Value::Integer(integer)) => set.binary_search(&integer).is_ok(),
            (Set::Integers(_), _) => false,
            (Set::Values(set), _) => set.iter().any(|literal| texts.equal(value, *literal)),
        };
        Value::Boolean(found)
    }

    fn concat(&mut self, arguments: &[u32]) -> Value {
        let mut null = None;
        for argument in arguments {
            match self.value(*argument) {
                Value::Failed => null = Some(Value::Failed),
                Value::Null => null = null.or(Some(Value::Null)),
                _ => {}
            }
        }
        if let Some(null) = null {
            return null;
        }
        let mut spare = std::mem::take(&mut self.memory.spare);
        spare.clear();
        for argument in arguments {
            let value = self.value(*argument);
            if spare.len() < MADE_BYTES_MAX {
                spare.extend_from_slice(self.texts().bytes(value));
            }
        }
        self.keep(Op::Concat, spare)
    }

    fn strict(&mut self, call: &Call, arguments: &[u32]) -> Value {
        let mut values = [Value::Null; 3];
        let mut null = None;
        for (slot, argument) in values.iter_mut().zip(arguments) {
            *slot = self.value(*argument);
            match slot {
                Value::Failed => null = Some(Value::Failed),
                Value::Null => null = null.or(Some(Value::Null)),
                _ => {}
            }
        }
        match null {
            Some(null) => null,
            None => self.operate(call, values),
        }
    }

    /// The operation has no result for these arguments.
    pub fn fail(&mut self, op: Op) -> Value {
        if op == Op::TryCast {
            return Value::Null;
        }
        self.memory.failed = self.memory.failed.or(Some(op));
        Value::Failed
    }

    /// A text made of other texts. `bytes` is what it will take at most.
    pub fn make(&mut self, op: Op, bytes: usize, write: impl FnOnce(Texts, &mut Vec<u8>)) -> Value {
        if bytes > MADE_BYTES_MAX {
            return self.fail(op);
        }
        let mut spare = std::mem::take(&mut self.memory.spare);
        spare.clear();
        write(self.texts(), &mut spare);
        self.keep(op, spare)
    }

    /// Keeps a text that was written into `spare`, which goes back to its place.
    pub fn keep(&mut self, op: Op, text: Vec<u8>) -> Value {
        let start = self.memory.made.len();
        let fits = start + text.len() <= MADE_BYTES_MAX;
        if fits {
            self.memory.made.extend_from_slice(&text);
        }
        self.memory.spare = text;
        if !fits {
            return self.fail(op);
        }
        Value::Text(Text { place: Place::Made, start: start as u32, end: self.memory.made.len() as u32 })
    }
}
