//! Finding the rules that match an event.

use crate::eval::Evaluation;
use crate::index::Entry;
use crate::run::{KeyState, RuleCounts, Run, State};
use crate::value::Value;

impl Run<'_> {
    /// Finds the rules that match.
    pub fn find(&mut self, text: &[u8]) {
        let program = self.program;
        let State { memory, keys, groups, matched, rules, .. } = &mut self.state;
        let epoch = memory.epoch;
        let mut evaluation = Evaluation { program, event: text, memory };
        groups.clear();
        groups.push(0);
        while let Some(group) = groups.pop() {
            let group = &program.index.groups[group as usize];
            for split in &group.splits {
                let known = &mut keys[split.key as usize];
                if known.1 != epoch {
                    *known = (key_state(&mut evaluation, split.key), epoch);
                }
                match known.0 {
                    KeyState::Literal(number) => groups.extend(split.groups.get(number)),
                    KeyState::Null => examine(&mut evaluation, &split.where_null, matched, rules),
                    KeyState::Other => {}
                }
            }
            examine(&mut evaluation, &group.entries, matched, rules);
        }
    }
}

fn key_state(evaluation: &mut Evaluation, number: u32) -> KeyState {
    let key = &evaluation.program.index.keys[number as usize];
    let found = match evaluation.value(key.node) {
        Value::Null | Value::Failed => return KeyState::Null,
        Value::Integer(integer) => key.integers.get(&integer).copied(),
        value => key.texts.find(evaluation.texts().bytes(value)),
    };
    found.map_or(KeyState::Other, KeyState::Literal)
}

/// Evaluates what is left of the WHERE of these rules.
#[inline]
fn examine(evaluation: &mut Evaluation, entries: &[Entry], matched: &mut Vec<u32>, rules: &mut [RuleCounts]) {
    let index = &evaluation.program.index;
    for entry in entries {
        let conditions = &index.conditions[entry.first as usize..(entry.first + entry.count) as usize];
        let can_fail = index.can_fail[entry.rule as usize];
        let mut result = Value::Boolean(true);
        for condition in conditions {
            match evaluation.value(*condition) {
                Value::Boolean(true) => {}
                Value::Failed => result = Value::Failed,
                Value::Null if can_fail => {
                    if result != Value::Failed {
                        result = Value::Null;
                    }
                }
                _ => {
                    result = Value::Boolean(false);
                    break;
                }
            }
        }
        match result {
            Value::Boolean(true) => matched.push(entry.rule),
            Value::Failed => rules[entry.rule as usize].where_errors += 1,
            _ => {}
        }
    }
}
