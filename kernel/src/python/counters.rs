//! Adds up what batches counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::program::{Linked, PyProgram};
use super::result::BatchResult;
use crate::run::{FieldCounts, RuleCounts};

#[pyclass(name = "Counters", module = "headwater.kernel._native", frozen)]
pub struct Counters {
    linked: Arc<Linked>,
    totals: Mutex<Totals>,
}

#[derive(Default)]
struct Totals {
    events: u64,
    rejects: u64,
    rules: Vec<RuleCounts>,
    fields: Vec<FieldCounts>,
    outputs: Vec<u64>,
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
            rules: vec![RuleCounts::default(); known.rules.len()],
            fields: vec![FieldCounts::default(); known.paths.len()],
            outputs: vec![0; known.datasets.len()],
            ..Totals::default()
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
        for (rule, counts) in &result.batch.rules {
            totals.rules[*rule as usize].add(counts);
        }
        for (path, counts) in &result.batch.fields {
            totals.fields[*path as usize].add(counts);
        }
        for (dataset, total) in result.batch.outputs.totals() {
            totals.outputs[dataset as usize] += total.rows;
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
        let rules = PyDict::new(py);
        for (rule, counts) in self.linked.program.rules.iter().zip(&self.totals().rules) {
            let counted = PyDict::new(py);
            counted.set_item("matched", counts.matched)?;
            counted.set_item("where_errors", counts.where_errors)?;
            counted.set_item("failed", counts.failed)?;
            counted.set_item("not_finite", counts.not_finite)?;
            rules.set_item(&rule.name, counted)?;
        }
        Ok(rules)
    }

    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // Two paths may look the same with dots between their keys: they then count together.
        let mut totals: std::collections::BTreeMap<&str, FieldCounts> = std::collections::BTreeMap::new();
        for (path, counts) in self.linked.program.paths.iter().zip(&self.totals().fields) {
            totals.entry(path).or_default().add(counts);
        }
        let fields = PyDict::new(py);
        for (path, counts) in totals {
            let counted = PyDict::new(py);
            counted.set_item("coerced", counts.coerced)?;
            counted.set_item("type_errors", counts.type_errors)?;
            fields.set_item(path, counted)?;
        }
        Ok(fields)
    }

    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let outputs = PyDict::new(py);
        for (dataset, rows) in self.linked.program.datasets.iter().zip(&self.totals().outputs) {
            outputs.set_item(dataset, rows)?;
        }
        Ok(outputs)
    }
}
