//! Linking: physical rules become one program in which equal expressions are one node, evaluated at most once an event.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::arrow::table::{self, Plan, Table, Wanted};
use crate::condition::Source;
use crate::functions::like::Pattern;
use crate::functions::period;
use crate::functions::regexp::{Regexp, Use};
use crate::functions::regexp_syntax::Flags;
use crate::functions::time_format::Format;
use crate::index::{Index, IndexBuilder};
use crate::json;
use crate::keys::KeyTable;
use crate::op::Op;
use crate::physical::{self, Expression, Literal, Reader, Rule, Select};
use crate::protobuf::input::Input;
use crate::protobuf::link::{encodings, note_alike};
use crate::protobuf::output::Encoding;
use crate::protobuf::{self, Descriptor};
use crate::read::Shapes;
use crate::row::{Row, Rows};
use crate::structure::Dispatch;
use crate::trie::Trie;
use crate::types::Type;
use crate::udf::{Calls, Udfs};
use crate::value::{Place, Text, Value};

/// An expression of a program. Arguments of a call stand before it.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    Constant(Value),
    /// The reading with this number.
    Reading(u32),
    Call(Call),
}

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub op: Op,
    /// The shape of the result.
    pub shape: u32,
    /// The shape of the first argument.
    pub from: u32,
    pub first: u32,
    pub count: u32,
    /// The number of the pattern of `like`, of the regular expression, of the set of `in`, of the format of `strftime`, or of a part of
    /// timestamps.
    pub extra: u32,
}

/// The literals of an `in`.
#[derive(Debug)]
pub enum Set {
    Texts(KeyTable),
    Integers(Vec<i64>),
    Values(Vec<Value>),
}

/// A path of the event read as a type.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub path: u32,
    pub shape: u32,
}

#[derive(Debug)]
pub struct LinkedRule {
    pub name: String,
    pub dataset: u32,
    pub output: Output,
    /// The fields of messages that must be read as JSON before it writes.
    pub needs: Vec<u32>,
    /// It passes messages on as they are.
    pub passes_whole: bool,
}

#[derive(Debug)]
pub enum Output {
    /// `names` are those of the columns that are not constant.
    Row {
        row: Row,
        names: Vec<String>,
    },
    /// As `Row`, but as a message.
    Message {
        row: protobuf::row::Row,
        names: Vec<String>,
    },
    Star {
        exclude: Vec<Vec<u8>>,
        replace: Vec<Column>,
    },
    Arrow(Plan),
}

/// A piece of a row.
#[derive(Debug)]
pub enum Part {
    /// Columns that are constant, as they are written: `,"name":value`.
    Constant(Vec<u8>),
    Column(Column),
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    /// `,"name":`
    pub label: Vec<u8>,
    pub node: u32,
}

/// A rule set made ready. Immutable.
#[derive(Debug)]
pub struct Program {
    pub dispatch: Dispatch,
    pub rules: Vec<LinkedRule>,
    pub datasets: Vec<String>,
    /// Every path that a rule names, dotted.
    pub paths: Vec<String>,
    pub trie: Trie,
    /// By path: its node of the trie.
    pub nodes_of: Vec<u32>,
    /// By node of the trie: the readings of its path.
    pub readings_of: Vec<Vec<(u32, Reading)>>,
    /// The node of each reading, and its shape.
    pub readings: Vec<(u32, u32)>,
    pub shapes: Shapes,
    pub nodes: Vec<Node>,
    pub arguments: Vec<u32>,
    pub patterns: Vec<Pattern>,
    pub formats: Vec<Format>,
    pub regexps: Vec<Regexp>,
    pub sets: Vec<Set>,
    pub texts: Vec<u8>,
    pub index: Index,
    pub rows: Rows,
    /// What events are, if they are messages.
    pub input: Option<Input>,
    /// By dataset: what its rows are, if they are messages.
    pub encodings: Vec<Option<Encoding>>,
    /// The rows of these.
    pub messages: protobuf::row::Rows,
    /// What Python functions need, if any rule calls one.
    pub udfs: Option<Box<Udfs>>,
    /// The datasets that are written as Arrow.
    pub tables: Vec<Arc<Table>>,
}

/// What is not JSON.
#[derive(Debug, Default)]
pub struct Formats {
    /// What events are, if they are messages.
    pub input: Option<Descriptor>,
    /// By dataset: what its rows are, if they are messages.
    pub outputs: std::collections::HashMap<String, Descriptor>,
    /// The datasets that are written as Arrow.
    pub arrow: Vec<Wanted>,
}

const STACK_BYTES: usize = 64 << 20;
const PARSE_THREADS_MAX: usize = 4;
/// A thread of its own does not pay for fewer rules.
const PARSE_RULES_MIN: usize = 500;

impl Program {
    /// Which one it is, of all that this process links; never 0.
    #[inline(always)]
    pub fn id(&self) -> u64 {
        self.trie.id
    }

    /// Links physical rules. The error names the rule and what is not known, or says that no way of finding structure can be had.
    pub fn link(rules: &[Vec<u8>]) -> Result<Program, String> {
        Program::link_formats(rules, Formats::default())
    }

    /// As `link`, for events that are messages.
    pub fn link_formats(rules: &[Vec<u8>], formats: Formats) -> Result<Program, String> {
        let dispatch = Dispatch::of_machine()?;
        // Expressions may be nested as deep as `physical::DEPTH_MAX`, which the caller's stack need not bear.
        std::thread::scope(|scope| {
            let work = || {
                let rules = parse(scope, rules)?;
                let scout = Formats { input: formats.input.clone(), ..Formats::default() };
                Udfs::link(&rules, link(&rules, formats, dispatch)?, scout)
            };
            joined(std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work))
        })
    }
}

/// Parses rules on as many threads as are worth it: with thousands of rules it is most of linking.
fn parse<'s, 'e: 's>(scope: &'s std::thread::Scope<'s, 'e>, rules: &'e [Vec<u8>]) -> Result<Vec<Rule>, String> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(PARSE_THREADS_MAX));
    let chunk = rules.len().div_ceil(threads).max(PARSE_RULES_MIN);
    let parse = |chunk: &[Vec<u8>]| {
        let mut reader = Reader::default();
        chunk.iter().map(|rule| physical::parse(rule, &mut reader)).collect::<Result<Vec<_>, _>>()
    };
    let mut chunks = rules.chunks(chunk);
    let first = chunks.next().unwrap_or_default();
    let spawn = |chunk| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, move || parse(chunk));
    let others: Vec<_> = chunks.map(spawn).collect();
    let mut parsed = parse(first)?;
    for other in others {
        parsed.extend(joined(other)?);
    }
    Ok(parsed)
}

/// What a thread gives at its end.
fn joined<T>(thread: std::io::Result<std::thread::ScopedJoinHandle<'_, Result<T, String>>>) -> Result<T, String> {
    let done = thread.map_err(|error| format!("no thread to link on: {error}"))?.join();
    done.unwrap_or_else(|_| Err("linking failed unexpectedly".to_owned()))
}

pub fn link(rules: &[Rule], mut formats: Formats, dispatch: Dispatch) -> Result<Program, String> {
    check_names(rules)?;
    let paths = physical::paths_of(rules);
    let datasets: BTreeSet<&str> = rules.iter().map(|rule| rule.into.as_str()).collect();
    let datasets: Vec<String> = datasets.into_iter().map(str::to_owned).collect();
    let mut encodings = encodings(&mut formats, &datasets);
    let mut tables = table::Drafts::new(&formats.arrow, &datasets, &encodings)?;
    let mut linker = Linker::new(&paths);
    let mut builder = IndexBuilder::default();
    let mut linked = Vec::with_capacity(rules.len());
    let mut filters = Vec::new();
    for rule in rules {
        let filter = rule.filter.as_ref().map(|filter| linker.expression(filter));
        let deferred = rule.deferred.as_ref().map(|filter| linker.expression(filter));
        let dataset = datasets.partition_point(|name| *name < rule.into) as u32;
        let output = match (tables.add(rule)?, &rule.select) {
            (Some((table, to)), select) => linker.arrow_output(table, &to, select),
            (None, Select::Columns(columns)) if encodings[dataset as usize].is_some() => linker.message_output(columns),
            (None, select) => linker.output(select),
        };
        linker.note_udfs(deferred, &rule.select);
        if let Some(refused) = linker.refused.take() {
            return Err(format!("rule `{}`: {refused}", rule.name));
        }
        linked.push(LinkedRule { name: rule.name.clone(), dataset, output, needs: Vec::new(), passes_whole: false });
        filters.extend(filter.into_iter().chain(deferred));
        builder.add(filter);
    }
    let (trie, nodes_of) = Trie::new(&paths, &linker.readings, &linker.shapes);
    let messages = formats.input.is_some();
    let index = builder.build(&linker, |node| linker.source(node, &nodes_of, messages));
    let (rows, made) = Rows::new(&linker, &nodes_of, messages);
    let outputs =
        linked.iter_mut().filter_map(|rule| if let Output::Row { row, .. } = &mut rule.output { Some(row) } else { None });
    for (row, made) in outputs.zip(made) {
        *row = made;
    }
    let readings_of = linker.readings_of(&nodes_of, trie.nodes.len());
    let input = formats.input.map(|descriptor| linker.input(descriptor, &trie, &readings_of, filters, rules, &mut linked));
    let messages = linker.message_rows(&encodings, input.as_ref(), rules, &mut linked, rows.pieces());
    note_alike(&mut encodings, &linked);
    let readings = linker.readings.iter().map(|reading| (nodes_of[reading.path as usize], reading.shape)).collect();
    linker.shapes.finish();
    Ok(Program {
        dispatch,
        rules: linked,
        datasets,
        paths: paths.iter().map(|path| path.join(".")).collect(),
        trie,
        nodes_of,
        readings_of,
        readings,
        shapes: linker.shapes,
        nodes: linker.nodes,
        arguments: linker.arguments,
        patterns: linker.patterns,
        formats: linker.formats,
        regexps: linker.regexps,
        sets: linker.sets,
        texts: linker.texts,
        index,
        rows,
        input,
        encodings,
        messages,
        udfs: linker.udfs.finish(),
        tables: tables.finish().into_iter().map(Arc::new).collect(),
    })
}

fn check_names(rules: &[Rule]) -> Result<(), String> {
    let mut names = HashSet::new();
    match rules.iter().find(|rule| !names.insert(&rule.name)) {
        Some(twice) => Err(format!("rule `{}`: another rule has the same name", twice.name)),
        None => Ok(()),
    }
}

#[derive(PartialEq, Eq, Hash)]
enum NodeKey {
    Literal(Type, Vec<u8>),
    Reading(u32, u32),
    Call(Op, u32, Vec<u32>),
}

/// What linking has made so far.
pub struct Linker<'p> {
    path_numbers: HashMap<&'p [String], u32>,
    known: HashMap<NodeKey, u32>,
    pub shapes: Shapes,
    pub nodes: Vec<Node>,
    /// By node: whether it can be failed NULL.
    pub can_fail: Vec<bool>,
    /// By node: whether an operation in it can fail, even if what is around it makes a value of that.
    pub may_fail: Vec<bool>,
    /// By rule that selects columns: what its rows are made of.
    pub rows: Vec<Vec<Part>>,
    pub udfs: Calls,
    pub arguments: Vec<u32>,
    pub readings: Vec<Reading>,
    patterns: Vec<Pattern>,
    formats: Vec<Format>,
    regexps: Vec<Regexp>,
    regexp_numbers: HashMap<(String, Flags, Use), u32>,
    /// Why the rule that is being linked is refused.
    pub refused: Option<String>,
    pub sets: Vec<Set>,
    pub texts: Vec<u8>,
}

impl<'p> Linker<'p> {
    pub fn new(paths: &'p [Vec<String>]) -> Self {
        Linker {
            path_numbers: paths.iter().map(Vec::as_slice).zip(0..).collect(),
            known: HashMap::new(),
            shapes: Shapes::default(),
            nodes: Vec::new(),
            can_fail: Vec::new(),
            may_fail: Vec::new(),
            rows: Vec::new(),
            udfs: Calls::default(),
            arguments: Vec::new(),
            readings: Vec::new(),
            patterns: Vec::new(),
            formats: Vec::new(),
            regexps: Vec::new(),
            regexp_numbers: HashMap::new(),
            refused: None,
            sets: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// The node of an expression; the same for an equal one.
    pub fn expression(&mut self, expression: &Expression) -> u32 {
        match expression {
            Expression::Literal(literal) => self.literal(literal),
            Expression::Field { path, kind } => {
                let path = self.path_numbers[&**path];
                let shape = self.shapes.of(kind);
                if let Some(node) = self.known.get(&NodeKey::Reading(path, shape)) {
                    return *node;
                }
                self.readings.push(Reading { path, shape });
                let node = Node::Reading(self.readings.len() as u32 - 1);
                self.add(NodeKey::Reading(path, shape), node, false, false)
            }
            Expression::Call { op, kind, arguments } => self.call(*op, kind, arguments),
        }
    }

    fn add(&mut self, key: NodeKey, node: Node, can_fail: bool, may_fail: bool) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        self.can_fail.push(can_fail);
        self.may_fail.push(may_fail);
        self.known.insert(key, number);
        number
    }

    fn literal(&mut self, literal: &Literal) -> u32 {
        let stored = match literal {
            Literal::Null => Vec::new(),
            Literal::BigInt(number) | Literal::Timestamp(number) => number.to_le_bytes().to_vec(),
            Literal::Double(number) => number.to_bits().to_le_bytes().to_vec(),
            Literal::Boolean(flag) => vec![*flag as u8],
            Literal::Varchar(text) => text.as_bytes().to_vec(),
        };
        let key = NodeKey::Literal(literal.kind().clone(), stored);
        if let Some(node) = self.known.get(&key) {
            return *node;
        }
        let value = match literal {
            Literal::Null => Value::Null,
            Literal::BigInt(number) => Value::Integer(*number),
            Literal::Timestamp(micros) => Value::Timestamp(*micros),
            Literal::Double(number) => Value::Double(*number),
            Literal::Boolean(flag) => Value::Boolean(*flag),
            Literal::Varchar(text) => {
                let start = self.texts.len() as u32;
                self.texts.extend_from_slice(text.as_bytes());
                Value::Text(Text { place: Place::Program, start, end: self.texts.len() as u32 })
            }
        };
        self.add(key, Node::Constant(value), false, false)
    }

    fn call(&mut self, op: Op, kind: &Type, arguments: &[Expression]) -> u32 {
        let nodes: Vec<u32> = match op {
            // The literals of these are kept in a form of their own.
            Op::In | Op::Like => {
                let mut nodes = vec![self.expression(&arguments[0])];
                nodes.extend(arguments[1..].iter().map(|argument| self.expression(argument)));
                nodes
            }
            _ => arguments.iter().map(|argument| self.expression(argument)).collect(),
        };
        let shape = self.shapes.of(kind);
        let key = NodeKey::Call(op, shape, nodes);
        if let Some(node) = self.known.get(&key) {
            return *node;
        }
        let NodeKey::Call(_, _, nodes) = &key else { return 0 };
        let given: Vec<&Type> = arguments.iter().map(Expression::kind).collect();
        let never = matches!(op, Op::IsNull | Op::IsNotNull | Op::Distinct | Op::NotDistinct);
        let inherited = nodes.iter().any(|node| self.can_fail[*node as usize]);
        let fails = op.can_fail(kind, &given);
        let can_fail = fails || (inherited && !never);
        let may_fail = fails || nodes.iter().any(|node| self.may_fail[*node as usize]);
        let first = self.arguments.len() as u32;
        self.arguments.extend_from_slice(nodes);
        let extra = match op {
            Op::Udf => self.udf_call(kind, arguments),
            _ => self.extra(op, nodes.clone().as_slice(), arguments),
        };
        let count = nodes.len() as u32;
        let from = given.first().map_or(0, |kind| self.shapes.of(kind));
        self.add(key, Node::Call(Call { op, shape, from, first, count, extra }), can_fail, may_fail)
    }

    fn extra(&mut self, op: Op, nodes: &[u32], arguments: &[Expression]) -> u32 {
        if op == Op::In {
            self.sets.push(self.set(&nodes[1..]));
            return self.sets.len() as u32 - 1;
        }
        if let Ok(Some(wanted)) = physical::regexp_of(op, arguments) {
            return self.regexp(wanted);
        }
        if let (Op::Like, [_, Expression::Literal(Literal::Varchar(pattern)), Expression::Literal(Literal::Varchar(escape))]) =
            (op, arguments)
            && let Ok(pattern) = Pattern::new(pattern, escape)
        {
            self.patterns.push(pattern);
            return self.patterns.len() as u32 - 1;
        }
        if let (Op::Strftime, [_, Expression::Literal(Literal::Varchar(format))]) = (op, arguments)
            && let Ok(format) = Format::new(format)
        {
            self.formats.push(format);
            return self.formats.len() as u32 - 1;
        }
        if let (Op::DatePart | Op::DateTrunc | Op::DateDiff | Op::DateSub, Some(Expression::Literal(Literal::Varchar(part)))) =
            (op, arguments.first())
        {
            return period::Part::from_name(part).map_or(0, |part| part as u32);
        }
        0
    }

    fn regexp(&mut self, wanted: (String, Flags, Use)) -> u32 {
        if let Some(number) = self.regexp_numbers.get(&wanted) {
            return *number;
        }
        match Regexp::new(&wanted.0, wanted.1, &wanted.2) {
            Err(refused) => {
                self.refused.get_or_insert(refused);
                0
            }
            Ok(regexp) => {
                let number = self.regexps.len() as u32;
                self.regexps.push(regexp);
                self.regexp_numbers.insert(wanted, number);
                number
            }
        }
    }

    fn set(&self, nodes: &[u32]) -> Set {
        let values: Vec<Value> = nodes.iter().filter_map(|node| self.constant(*node)).collect();
        if values.iter().all(|value| matches!(value, Value::Integer(_))) {
            let mut integers: Vec<i64> = values.iter().filter_map(|value| self.integer(*value)).collect();
            integers.sort_unstable();
            integers.dedup();
            return Set::Integers(integers);
        }
        let texts: BTreeSet<&str> = values.iter().filter_map(|value| self.text(*value)).collect();
        if texts.is_empty() { Set::Values(values) } else { Set::Texts(KeyTable::new(texts.into_iter())) }
    }

    /// By node of the trie: the readings of its path.
    fn readings_of(&self, nodes_of: &[u32], nodes: usize) -> Vec<Vec<(u32, Reading)>> {
        let mut readings_of = vec![Vec::new(); nodes];
        for (number, reading) in self.readings.iter().enumerate() {
            readings_of[nodes_of[reading.path as usize] as usize].push((number as u32, *reading));
        }
        readings_of
    }

    /// Where the value of a node stands, if it is a field. Events that are `messages` have no slots.
    fn source(&self, node: u32, nodes_of: &[u32], messages: bool) -> Source {
        let Node::Reading(number) = self.nodes[node as usize] else { return Source::default() };
        let reading = self.readings[number as usize];
        let usual = if messages { 0 } else { self.shapes.list[reading.shape as usize].usual() };
        Source { slot: nodes_of[reading.path as usize], usual }
    }

    pub fn constant(&self, node: u32) -> Option<Value> {
        match self.nodes[node as usize] {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    pub fn integer(&self, value: Value) -> Option<i64> {
        match value {
            Value::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The text of a literal.
    pub fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(text) => std::str::from_utf8(&self.texts[text.start as usize..text.end as usize]).ok(),
            _ => None,
        }
    }

    pub fn star(&mut self, exclude: &[String], replace: &[(String, Expression)]) -> (Vec<Vec<u8>>, Vec<Column>) {
        let exclude = exclude.iter().map(|name| name.as_bytes().to_vec());
        let replace = replace.iter().map(|(name, value)| self.column(name, value));
        (exclude.collect(), replace.collect())
    }

    fn output(&mut self, select: &Select) -> Output {
        match select {
            Select::Star { exclude, replace } => {
                let (exclude, replace) = self.star(exclude, replace);
                Output::Star { exclude, replace }
            }
            Select::Columns(columns) => {
                let mut parts: Vec<Part> = Vec::new();
                let mut names = Vec::new();
                for (name, value) in columns {
                    let column = self.column(name, value);
                    let Some(value) = self.constant(column.node) else {
                        parts.push(Part::Column(column));
                        names.push(name.clone());
                        continue;
                    };
                    let mut written = column.label;
                    if !self.write_constant(value, &mut written) {
                        continue;
                    }
                    match parts.last_mut() {
                        Some(Part::Constant(before)) => before.extend_from_slice(&written),
                        _ => parts.push(Part::Constant(written)),
                    }
                }
                self.rows.push(parts);
                Output::Row { row: Row::default(), names }
            }
        }
    }

    fn column(&mut self, name: &str, value: &Expression) -> Column {
        let mut label = vec![b','];
        json::write_string(name.as_bytes(), &mut label);
        label.push(b':');
        Column { name: name.to_owned(), label, node: self.expression(value) }
    }

    pub fn write_constant(&self, value: Value, out: &mut Vec<u8>) -> bool {
        let texts = crate::value::Texts { event: &[], made: &[], program: &self.texts };
        crate::project::write_scalar(texts, value, out)
    }
}
