//! Python front of what a batch gave.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::program::Linked;
use crate::run::Batch;

#[pyclass(name = "Result", module = "headwater.kernel._native", frozen)]
pub struct BatchResult {
    pub linked: Arc<Linked>,
    pub batch: Batch,
}

type Rejects = Vec<(usize, usize, usize, &'static str, usize)>;
type Failures<'a> = Vec<(usize, usize, usize, u32, &'a str, &'static str)>;

impl BatchResult {
    pub fn new(linked: &Arc<Linked>, batch: Batch) -> Self {
        BatchResult { linked: linked.clone(), batch }
    }
}

#[pymethods]
impl BatchResult {
    #[getter]
    fn events(&self) -> u64 {
        self.batch.events
    }

    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let outputs = PyDict::new(py);
        for (dataset, _, bytes) in &self.batch.outputs {
            outputs.set_item(&self.linked.program.datasets[*dataset as usize], PyBytes::new(py, bytes))?;
        }
        Ok(outputs)
    }

    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = PyDict::new(py);
        for (dataset, rows, _) in &self.batch.outputs {
            counted.set_item(&self.linked.program.datasets[*dataset as usize], rows)?;
        }
        Ok(counted)
    }

    #[getter]
    fn rules(&self) -> Vec<(u32, u64, u64, u64, u64)> {
        let counts = self.batch.rules.iter();
        counts.map(|(rule, of)| (*rule, of.matched, of.where_errors, of.failed, of.not_finite)).collect()
    }

    #[getter]
    fn fields(&self) -> Vec<(u32, u64, u64)> {
        self.batch.fields.iter().map(|(path, of)| (*path, of.coerced, of.type_errors)).collect()
    }

    #[getter]
    fn rejects(&self) -> Rejects {
        let rejects = self.batch.rejects.iter();
        rejects.map(|each| (each.position.index, each.position.start, each.position.end, each.reason, each.offset)).collect()
    }

    #[getter]
    fn failures(&self) -> Failures<'_> {
        let failures = self.batch.failures.iter();
        let row = |each: &crate::run::Failure| {
            let column = self.linked.program.rules[each.rule as usize].output.column(each.column);
            (each.position.index, each.position.start, each.position.end, each.rule, column, each.op.name())
        };
        failures.map(row).collect()
    }
}
