//! Linking what a program has to do with messages.

use std::collections::BTreeSet;

use super::Descriptor;
use super::copy::Copy;
use super::descriptor::Meaning;
use super::encode::Encoder;
use super::input::Input;
use super::output::Encoding;
use super::row::{Column, How, Part, Row, Rows};
use crate::json::Cursor;
use crate::link::{Call, Formats, LinkedRule, Linker, Node, Output, Reading};
use crate::physical::{Expression, Rule, Select};
use crate::trie::Trie;

/// By dataset: what its rows are, if they are messages.
pub fn encodings(formats: &mut Formats, datasets: &[String]) -> Vec<Option<Encoding>> {
    let encoding = |(dataset, number): (&String, u32)| {
        let descriptor = formats.outputs.remove(dataset)?;
        let is_input = formats.input.as_ref().is_some_and(|input| input.is_like(&descriptor));
        Some(Encoding { descriptor, is_input, alike: number })
    };
    datasets.iter().zip(0..).map(encoding).collect()
}

/// Notes which of the datasets that whole events go to have messages alike.
pub fn note_alike(encodings: &mut [Option<Encoding>], linked: &[LinkedRule]) {
    let stars = linked.iter().filter(|rule| matches!(rule.output, Output::Star { .. }));
    let datasets: BTreeSet<u32> = stars.map(|rule| rule.dataset).collect();
    let mut distinct: Vec<u32> = Vec::new();
    for dataset in datasets {
        let Some(encoding) = &encodings[dataset as usize] else { continue };
        let of = |other: &&u32| encodings[**other as usize].as_ref();
        let alike = distinct.iter().find(|other| of(other).is_some_and(|other| other.descriptor.is_like(&encoding.descriptor)));
        match alike.copied() {
            Some(alike) => encodings[dataset as usize].iter_mut().for_each(|encoding| encoding.alike = alike),
            None => distinct.push(dataset),
        }
    }
}

impl Linker<'_> {
    /// The output of a rule that selects columns into messages. Its row is made later.
    pub fn message_output(&mut self, columns: &[(String, Expression)]) -> Output {
        let mut names = Vec::new();
        for (name, value) in columns {
            let node = self.expression(value);
            if self.constant(node).is_none() {
                names.push(name.clone());
            }
        }
        Output::Message { row: Row::default(), names }
    }

    /// Makes the rows of all rules that write messages.
    pub fn message_rows(
        &mut self,
        encodings: &[Option<Encoding>],
        input: Option<&Input>,
        rules: &[Rule],
        linked: &mut [LinkedRule],
        first_shared: usize,
    ) -> Rows {
        let mut parts = Vec::new();
        let mut encoder = Encoder::default();
        for (rule, linked) in rules.iter().zip(linked.iter_mut()) {
            let Some(encoding) = &encodings[linked.dataset as usize] else { continue };
            match &rule.select {
                Select::Star { exclude, replace } => {
                    linked.passes_whole = encoding.is_input && exclude.is_empty() && replace.is_empty();
                }
                Select::Columns(columns) => {
                    let part = |(name, value): &(String, Expression)| {
                        let node = self.expression(value);
                        self.message_part(&mut encoder, (encoding, linked.dataset), input, name, node)
                    };
                    let row: Vec<Part> = columns.iter().map(part).collect();
                    if let Some(input) = input {
                        linked.needs = self.needs(input, row.iter().filter_map(Part::evaluated).collect());
                    }
                    parts.push(row);
                }
            }
        }
        let (rows, made) = Rows::new(parts, &self.nodes, &self.may_fail, first_shared);
        let outputs = linked.iter_mut().filter_map(|rule| match &mut rule.output {
            Output::Message { row, .. } => Some(row),
            _ => None,
        });
        for (row, made) in outputs.zip(made) {
            *row = made;
        }
        rows
    }

    fn message_part(
        &self,
        encoder: &mut Encoder,
        (encoding, dataset): (&Encoding, u32),
        input: Option<&Input>,
        name: &str,
        node: u32,
    ) -> Part {
        let descriptor = &encoding.descriptor;
        let place = descriptor.structs[0].names.find(name.as_bytes());
        if let Some(value) = self.constant(node) {
            let (mut json, mut written) = (Vec::new(), Vec::new());
            if let Some(place) = place
                && self.write_constant(value, &mut json)
                && let Ok(span) = Cursor::from(&json, 0).value()
            {
                encoder.column(descriptor, place as usize, &json, span, &mut written);
            }
            return Part::Constant(written);
        }
        let Some(place) = place else {
            return Part::Column(Column { node, how: How::Nowhere, tag: Vec::new(), field: (dataset, 0), copied: None });
        };
        let field = &descriptor.structs[0].fields[place as usize];
        let (shape, reading) = match self.nodes[node as usize] {
            Node::Reading(number) => (self.readings[number as usize].shape, Some(number)),
            Node::Call(call) => (call.shape, None),
            Node::Constant(_) => (0, None),
        };
        let copied = input.zip(reading).and_then(|(input, reading)| {
            let number = input.held_for(reading)?;
            let held = &input.held[number as usize];
            let from = &input.descriptor.structs[held.number].fields[held.place];
            let copy = Copy::new((&input.descriptor, from), shape, &self.shapes, (descriptor, field))?;
            Some((number, copy))
        });
        let meaning = descriptor.structs.get(field.inner).map_or(Meaning::None, |inner| inner.meaning);
        let how = How::of(&self.shapes.list[shape as usize], field, meaning);
        let tag = if how == How::Encoded { Vec::new() } else { field.tag.clone() };
        Part::Column(Column { node, how, tag, field: (dataset, place), copied })
    }

    /// Makes ready for events that are messages. `filters` are the nodes of all WHEREs.
    pub fn input(
        &mut self,
        descriptor: Descriptor,
        trie: &Trie,
        readings_of: &[Vec<(u32, Reading)>],
        filters: Vec<u32>,
        rules: &[Rule],
        linked: &mut [LinkedRule],
    ) -> Input {
        let mut asked = vec![false; self.readings.len()];
        self.readings_in(filters).into_iter().for_each(|reading| asked[reading as usize] = true);
        let input = Input::new(descriptor, trie, readings_of, &self.shapes, &asked);
        for (rule, linked) in rules.iter().zip(linked) {
            let columns = rule.select.columns().iter().map(|(_, value)| self.expression(value)).collect();
            linked.needs = self.needs(&input, columns);
        }
        input
    }

    /// The fields that must be read as JSON before these nodes are evaluated.
    fn needs(&self, input: &Input, nodes: Vec<u32>) -> Vec<u32> {
        let held: BTreeSet<u32> = self.readings_in(nodes).into_iter().filter_map(|of| input.held_for(of)).collect();
        held.into_iter().filter(|held| !input.held[*held as usize].eager).collect()
    }

    /// The readings that nodes ask for, sorted.
    fn readings_in(&self, mut pending: Vec<u32>) -> BTreeSet<u32> {
        let (mut readings, mut seen) = (BTreeSet::new(), BTreeSet::new());
        while let Some(node) = pending.pop() {
            match self.nodes[node as usize] {
                Node::Reading(reading) => {
                    readings.insert(reading);
                }
                Node::Call(Call { first, count, .. }) if seen.insert(node) => {
                    pending.extend_from_slice(&self.arguments[first as usize..(first + count) as usize]);
                }
                _ => {}
            }
        }
        readings
    }
}
