//! Adds up what batches counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::program::{Linked, PyProgram};
use super::result::BatchResult;
use crate::counts::{FieldCounts, RuleTotals};
use crate::outputs::Total;

#[pyclass(name = "Counters", module = "headwater.kernel._native", frozen)]
pub struct Counters {
    linked: Arc<Linked>,
    totals: Mutex<Totals>,
}

struct Totals {
    events: u64,
    rejects: u64,
    sampled: u64,
    rules: RuleTotals,
    fields: Vec<FieldCounts>,
    outputs: Vec<Total>,
}

impl Counters {
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Counters {
    #[new]
    fn new(program: PyRef<'_, PyProgram>) -> Self {
        let linked = program.linked.clone();
        let known = &linked.program;
        let totals = Totals {
            events: 0,
            rejects: 0,
            sampled: 0,
            rules: RuleTotals::new(known.rules.len(), &known.index),
            fields: vec![FieldCounts::default(); known.paths.len()],
            outputs: vec![Total::default(); known.datasets.len()],
        };
        Counters { linked, totals: Mutex::new(totals) }
    }

    fn add(&self, result: PyRef<'_, BatchResult>) -> PyResult<()> {
        if !Arc::ptr_eq(&self.linked, &result.linked) {
            return Err(PyValueError::new_err("the result is of another program than these counters"));
        }
        let mut totals = self.totals();
        totals.events += result.batch.events;
        totals.rejects += result.batch.rejects.len() as u64;
        totals.sampled += result.batch.sampled;
        totals.rules.add(&result.batch.rules, &result.batch.groups, &result.batch.times);
        for (path, counts) in &result.batch.fields {
            totals.fields[*path as usize].add(counts);
        }
        for (dataset, total) in result.batch.outputs.totals() {
            totals.outputs[dataset as usize].add(total);
        }
        Ok(())
    }

    fn events(&self) -> u64 {
        self.totals().events
    }

    fn rejects(&self) -> u64 {
        self.totals().rejects
    }

    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let program = &self.linked.program;
        let (counts, evaluated, ns, scale) = {
            let totals = self.totals();
            let rules = &totals.rules;
            let well_formed = totals.events - totals.rejects;
            let scale = if rules.timed > 0 { well_formed as f64 / rules.timed as f64 } else { 0.0 };
            (rules.rules.clone(), rules.evaluated(&program.index), rules.ns(&program.index), scale)
        };
        let rules = PyDict::new(py);
        for (number, (rule, counts)) in program.rules.iter().zip(&counts).enumerate() {
            let counted = PyDict::new(py);
            counted.set_item("matched", counts.matched)?;
            counted.set_item("evaluated", evaluated[number])?;
            counted.set_item("emitted", counts.emitted)?;
            counted.set_item("failed", counts.failed)?;
            counted.set_item("where_errors", counts.where_errors)?;
            counted.set_item("not_finite", counts.not_finite)?;
            counted.set_item("nulls", counts.nulls)?;
            counted.set_item("bytes", counts.bytes)?;
            counted.set_item("ns", (ns[number] * scale).round() as u64)?;
            rules.set_item(&rule.name, counted)?;
        }
        Ok(rules)
    }

    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // Two paths may look the same with dots between their keys: they then count together.
        let mut totals: std::collections::BTreeMap<&str, FieldCounts> = std::collections::BTreeMap::new();
        let sampled = {
            let known = self.totals();
            for (path, counts) in self.linked.program.paths.iter().zip(&known.fields) {
                totals.entry(path).or_default().add(counts);
            }
            known.sampled
        };
        let fields = PyDict::new(py);
        for (path, counts) in totals {
            let counted = PyDict::new(py);
            counted.set_item("coerced", counts.coerced)?;
            counted.set_item("type_errors", counts.type_errors)?;
            counted.set_item("present", counts.present)?;
            counted.set_item("nulls", sampled.saturating_sub(counts.present))?;
            fields.set_item(path, counted)?;
        }
        Ok(fields)
    }

    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let outputs = PyDict::new(py);
        let totals = self.totals().outputs.clone();
        for (dataset, total) in self.linked.program.datasets.iter().zip(totals) {
            let counted = PyDict::new(py);
            counted.set_item("rows", total.rows)?;
            counted.set_item("bytes", total.bytes)?;
            outputs.set_item(dataset, counted)?;
        }
        Ok(outputs)
    }

    fn sampled(&self) -> u64 {
        self.totals().sampled
    }

    fn timed(&self) -> u64 {
        self.totals().rules.timed
    }
}
