//! Finding the rules that match an event.

use crate::condition::{NULL, Tester};
use crate::counts::{Counts, Watch};
use crate::eval::Evaluation;
use crate::index::Entry;
use crate::run::{Run, State};
use crate::value::Value;

impl Run<'_> {
    /// Finds the rules that match.
    pub fn find<const TIMED: bool>(&mut self, text: &[u8]) {
        let program = self.program;
        let State { memory, operands, groups, matched, counts, .. } = &mut self.state;
        let evaluation = Evaluation { program, event: text, memory };
        let index = &program.index;
        let mut tester = Tester { evaluation, blocks: &index.blocks, keys: &index.keys, known: operands };
        groups.clear();
        groups.push(0);
        let mut watch = TIMED.then(Watch::start);
        while let Some(number) = groups.pop() {
            counts.group(number);
            let group = &index.groups[number as usize];
            for split in &group.splits {
                let known = tester.operand(split.operand);
                if known.null != NULL {
                    groups.extend(split.groups.get(known.value as u32));
                } else {
                    split.where_null.iter().for_each(|entry| counts.rule(entry.rule).evaluated += 1);
                    examine(&mut tester.evaluation, &split.where_null, matched, counts);
                }
            }
            let first = group.sieve.as_ref().map_or(group.blocks.0, |sieve| sieve.run(group.blocks.0, &mut tester, matched));
            tester.run(first, group.blocks.1, matched);
            examine(&mut tester.evaluation, &group.fallible, matched, counts);
            if let Some(watch) = &mut watch {
                self.batch.times.groups.push((number, watch.lap()));
            }
        }
    }
}

/// Evaluates what is left of the WHERE of these rules.
#[inline]
fn examine(evaluation: &mut Evaluation, entries: &[Entry], matched: &mut Vec<u32>, counts: &mut Counts) {
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
            Value::Failed => counts.rule(entry.rule).where_errors += 1,
            _ => {}
        }
    }
}
