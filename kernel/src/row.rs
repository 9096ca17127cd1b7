//! Rows made ready: what a rule writes as a list of steps, the constant text of all of them in one place.

use std::collections::HashMap;
use std::hash::Hash;

use crate::eval::Evaluation;
use crate::link::{Column, Node, Part};
use crate::op::Op;
use crate::pen::Pen;
use crate::project;
use crate::value::{Place, Value};

/// The steps of all rows.
#[derive(Debug, Default)]
pub struct Rows {
    steps: Vec<Step>,
    /// The constant text, and room behind it that is not part of any.
    text: Vec<u8>,
    /// How many leading parts there are that several rows share.
    shared: usize,
}

/// So much follows the last constant text, so that it can be copied in whole steps.
const PADDING: usize = 64;

/// One row: its steps, and the number of the leading part that it shares with others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    first: u32,
    count: u32,
    shared: Option<Shared>,
}

/// The number of a leading part, and how many steps it has, the one that ends it included.
#[derive(Clone, Copy, Debug)]
struct Shared {
    number: u32,
    steps: u32,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    what: What,
    /// Where its text begins: first what is written in any case, then the label, which a NULL leaves out.
    text: u32,
    constant: u32,
    label: u32,
    number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum What {
    /// The reading with this number.
    Reading,
    /// The node with this number, in which nothing can fail.
    Node,
    /// As `Node`, but it can fail.
    Fallible,
    /// Only constant text.
    Constant,
    /// The leading part that rows share ends here.
    SharedEnd,
}

/// Where the leading part that rows share stands, if it was written for this event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    pub epoch: u32,
    pub not_finite: u32,
    pub start: usize,
    pub end: usize,
}

/// Why a row was not written.
#[derive(Debug)]
pub struct Failed {
    /// The number of the column among those that are not constant.
    pub column: u32,
    pub op: Op,
}

impl Rows {
    /// Makes the rows of a program ready. `can_fail` says of each node whether something in it can fail.
    pub fn new(rows: &[&[Part]], nodes: &[Node], can_fail: &[bool]) -> (Rows, Vec<Row>) {
        let leading = leading_parts(rows, can_fail);
        let mut made = Rows::default();
        let mut numbers: HashMap<Vec<PartKey>, u32> = HashMap::new();
        let list = rows.iter().zip(leading).map(|(parts, leading)| {
            let first = made.steps.len();
            let (leading, rest) = parts.split_at(leading);
            made.parts(leading, nodes, can_fail);
            let shared = (!leading.is_empty()).then(|| {
                let next = numbers.len() as u32;
                let number = *numbers.entry(leading.iter().map(PartKey::of).collect()).or_insert(next);
                made.steps.push(Step { what: What::SharedEnd, text: 0, constant: 0, label: 0, number });
                Shared { number, steps: (made.steps.len() - first) as u32 }
            });
            made.parts(rest, nodes, can_fail);
            Row { first: first as u32, count: (made.steps.len() - first) as u32, shared }
        });
        let list = list.collect();
        made.shared = numbers.len();
        made.text.resize(made.text.len() + PADDING, 0);
        (made, list)
    }

    /// How many `Known` a run needs.
    pub fn shared(&self) -> usize {
        self.shared
    }

    fn parts(&mut self, parts: &[Part], nodes: &[Node], can_fail: &[bool]) {
        for (at, part) in parts.iter().enumerate() {
            let text = self.text.len() as u32;
            match part {
                Part::Constant(written) => {
                    self.text.extend_from_slice(written);
                    self.steps.push(Step { what: What::Constant, text, constant: written.len() as u32, label: 0, number: 0 });
                }
                Part::Column(column) => {
                    let before = self.steps.pop_if(|last| at > 0 && last.what == What::Constant);
                    let (text, constant) = before.map_or((text, 0), |before| (before.text, before.constant));
                    self.text.extend_from_slice(&column.label);
                    let (what, number) = match nodes[column.node as usize] {
                        Node::Reading(number) => (What::Reading, number),
                        _ if can_fail[column.node as usize] => (What::Fallible, column.node),
                        _ => (What::Node, column.node),
                    };
                    self.steps.push(Step { what, text, constant, label: column.label.len() as u32, number });
                }
            }
        }
    }
}

impl Row {
    /// What was written of this row was taken back: the leading part may have stood there.
    pub fn forget(&self, known: &mut [Known]) {
        if let Some(shared) = self.shared {
            known[shared.number as usize] = Known::default();
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum PartKey {
    Constant(Vec<u8>),
    Column(Vec<u8>, u32),
}

impl PartKey {
    fn of(part: &Part) -> PartKey {
        match part {
            Part::Constant(written) => PartKey::Constant(written.clone()),
            Part::Column(Column { label, node, .. }) => PartKey::Column(label.clone(), *node),
        }
    }
}

fn leading_parts(rows: &[&[Part]], can_fail: &[bool]) -> Vec<usize> {
    let keys: Vec<Vec<PartKey>> = rows
        .iter()
        .map(|parts| {
            let fails = |part: &&Part| matches!(part, Part::Column(column) if can_fail[column.node as usize]);
            parts.iter().take_while(|part| !fails(part)).map(PartKey::of).collect()
        })
        .collect();
    leading(&keys)
}

/// By row: how many leading parts it shares with others. Of all that it could share, what saves the most over all rows.
pub fn leading<Key: Eq + Hash>(keys: &[Vec<Key>]) -> Vec<usize> {
    let mut counts: HashMap<&[Key], usize> = HashMap::new();
    for keys in keys {
        for length in 1..=keys.len().min(LEADING_PARTS_MAX) {
            *counts.entry(&keys[..length]).or_default() += 1;
        }
    }
    let saved = |keys: &[Key]| (counts[keys] - 1) * keys.len();
    let best = |keys: &Vec<Key>| {
        let lengths = (1..=keys.len().min(LEADING_PARTS_MAX)).filter(|length| saved(&keys[..*length]) > 0);
        lengths.max_by_key(|length| saved(&keys[..*length])).unwrap_or(0)
    };
    keys.iter().map(best).collect()
}

/// Longer parts are not looked for.
const LEADING_PARTS_MAX: usize = 16;

impl Evaluation<'_> {
    /// Appends a row; how many of its columns were not finite. Where it fails, what was written of it is to be taken back.
    #[inline]
    pub fn row(&mut self, row: Row, known: &mut [Known], out: &mut Vec<u8>) -> Result<u64, Failed> {
        let program = self.program;
        let steps = &program.rows.steps[row.first as usize..(row.first + row.count) as usize];
        let epoch = self.memory.epoch;
        let mut pen = Pen::new(out);
        let start = pen.at();
        let (mut from, mut not_finite) = (0, 0);
        if let Some(shared) = row.shared
            && let Known { not_finite: counted, start, end, .. } = known[shared.number as usize]
            && known[shared.number as usize].epoch == epoch
        {
            pen.repeat(start, end);
            (from, not_finite) = (shared.steps as usize, counted);
        }
        for (at, step) in steps.iter().enumerate().skip(from) {
            let text = step.text as usize;
            let label = text + step.constant as usize;
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
                What::Constant => {
                    pen.piece(&program.rows.text, text, label);
                    continue;
                }
                What::SharedEnd => {
                    known[step.number as usize] = Known { epoch, not_finite, start, end: pen.at() };
                    continue;
                }
            };
            let kept = pen.at() + step.constant as usize;
            pen.piece(&program.rows.text, text, label + step.label as usize);
            if value == Value::Null {
                pen.back_to(kept);
            } else if !self.write(value, &mut pen) {
                pen.back_to(kept);
                not_finite += 1;
            }
        }
        pen.close(start);
        pen.finish();
        Ok(not_finite as u64)
    }

    /// Appends a value. False, and nothing is written, for one that is not finite.
    #[inline(always)]
    fn write(&mut self, value: Value, pen: &mut Pen) -> bool {
        match value {
            Value::Text(text) => {
                let (start, end) = (text.start as usize, text.end as usize);
                match text.place {
                    Place::Event => pen.quoted(self.event, start, end),
                    Place::Made => pen.string(&self.memory.made, start, end),
                    Place::Program => pen.string(&self.program.texts, start, end),
                    Place::Wire => pen.string(self.event, start, end),
                }
            }
            Value::Integer(integer) => pen.integer(integer),
            Value::Number { start, end } | Value::Json { start, end } | Value::Nested { start, end, plain: true, .. } => {
                pen.piece(self.event, start as usize, end as usize);
            }
            Value::Nested { .. } | Value::Items { .. } => {
                pen.with(|out| project::write_value(self, value, out));
            }
            _ => return pen.with(|out| project::write_scalar(self.texts(), value, out)),
        }
        true
    }
}

/// How many of the steps are columns that are not constant.
#[cold]
fn column_number(steps: &[Step]) -> u32 {
    steps.iter().filter(|step| matches!(step.what, What::Reading | What::Node | What::Fallible)).count() as u32
}
