//! Rows made ready: what a rule writes as a list of pieces. Rules that write the same column have the same piece.

use hashbrown::HashMap;
use std::hash::Hash;
use std::ops::AddAssign;

use crate::eval::Evaluation;
use crate::link::{Column, Linker, Node, Part};
use crate::op::Op;
use crate::pen::Pen;
use crate::project;
use crate::value::{Place, Value};

/// The pieces of all rows.
#[derive(Debug, Default)]
pub struct Rows {
    pieces: Vec<Piece>,
    /// The pieces of every row, and of every leading part that rows share, by number.
    lists: Vec<u32>,
    /// The constant text, and room behind it that is not part of any.
    text: Vec<u8>,
}

/// So much follows the last constant text, so that it can be copied in whole steps.
const PADDING: usize = 64;

/// One row: its pieces in `lists`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    first: u32,
    count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Piece {
    what: What,
    /// Several rows have it, and it is copied from where it was written first.
    shared: bool,
    /// The tags of a field whose text in the event is what is to be written.
    verbatim: u16,
    /// Its constant text, or the label, which a NULL leaves out.
    text: u32,
    bytes: u32,
    /// Of the reading, of the node, or of the first piece of a leading part in `lists`.
    number: u32,
    /// Of a reading: where its value stands. Of a leading part: how many pieces it has.
    second: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
enum What {
    /// A field.
    Reading,
    /// The value of a node, in which nothing can fail.
    Node,
    /// As `Node`, but it can fail.
    Fallible,
    /// Only constant text.
    Constant,
    /// Pieces that rows begin with.
    Leading,
}

impl What {
    /// Whether it takes more than copying to write it.
    fn is_evaluated(self) -> bool {
        matches!(self, What::Node | What::Fallible)
    }
}

/// Where a piece that several rows have stands, if it was written for this event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    pub epoch: u32,
    pub left: LeftOut,
    pub start: usize,
    pub end: usize,
}

/// How many columns of a row were left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeftOut {
    pub nulls: u32,
    pub not_finite: u32,
}

impl LeftOut {
    const NONE: LeftOut = LeftOut { nulls: 0, not_finite: 0 };
    const NULL: LeftOut = LeftOut { nulls: 1, not_finite: 0 };
    const NOT_FINITE: LeftOut = LeftOut { nulls: 0, not_finite: 1 };
}

impl AddAssign for LeftOut {
    #[inline(always)]
    fn add_assign(&mut self, more: LeftOut) {
        self.nulls += more.nulls;
        self.not_finite += more.not_finite;
    }
}

/// Why a row was not written.
#[derive(Debug)]
pub struct Failed {
    /// The number of the column among those that are not constant.
    pub column: u32,
    pub op: Op,
}

impl Rows {
    /// Makes the rows of a program ready. `nodes_of` says of each path where its value stands. Events that are `messages` have no
    /// slots.
    pub fn new(linker: &Linker, nodes_of: &[u32], messages: bool) -> (Rows, Vec<Row>) {
        let mut made = Rows::default();
        let mut maker = Maker { linker, nodes_of, messages, texts: HashMap::new(), numbers: HashMap::new() };
        let rows: Vec<Vec<u32>> =
            linker.rows.iter().map(|parts| parts.iter().map(|part| maker.piece(part, &mut made)).collect()).collect();
        let leading = leading_parts(&rows, &made.pieces);
        let mut parts: HashMap<&[u32], u32> = HashMap::new();
        let mut uses = vec![0u32; made.pieces.len()];
        let mut list = Vec::with_capacity(rows.len());
        for (row, leading) in rows.iter().zip(leading) {
            let (leading, rest) = row.split_at(leading);
            let part = (!leading.is_empty()).then(|| *parts.entry(leading).or_insert_with(|| made.leading(leading)));
            let first = made.lists.len() as u32;
            made.lists.extend(part.iter().chain(rest));
            for piece in rest {
                let uses = &mut uses[*piece as usize];
                *uses += 1;
                made.pieces[*piece as usize].shared = *uses > 1 && made.pieces[*piece as usize].what.is_evaluated();
            }
            list.push(Row { first, count: made.lists.len() as u32 - first });
        }
        made.text.resize(made.text.len() + PADDING, 0);
        (made, list)
    }

    /// How many `Known` a run needs.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    fn leading(&mut self, pieces: &[u32]) -> u32 {
        let (number, second) = (self.lists.len() as u32, pieces.len() as u32);
        self.lists.extend_from_slice(pieces);
        self.pieces.push(Piece { what: What::Leading, shared: true, verbatim: 0, text: 0, bytes: 0, number, second });
        self.pieces.len() as u32 - 1
    }

    fn list(&self, first: u32, count: u32) -> &[u32] {
        &self.lists[first as usize..(first + count) as usize]
    }

    /// How many columns that are not constant a piece has.
    fn columns(&self, piece: u32) -> u32 {
        let piece = self.pieces[piece as usize];
        match piece.what {
            What::Constant => 0,
            What::Leading => self.list(piece.number, piece.second).iter().map(|inner| self.columns(*inner)).sum(),
            _ => 1,
        }
    }
}

/// Makes pieces, each once.
struct Maker<'l> {
    linker: &'l Linker<'l>,
    nodes_of: &'l [u32],
    messages: bool,
    texts: HashMap<&'l [u8], u32>,
    numbers: HashMap<Piece, u32>,
}

impl<'l> Maker<'l> {
    fn piece(&mut self, part: &'l Part, made: &mut Rows) -> u32 {
        let linker = self.linker;
        let (text, (what, verbatim, number, second)) = match part {
            Part::Constant(text) => (text, (What::Constant, 0, 0, 0)),
            Part::Column(Column { label, node, .. }) => {
                let piece = match linker.nodes[*node as usize] {
                    Node::Reading(number) => {
                        let reading = linker.readings[number as usize];
                        let verbatim = if self.messages { 0 } else { linker.shapes.list[reading.shape as usize].verbatim() };
                        (What::Reading, verbatim, number, self.nodes_of[reading.path as usize])
                    }
                    _ if linker.may_fail[*node as usize] => (What::Fallible, 0, *node, 0),
                    _ => (What::Node, 0, *node, 0),
                };
                (label, piece)
            }
        };
        let bytes = text.len() as u32;
        let text = *self.texts.entry(text).or_insert_with(|| {
            made.text.extend_from_slice(text);
            made.text.len() as u32 - bytes
        });
        let piece = Piece { what, shared: false, verbatim, text, bytes, number, second };
        *self.numbers.entry(piece).or_insert_with(|| {
            made.pieces.push(piece);
            made.pieces.len() as u32 - 1
        })
    }
}

fn leading_parts(rows: &[Vec<u32>], pieces: &[Piece]) -> Vec<usize> {
    let certain = |piece: &&u32| pieces[**piece as usize].what != What::Fallible;
    leading(&rows.iter().map(|row| row.iter().take_while(certain).copied().collect()).collect::<Vec<Vec<u32>>>())
}

/// By row: how many leading parts it shares with others. Of all that it could share, what saves the most over all rows.
pub fn leading<Key: Eq + Hash>(keys: &[impl AsRef<[Key]>]) -> Vec<usize> {
    let mut counts: HashMap<&[Key], usize> = HashMap::new();
    for keys in keys {
        let keys = keys.as_ref();
        for length in 1..=keys.len().min(LEADING_PARTS_MAX) {
            *counts.entry(&keys[..length]).or_default() += 1;
        }
    }
    let saved = |keys: &[Key]| (counts[keys] - 1) * keys.len();
    let best = |keys: &[Key]| {
        let lengths = (1..=keys.len().min(LEADING_PARTS_MAX)).filter(|length| saved(&keys[..*length]) > 0);
        lengths.max_by_key(|length| saved(&keys[..*length])).unwrap_or(0)
    };
    keys.iter().map(|keys| best(keys.as_ref())).collect()
}

/// Longer parts are not looked for.
const LEADING_PARTS_MAX: usize = 16;

impl Row {
    /// What was written from `start` on was taken back: none of its pieces stands there any more.
    #[cold]
    pub fn forget(&self, rows: &Rows, start: usize, known: &mut [Known]) {
        let mut forget = |piece: u32| {
            let known = &mut known[piece as usize];
            if known.start >= start {
                *known = Known::default();
            }
        };
        for piece in rows.list(self.first, self.count) {
            forget(*piece);
            let Piece { what, number, second, .. } = rows.pieces[*piece as usize];
            if what == What::Leading {
                rows.list(number, second).iter().for_each(|inner| forget(*inner));
            }
        }
    }
}

/// The operation that failed.
struct Stopped(Op);

impl Evaluation<'_> {
    /// Appends a row; how many of its columns were left out. Where it fails, what was written of it is to be taken back.
    #[inline]
    pub fn row(&mut self, row: Row, known: &mut [Known], out: &mut Vec<u8>) -> Result<LeftOut, Failed> {
        let rows = &self.program.rows;
        let list = rows.list(row.first, row.count);
        let mut pen = Pen::new(out);
        let start = pen.at();
        let mut left = LeftOut::default();
        for (at, number) in list.iter().enumerate() {
            let piece = &rows.pieces[*number as usize];
            if piece.shared {
                let here = &known[*number as usize];
                if here.epoch == self.memory.epoch {
                    left += here.left;
                    pen.repeat_parts(here.start, here.end);
                    continue;
                }
            }
            let begun = pen.at();
            let counted = match self.piece(piece, &mut pen) {
                Ok(counted) => counted,
                Err(Stopped(op)) => {
                    pen.finish();
                    return Err(Failed { column: list[..at].iter().map(|before| rows.columns(*before)).sum(), op });
                }
            };
            left += counted;
            if piece.shared {
                let here = &mut known[*number as usize];
                here.epoch = self.memory.epoch;
                here.left = counted;
                here.start = begun;
                here.end = pen.at();
            }
        }
        pen.close(start);
        pen.finish();
        Ok(left)
    }

    /// Appends a piece; how many columns of it were left out.
    #[inline(always)]
    fn piece(&mut self, piece: &Piece, pen: &mut Pen) -> Result<LeftOut, Stopped> {
        match piece.what {
            What::Leading => {
                let rows = &self.program.rows;
                let list = rows.list(piece.number, piece.second);
                let mut left = LeftOut::default();
                for inner in list {
                    // None of them can fail, and none is a leading part.
                    left += self.column(&rows.pieces[*inner as usize], pen).unwrap_or_default();
                }
                Ok(left)
            }
            _ => self.column(piece, pen),
        }
    }

    #[inline(always)]
    fn column(&mut self, piece: &Piece, pen: &mut Pen) -> Result<LeftOut, Stopped> {
        let (text, end) = (piece.text as usize, (piece.text + piece.bytes) as usize);
        let value = match piece.what {
            What::Constant | What::Leading => {
                pen.piece(&self.program.rows.text, text, end);
                return Ok(LeftOut::NONE);
            }
            What::Reading => {
                if piece.verbatim != 0 {
                    let Some(slot) = self.memory.slots.get(piece.second) else { return Ok(LeftOut::NULL) };
                    if piece.verbatim & slot.tag.bit() != 0 {
                        pen.piece(&self.program.rows.text, text, end);
                        pen.piece(self.event, slot.start as usize, slot.end as usize);
                        return Ok(LeftOut::NONE);
                    }
                }
                self.reading(piece.number)
            }
            What::Node => self.value(piece.number),
            What::Fallible => {
                self.memory.failed = None;
                let value = self.value(piece.number);
                if let Some(op) = self.memory.failed {
                    return Err(Stopped(op));
                }
                value
            }
        };
        if value == Value::Null {
            return Ok(LeftOut::NULL);
        }
        let kept = pen.at();
        pen.piece(&self.program.rows.text, text, end);
        if self.write(value, pen) {
            return Ok(LeftOut::NONE);
        }
        pen.back_to(kept);
        Ok(LeftOut::NOT_FINITE)
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
