//! Finding the rules that match an event.

use crate::condition::{NULL, Tester};
use crate::eval::Evaluation;
use crate::index::Entry;
use crate::run::{RuleCounts, Run, State};
use crate::value::Value;

impl Run<'_> {
    /// Finds the rules that match.
    pub fn find(&mut self, text: &[u8]) {
        let program = self.program;
        let State { memory, operands, groups, matched, rules, .. } = &mut self.state;
        let evaluation = Evaluation { program, event: text, memory };
        let index = &program.index;
        let mut tester = Tester { evaluation, blocks: &index.blocks, keys: &index.keys, known: operands };
        groups.clear();
        groups.push(0);
        while let Some(group) = groups.pop() {
            let group = &index.groups[group as usize];
            for split in &group.splits {
                let known = tester.operand(split.operand);
                if known.null != NULL {
                    groups.extend(split.groups.get(known.value as u32));
                } else {
                    examine(&mut tester.evaluation, &split.where_null, matched, rules);
                }
            }
            tester.run(group.blocks.0, group.blocks.1, matched);
            examine(&mut tester.evaluation, &group.fallible, matched, rules);
        }
    }
}

/// Evaluates what is left of the WHERE of these rules.
#[inline]
fn examine(evaluation: &mut Evaluation, entries: &[Entry], matched: &mut Vec<u32>, rules: &mut [RuleCounts]) {
    let index = &evaluation.program.index;
    for entry in entries {
        let conditions = &index.conditions[entry.first as usize..(entry.first + entry.count) as usize];
        let mut result = Value::Boolean(true);
        for condition in conditions {
            match evaluation.value(*condition) {
                Value::Boolean(true) => {}
                Value::Failed => result = Value::Failed,
                Value::Null => {
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
