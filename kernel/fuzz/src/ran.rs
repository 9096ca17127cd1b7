//! Runs of programs, and what must hold of every one.

use std::collections::BTreeMap;

use headwater_kernel::counts::RuleCounts;
use headwater_kernel::json::{self, Kind};
use headwater_kernel::link::Program;
use headwater_kernel::record::RecordRef;
use headwater_kernel::run::{self, Batch, Origin, Pool};

use crate::reference;

/// What batches gave, added up.
#[derive(Debug, Default, PartialEq)]
pub struct Given {
    pub events: u64,
    pub outputs: BTreeMap<u32, Vec<u8>>,
    /// Matched, errors in WHERE, failed, not finite.
    pub rules: BTreeMap<u32, [u64; 4]>,
    pub fields: BTreeMap<u32, [u64; 2]>,
    pub rejects: Vec<(usize, &'static str)>,
    pub failures: Vec<(usize, u32, u32)>,
}

impl Given {
    /// Adds a batch whose events are numbered from `first` on. `input` is the batch that was run.
    pub fn add(&mut self, batch: &Batch, input: &[u8], first: usize) {
        self.events += batch.events;
        for (dataset, _, bytes) in batch.outputs.collect(input) {
            self.outputs.entry(dataset).or_default().extend(bytes);
        }
        // What is sampled, or depends on the index, is left aside.
        let counted = |of: &RuleCounts| of.matched + of.where_errors + of.failed > 0;
        for (rule, of) in batch.rules.iter().filter(|(_, of)| counted(of)) {
            let known = self.rules.entry(*rule).or_default();
            for (known, more) in known.iter_mut().zip([of.matched, of.where_errors, of.failed, of.not_finite]) {
                *known += more;
            }
        }
        for (path, of) in batch.fields.iter().filter(|(_, of)| of.coerced + of.type_errors > 0) {
            let known = self.fields.entry(*path).or_default();
            *known = [known[0] + of.coerced, known[1] + of.type_errors];
        }
        self.rejects.extend(batch.rejects.iter().map(|reject| (first + reject.position.index, reject.reason)));
        let failures = batch.failures.iter().map(|each| (first + each.position.index, each.rule, each.column));
        self.failures.extend(failures);
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// Runs NDJSON as lines, as a list, as records, and each event alone by a fresh pool: all give the same, and every row is JSON.
pub fn one_after_the_other(program: &Program, pool: &Pool, batch: &[u8]) -> Given {
    let texts: Vec<&[u8]> = batch.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).collect();
    let joined = texts.join(&b'\n');
    let (mut lines, mut items, mut alone) = (Given::default(), Given::default(), Given::default());
    let ran = run::run_lines(program, pool, &joined);
    lines.add(&ran, &joined, 0);
    pool.give_outputs(ran.outputs);
    items.add(&run::run_items(program, pool, &texts), &[], 0);
    assert_eq!(lines, items);
    // A space before the event keeps the scan from taking the text of nested values as it is.
    let fresh = Pool::default();
    for (index, text) in texts.iter().enumerate() {
        let spaced = [b" ", *text].concat();
        alone.add(&run::run_items(program, &fresh, &[&spaced]), &[], index);
        let object = json::check(text).is_ok_and(|span| span.kind == Kind::Object);
        let rejected = lines.rejects.iter().any(|(rejected, _)| *rejected == index);
        assert_ne!(rejected, object, "{:?}", String::from_utf8_lossy(text));
    }
    assert_eq!(lines, alone);
    for rows in lines.outputs.values() {
        for row in rows.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()) {
            assert!(row.starts_with(b"{") && reference::is_json(row), "{}", String::from_utf8_lossy(row));
        }
    }
    as_records(program, pool, &texts, &lines);
    lines
}

/// The same events as records give the same counts, and records as outputs.
fn as_records(program: &Program, pool: &Pool, texts: &[&[u8]], expected: &Given) {
    const ORIGIN: Origin = Origin { topic: "t", partition: 0, first_offset: 0, snapshot: 1 };
    let mut batch = Vec::new();
    for payload in texts {
        RecordRef { key: "k", event_id: "id", payload, ..RecordRef::default() }.encode(&mut batch).unwrap();
    }
    let ran = run::run_records(program, pool, &batch, ORIGIN).unwrap();
    let mut given = Given::default();
    given.add(&ran, &batch, 0);
    let counts = |given: &Given| (given.events, given.rules.clone(), given.fields.clone(), given.rejects.clone());
    assert_eq!(counts(&given), counts(expected));
    assert_eq!(given.failures, expected.failures);
    for (dataset, records) in &given.outputs {
        let mut rows = Vec::new();
        for record in headwater_kernel::record::records(records) {
            rows.extend_from_slice(record.unwrap().1.payload);
            rows.push(b'\n');
        }
        assert_eq!(Some(&rows), expected.outputs.get(dataset));
    }
    pool.give_outputs(ran.outputs);
}
