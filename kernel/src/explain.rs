//! What became of the conditions of rules in the index: which find a rule, which are tested in masks, which by themselves.

use std::collections::{HashMap, HashSet};

use crate::condition::Form;
use crate::index::Note;
use crate::link::Program;

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// What WHERE joins by AND, in its order.
    pub conditions: Vec<Condition>,
    /// How many groups of the index hold the rule; none where its WHERE contradicts itself.
    pub groups: u32,
    /// How many other rules are looked at together with it, in the largest of these groups.
    pub beside: u32,
    /// Its WHERE can be NULL because something failed.
    pub can_fail: bool,
}

/// One condition: in how many of the rule's groups it is what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The rule is found by the values that it allows: as the first atom (1), the second, … 0 if it is not.
    pub level: u32,
    pub found_in: u32,
    /// A bit of a mask, tested for many rules at once.
    pub masked_in: u32,
    /// Evaluated by itself, once an event, when all before it hold.
    pub alone_in: u32,
    /// Other rules that have the same condition, evaluated once an event for all.
    pub shared_with: u32,
}

/// Every rule of a program, in its order.
pub fn explain(program: &Program) -> Vec<Explained> {
    let index = &program.index;
    let mut notes: Vec<Vec<&Note>> = vec![Vec::new(); program.rules.len()];
    let mut having: HashMap<u32, HashSet<u32>> = HashMap::new();
    for note in &index.notes {
        notes[note.rule as usize].push(note);
        having.entry(note.node).or_default().insert(note.rule);
    }
    let mut found: Vec<Explained> = notes.iter().map(|notes| begun(notes, &having)).collect();
    let mut pending: Vec<(u32, Vec<u32>)> = vec![(0, Vec::new())];
    while let Some((number, used)) = pending.pop() {
        let group = &index.groups[number as usize];
        for split in &group.splits {
            let Form::Code(key) = index.blocks.operands[split.operand as usize].form else { continue };
            let deeper = || used.iter().copied().chain([key]).collect();
            pending.extend(split.groups.iter().map(|inner| (inner, deeper())));
        }
        let beside = (index.rules_of(number as usize).count() as u32).saturating_sub(1);
        for (rule, nodes) in index.blocks.rules_and_nodes(group.blocks) {
            let rule = rule as usize;
            held(&mut found[rule], &notes[rule], &used, beside, |node| nodes.contains(&node));
        }
        for entry in &group.fallible {
            let rule = entry.rule as usize;
            found[rule].can_fail = true;
            held(&mut found[rule], &notes[rule], &used, beside, |_| true);
        }
    }
    found
}

fn begun(notes: &[&Note], having: &HashMap<u32, HashSet<u32>>) -> Explained {
    let mut found = Explained::default();
    for note in notes {
        found.conditions.resize(note.place as usize + 1, Condition::default());
        found.conditions[note.place as usize].shared_with = having[&note.node].len() as u32 - 1;
    }
    found
}

/// A group that is found by these keys holds the rule.
fn held(rule: &mut Explained, notes: &[&Note], used: &[u32], beside: u32, alone: impl Fn(u32) -> bool) {
    rule.groups += 1;
    rule.beside = rule.beside.max(beside);
    for notes in notes.chunk_by(|one, next| one.place == next.place) {
        let note = notes[0];
        let condition = &mut rule.conditions[note.place as usize];
        let levels = notes.iter().filter_map(|note| used.iter().position(|key| Some(*key) == note.key));
        let level = levels.min().map(|level| level as u32 + 1);
        if let Some(level) = level {
            condition.level = if condition.level == 0 { level } else { condition.level.min(level) };
            condition.found_in += 1;
        }
        if level.is_none() || !note.exact {
            *(if alone(note.node) { &mut condition.alone_in } else { &mut condition.masked_in }) += 1;
        }
    }
}
