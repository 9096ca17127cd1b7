//! Linking what a program has to do with messages.

use std::collections::BTreeSet;

use super::Descriptor;
use super::input::Input;
use crate::link::{Call, LinkedRule, Linker, Node, Reading};
use crate::physical::Rule;
use crate::trie::Trie;

impl Linker<'_> {
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
            let held: BTreeSet<u32> = self.readings_in(columns).into_iter().filter_map(|of| input.held_for(of)).collect();
            linked.needs = held.into_iter().filter(|held| !input.held[*held as usize].eager).collect();
        }
        input
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
