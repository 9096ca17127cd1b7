//! The paths that rules name, as a tree of keys, and what the scan must know of each.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::keys::KeyTable;
use crate::link::Reading;
use crate::read::{Shape, Shapes};
use crate::slots::{ANY, Tag, tags};

/// Nodes are numbered so that what is below a node follows it; 0 is the event.
#[derive(Debug)]
pub struct Trie {
    pub nodes: Vec<TrieNode>,
    /// By node.
    pub marks: Vec<Marks>,
    /// Tells it from every other one of this process; never 0.
    pub id: u64,
}

static IDS: AtomicU64 = AtomicU64::new(1);

#[derive(Debug, Default)]
pub struct TrieNode {
    pub keys: KeyTable,
    pub children: Vec<u32>,
    /// The first node that is not below this one.
    pub end: u32,
    /// The shape that a STRUCT above it gives it.
    inside: Option<u32>,
}

/// What is asked of a value, as sets of tags.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// What every reading of this path takes as it is, uncounted.
    pub plain: u16,
    /// As part of a STRUCT above it: what has the text that is to be written.
    pub plain_inside: u16,
    /// As `plain` and `plain_inside`, of the items of a list. 0 where no LIST is read.
    pub plain_items: u16,
    /// It is read as a STRUCT: its object is plain only if all inside it is.
    pub whole: bool,
    /// What is above it is read as a STRUCT of which this is a STRUCT.
    pub whole_inside: bool,
}

const NUMBERS: u16 = tags(&[Tag::Integer, Tag::Decimal]);
const FLAGS: u16 = tags(&[Tag::True, Tag::False]);
const NULL: u16 = Tag::Null.bit();

impl Trie {
    /// The tree of these paths, and the node of each. Readings are of paths by number; those of STRUCT add what is inside them.
    pub fn new(paths: &[Vec<String>], readings: &[Reading], shapes: &Shapes) -> (Trie, Vec<u32>) {
        let mut all: Vec<Vec<String>> = paths.to_vec();
        for reading in readings {
            add_inside(&mut all, &paths[reading.path as usize], reading.shape, shapes);
        }
        let (mut trie, ends) = Trie::of(&all);
        let ends = ends[..paths.len()].to_vec();
        for (number, reading) in readings.iter().enumerate() {
            let node = ends[reading.path as usize];
            let alone = readings.iter().enumerate().all(|(other, also)| other == number || also.path != reading.path);
            let plain = trie.plain(node, reading.shape, shapes, alone);
            trie.marks[node as usize].plain &= plain;
        }
        (trie, ends)
    }

    /// The tags that a reading takes as they are.
    fn plain(&mut self, node: u32, shape: u32, shapes: &Shapes, alone: bool) -> u16 {
        NULL | match &shapes.list[shape as usize] {
            Shape::BigInt => Tag::Integer.bit(),
            Shape::Double => NUMBERS,
            Shape::Boolean => FLAGS,
            Shape::Varchar => tags(&[Tag::Text, Tag::EscapedText]),
            Shape::Timestamp => 0,
            Shape::Json => ANY,
            Shape::List { item } => match plain_inside(*item, shapes) {
                Some(items) if alone && self.set_items(node, items | NULL) => Tag::Array.bit(),
                _ => 0,
            },
            Shape::Struct(_) => {
                let whole = alone && self.fill(node, shape, shapes);
                self.marks[node as usize].whole = whole;
                if whole { Tag::Object.bit() } else { 0 }
            }
        }
    }

    /// Says of what is below a node what the STRUCT asks for. False where another STRUCT asks for something else.
    fn fill(&mut self, node: u32, shape: u32, shapes: &Shapes) -> bool {
        let Shape::Struct(fields) = &shapes.list[shape as usize] else { return false };
        // A STRUCT above this one may have fewer fields of it, or more.
        if *self.nodes[node as usize].inside.get_or_insert(shape) != shape {
            return false;
        }
        for (name, inner) in fields.keys.names().zip(&fields.shapes) {
            let here = &self.nodes[node as usize];
            let Some(child) = here.keys.find(name).map(|index| here.children[index as usize]) else { return false };
            if *self.nodes[child as usize].inside.get_or_insert(*inner) != *inner {
                return false;
            }
            let plain = match &shapes.list[*inner as usize] {
                Shape::Struct(_) => {
                    self.marks[child as usize].whole_inside = true;
                    if !self.fill(child, *inner, shapes) {
                        return false;
                    }
                    Tag::Object.bit()
                }
                Shape::List { item } => match plain_inside(*item, shapes) {
                    Some(items) if self.set_items(child, items | NULL) => Tag::Array.bit(),
                    _ => 0,
                },
                _ => plain_inside(*inner, shapes).unwrap_or(0),
            };
            self.marks[child as usize].plain_inside = plain;
        }
        true
    }

    /// False where another reading asks for other items.
    fn set_items(&mut self, node: u32, items: u16) -> bool {
        let known = &mut self.marks[node as usize].plain_items;
        if *known == 0 {
            *known = items;
        }
        *known == items
    }

    fn of(paths: &[Vec<String>]) -> (Trie, Vec<u32>) {
        let mut order: Vec<usize> = (0..paths.len()).collect();
        order.sort_by(|a, b| paths[*a].cmp(&paths[*b]));
        let mut names: Vec<Vec<&str>> = vec![Vec::new()];
        let mut nodes = vec![TrieNode::default()];
        let mut ends = vec![0; paths.len()];
        let mut open: Vec<(u32, &str)> = Vec::new();
        for number in order {
            let path = &paths[number];
            let shared = open.iter().zip(path).take_while(|((_, known), key)| known == key).count();
            for (node, _) in open.drain(shared..) {
                nodes[node as usize].end = names.len() as u32;
            }
            for key in &path[shared..] {
                let node = nodes.len() as u32;
                let parent = open.last().map_or(0, |(parent, _)| *parent as usize);
                nodes[parent].children.push(node);
                names[parent].push(key);
                nodes.push(TrieNode::default());
                names.push(Vec::new());
                open.push((node, key));
            }
            ends[number] = open.last().map_or(0, |(node, _)| *node);
        }
        let count = nodes.len() as u32;
        for (node, names) in nodes.iter_mut().zip(names) {
            node.keys = KeyTable::new(names.into_iter());
            node.end = if node.end == 0 { count } else { node.end };
        }
        let marks = Marks { plain: ANY, plain_inside: 0, plain_items: 0, whole: false, whole_inside: false };
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        (Trie { marks: vec![marks; nodes.len()], nodes, id }, ends)
    }
}

/// The tags of a scalar type whose text is what is to be written inside of a STRUCT or a LIST; none for types of several parts.
fn plain_inside(shape: u32, shapes: &Shapes) -> Option<u16> {
    match &shapes.list[shape as usize] {
        Shape::BigInt => Some(Tag::Integer.bit()),
        Shape::Double => Some(NUMBERS),
        Shape::Boolean => Some(FLAGS),
        Shape::Varchar => Some(Tag::Text.bit()),
        Shape::Timestamp => Some(0),
        Shape::Json => Some(ANY & !NULL),
        Shape::List { .. } | Shape::Struct(_) => None,
    }
}

fn add_inside(all: &mut Vec<Vec<String>>, path: &[String], shape: u32, shapes: &Shapes) {
    let Shape::Struct(fields) = &shapes.list[shape as usize] else { return };
    for (name, inner) in fields.keys.names().zip(&fields.shapes) {
        let mut inside = path.to_vec();
        inside.push(String::from_utf8_lossy(name).into_owned());
        add_inside(all, &inside, *inner, shapes);
        all.push(inside);
    }
}
