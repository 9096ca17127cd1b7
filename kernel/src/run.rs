//! A batch through a program.

use std::sync::{Arc, Mutex};

use crate::arrow;
use crate::condition;
use crate::counts::{Counts, FieldCounts, RuleCounts, SAMPLED_ONE_IN, Times, Watch};
use crate::eval::Memory;
use crate::json::{Malformed, Span};
use crate::link::Program;
use crate::op::Op;
use crate::outputs::Outputs;
use crate::protobuf::run::run_messages;
use crate::read::read_all;
use crate::record::{RecordError, RecordRef};
use crate::row;
use crate::scan::{self, Scan, Scanned};
use crate::slots::Tag;
use crate::star::Collapser;
use crate::structure::Padded;
use crate::value::Value;

/// Events longer than this are rejected: offsets inside them have 32 bits.
pub const EVENT_BYTES_MAX: usize = u32::MAX as usize - 1;
const REASON_NOT_AN_OBJECT: &str = "not_an_object";
pub const REASON_TOO_LONG: &str = "too_long";

/// Where an event stands: its line or record, and its range in the batch or item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub index: usize,
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    pub position: Position,
    pub reason: &'static str,
    pub offset: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub position: Position,
    pub rule: u32,
    /// The number of the column among those of the rule that are not constant.
    pub column: u32,
    pub op: Op,
}

/// What a batch gave.
#[derive(Debug, Default)]
pub struct Batch {
    pub events: u64,
    pub outputs: Outputs,
    pub rules: Vec<(u32, RuleCounts)>,
    /// By group of the index: for how many events its rules were looked at.
    pub groups: Vec<(u32, u32)>,
    pub times: Times,
    pub fields: Vec<(u32, FieldCounts)>,
    /// For how many events it was looked at whether fields are there.
    pub sampled: u64,
    pub rejects: Vec<Reject>,
    pub failures: Vec<Failure>,
    /// By place in `failures`: why a Python function failed.
    pub reasons: Vec<(usize, String)>,
    /// By table with rows: these.
    pub arrow: Vec<(u32, Arc<arrow::Rows>)>,
}

/// Memory for running, kept from batch to batch.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<State>>,
    /// Of batches that were handed over.
    outputs: Mutex<Vec<Outputs>>,
}

/// States kept for threads that run at once; further ones are made when needed.
const IDLE_STATES_MAX: usize = 16;

impl Pool {
    fn take(&self) -> State {
        self.idle.lock().map(|mut idle| idle.pop()).ok().flatten().unwrap_or_default()
    }

    fn give(&self, state: State) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE_STATES_MAX
        {
            idle.push(state);
        }
    }

    /// Takes back the outputs of a batch that nobody needs any more.
    pub fn give_outputs(&self, mut outputs: Outputs) {
        outputs.begin(0);
        if let Ok(mut idle) = self.outputs.lock()
            && idle.len() < IDLE_STATES_MAX
        {
            idle.push(outputs);
        }
    }
}

#[derive(Default)]
pub struct State {
    /// The program that all of it is of; 0 for none.
    program: u64,
    pub memory: Memory,
    pub scan: Scan,
    pub collapser: Collapser,
    /// The ranges to leave out of the event for `*`, and the epoch that they are of.
    pub cuts: (Vec<(usize, usize)>, u32),
    /// By operand of the index: its value, if it was found out for this event.
    pub operands: Vec<condition::Known>,
    pub groups: Vec<u32>,
    pub matched: Vec<u32>,
    pub fields: Vec<FieldCounts>,
    pub counts: Counts,
    pub outputs: Outputs,
    /// By table.
    pub arrow: Vec<arrow::Rows>,
    /// The columns of a row.
    pub values: Vec<Value>,
    /// By piece of rows: where it stands, if it was written for this event.
    pub rows: Vec<row::Known>,
    /// The event with its line ends replaced by spaces.
    pub one_line: Vec<u8>,
    /// A copy of an event that ends where nothing may be read behind it.
    pub padded: Vec<u8>,
    /// The event as JSON where it is a message.
    pub decoded: Vec<u8>,
    /// The event where it is a message, and behind it what is read of it as JSON.
    pub scratch: Vec<u8>,
}

/// NDJSON: blank lines are passed over but numbered. Messages, where these are the program's input.
pub fn run_lines(program: &Program, pool: &Pool, batch: &[u8]) -> Batch {
    lines(Run::new(program, pool), batch)
}

pub fn lines(mut run: Run, batch: &[u8]) -> Batch {
    if run.program.input.is_some() {
        return run_messages(run, batch);
    }
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', batch).chain(std::iter::once(batch.len()));
    for (index, end) in ends.enumerate() {
        run.event(Position { index, start, end }, batch, Frame::Line { ended: end < batch.len() });
        start = end + 1;
    }
    run.finish()
}

/// As `run_lines`, with every event timed.
pub fn profile_lines(program: &Program, pool: &Pool, batch: &[u8]) -> Batch {
    lines(Run::new(program, pool).timing_all(), batch)
}

/// One event an item.
pub fn run_items(program: &Program, pool: &Pool, list: &[&[u8]]) -> Batch {
    items(Run::new(program, pool), list)
}

pub fn items(mut run: Run, list: &[&[u8]]) -> Batch {
    for (index, item) in list.iter().enumerate() {
        run.event(Position { index, start: 0, end: item.len() }, item, Frame::Item);
    }
    run.finish()
}

/// Where a batch of records comes from: the origin of records that are their own.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub first_offset: u64,
    pub snapshot: u32,
}

/// A batch of records; outputs are batches of records.
pub fn run_records(program: &Program, pool: &Pool, batch: &[u8], origin: Origin) -> Result<Batch, RecordError> {
    records(Run::new(program, pool), batch, origin)
}

pub fn records(mut run: Run, batch: &[u8], origin: Origin) -> Result<Batch, RecordError> {
    let mut at = 0;
    let mut index = 0;
    while at < batch.len() {
        let (mut record, end) = RecordRef::parse(batch, at)?;
        if record.origin_topic.is_empty() {
            record.origin_topic = origin.topic;
            record.origin_partition = origin.partition;
            record.origin_offset = origin.first_offset.wrapping_add(index as u64);
        }
        record.snapshot = origin.snapshot;
        let payload = record.payload;
        run.event(Position { index, start: end - payload.len(), end }, batch, Frame::Record(&record));
        at = end;
        index += 1;
    }
    match run.error.take() {
        Some(error) => Err(error),
        None => Ok(run.finish()),
    }
}

/// A batch on its way through a program.
pub struct Run<'p> {
    pub program: &'p Program,
    pub pool: &'p Pool,
    pub state: State,
    pub batch: Batch,
    pub error: Option<RecordError>,
    /// How many rules wait for answers of Python functions, while it is found out which are asked for.
    pub waiting: u64,
    /// Well-formed events so far, and how many of them the clock was told of.
    applied: u64,
    told: u64,
    /// Every event is timed.
    time_all: bool,
}

/// What an event stands in.
#[derive(Clone, Copy)]
pub enum Frame<'e> {
    /// `ended` by a line feed.
    Line {
        ended: bool,
    },
    /// Behind its length, which begins here in the batch.
    Delimited {
        from: usize,
    },
    Item,
    Record(&'e RecordRef<'e>),
}

/// One event that was found to be well-formed.
#[derive(Clone, Copy)]
pub struct Event<'e> {
    pub position: Position,
    pub text: &'e [u8],
    /// What the values of the event point into: its text, unless it is a message.
    pub values: &'e [u8],
    pub span: Span,
    pub header: Option<&'e RecordRef<'e>>,
    /// Where in the batch it stands as it is passed on whole (with its line feed, if lines are written), and how many bytes.
    pub whole: Option<(usize, usize)>,
    /// The event itself, where it is a message.
    pub message: Option<Whole<'e>>,
}

/// A message that is an event.
#[derive(Clone, Copy)]
pub struct Whole<'e> {
    pub bytes: &'e [u8],
    /// Where in the batch it stands as it is passed on (behind its length, unless it is a record's), and how many bytes.
    pub in_batch: Option<(usize, usize)>,
}

impl<'p> Run<'p> {
    pub fn new(program: &'p Program, pool: &'p Pool) -> Self {
        let mut state = pool.take();
        if state.program != program.id() {
            state = State { program: program.id(), ..State::default() };
        }
        state.fields.resize(program.paths.len(), FieldCounts::default());
        state.counts.begin(program.rules.len(), program.index.groups.len());
        state.rows.resize(program.rows.pieces() + program.messages.known(), row::Known::default());
        state.outputs = pool.outputs.lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
        state.outputs.begin(program.datasets.len());
        let tables = program.tables.iter().skip(state.arrow.len());
        state.arrow.extend(tables.map(|table| arrow::Rows::new(table, None)));
        state.operands.resize(program.index.blocks.operands.len(), condition::Known::default());
        Run { program, pool, state, batch: Batch::default(), error: None, waiting: 0, applied: 0, told: 0, time_all: false }
    }

    /// The same run, with every event timed.
    pub fn timing_all(self) -> Self {
        Run { time_all: true, ..self }
    }

    pub fn finish(mut self) -> Batch {
        let state = &mut self.state;
        state.memory.udf = None;
        state.counts.ran(self.applied - self.told);
        (self.batch.rules, self.batch.groups) = state.counts.take();
        let counted = state.fields.iter_mut().enumerate().filter(|(_, counts)| **counts != FieldCounts::default());
        self.batch.fields = counted.map(|(path, counts)| (path as u32, std::mem::take(counts))).collect();
        self.batch.outputs = std::mem::take(&mut state.outputs);
        for (number, (rows, table)) in state.arrow.iter_mut().zip(&self.program.tables).enumerate() {
            if rows.count > 0 {
                let next = arrow::Rows::new(table, Some(rows));
                let mut filled = std::mem::replace(rows, next);
                filled.finish();
                self.batch.arrow.push((number as u32, Arc::new(filled)));
            }
        }
        self.pool.give(self.state);
        self.batch
    }

    /// The event at this position of a batch or item.
    pub fn event(&mut self, position: Position, batch: &[u8], frame: Frame) {
        if self.program.input.is_some() {
            return self.message(position, batch, frame);
        }
        let text = &batch[position.start..position.end];
        let white = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        if !matches!(frame, Frame::Record(_)) && text.first().is_none_or(white) && text.iter().all(white) {
            return;
        }
        self.batch.events += 1;
        let (reason, offset) = match self.scan(position, batch) {
            Ok(Scanned::Object(span)) => {
                let (start, bytes) = (position.start + span.start, span.end - span.start);
                let (header, whole) = match frame {
                    Frame::Record(header) => (Some(header), Some((start, bytes))),
                    Frame::Line { ended } => (None, (ended && span.end == text.len()).then_some((start, bytes + 1))),
                    Frame::Item | Frame::Delimited { .. } => (None, None),
                };
                self.begin();
                return self.object(&Event { position, text, values: text, span, header, whole, message: None });
            }
            Ok(Scanned::Other(span)) => (REASON_NOT_AN_OBJECT, span.start),
            Err(Some(Malformed { reason, at })) => (reason.name(), at),
            Err(None) => (REASON_TOO_LONG, EVENT_BYTES_MAX),
        };
        self.batch.rejects.push(Reject { position, reason, offset });
    }

    fn scan(&mut self, position: Position, batch: &[u8]) -> Result<Scanned, Option<Malformed>> {
        if position.end - position.start > EVENT_BYTES_MAX {
            return Err(None);
        }
        let State { scan, padded, memory, .. } = &mut self.state;
        let text = match Padded::within(batch, position.start, position.end) {
            Some(text) => text,
            None => Padded::copied(&batch[position.start..position.end], padded),
        };
        scan::scan(&self.program.trie, text, self.program.dispatch, scan, &mut memory.slots).map_err(Some)
    }

    fn object(&mut self, event: &Event) {
        let range = &event.text[event.span.start..event.span.end];
        if !self.state.scan.white() || memchr::memchr2(b'\n', b'\r', range).is_none() {
            return self.apply(event);
        }
        let mut one_line = std::mem::take(&mut self.state.one_line);
        one_line.clear();
        one_line.extend(event.text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        self.apply(&Event { text: &one_line, values: &one_line, whole: None, ..*event });
        one_line.clear();
        self.state.one_line = one_line;
    }

    /// Makes ready for the next event.
    pub fn begin(&mut self) {
        if self.state.memory.begin(self.program) {
            self.state.cuts.1 = 0;
            self.state.operands.fill(condition::Known::default());
            self.state.rows.fill(row::Known::default());
            self.state.memory.messages.forget();
        }
    }

    /// Runs the rules on an event that is one line.
    pub fn apply(&mut self, event: &Event) {
        self.read(event.text);
        if self.timed(Run::count_present) {
            return self.apply_timed(event);
        }
        self.find::<false>(event.text);
        let mut matched = std::mem::take(&mut self.state.matched);
        matched.sort_unstable();
        let calls = self.program.udfs.is_some();
        for &rule in &matched {
            if calls && !self.holds(rule, event) {
                continue;
            }
            self.output(rule, event);
        }
        matched.clear();
        self.state.matched = matched;
    }

    /// Finds and writes as `apply` does, with a clock.
    #[cold]
    fn apply_timed(&mut self, event: &Event) {
        let before = self.batch.times.lengths();
        self.find::<true>(event.text);
        let mut matched = std::mem::take(&mut self.state.matched);
        matched.sort_unstable();
        let mut watch = Watch::start();
        for &rule in &matched {
            if self.program.udfs.is_none() || self.holds(rule, event) {
                self.output(rule, event);
            }
            self.batch.times.rules.push((rule, watch.lap()));
        }
        matched.clear();
        self.state.matched = matched;
        self.batch.times.end(before);
    }

    /// Takes note of one more well-formed event; `count_present` is called where it is sampled. Whether it is to be timed.
    #[inline(always)]
    pub fn timed(&mut self, count_present: impl FnOnce(&mut Self)) -> bool {
        let mut timed = self.time_all;
        if self.applied.is_multiple_of(SAMPLED_ONE_IN) {
            count_present(self);
            self.batch.sampled += 1;
            timed |= self.state.counts.time_next(self.applied - self.told);
            self.told = self.applied;
        }
        self.applied += 1;
        timed
    }

    /// Counts which paths have values.
    #[cold]
    fn count_present(&mut self) {
        let State { memory, fields, .. } = &mut self.state;
        for (node, counts) in self.program.nodes_of.iter().zip(fields) {
            counts.present += memory.slots.get(*node).is_some_and(|slot| slot.tag != Tag::Null) as u64;
        }
    }

    /// Reads the fields whose values are not simply taken as they are, and counts.
    fn read(&mut self, text: &[u8]) {
        let State { memory, fields, .. } = &mut self.state;
        let program = self.program;
        let mut unusual = std::mem::take(&mut memory.slots.unusual);
        if unusual.len() > 1 {
            // Where keys are repeated, a node may stand here twice, or no longer be there.
            unusual.sort_unstable();
            unusual.dedup();
        }
        for &node in &unusual {
            let Some(slot) = memory.slots.get(node) else { continue };
            read_all(program, &program.readings_of[node as usize], slot.span(), text, memory, fields);
        }
        memory.slots.unusual = unusual;
    }
}
