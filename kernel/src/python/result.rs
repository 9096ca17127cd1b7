//! Python front of what a batch gave.

use std::sync::Arc;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::apart::apart;
use super::arrow::ArrowRows;
use super::program::Linked;
use crate::counts::{RuleCounts, RuleTotals};
use crate::link::Program;
use crate::run::Batch;

#[pyclass(name = "Result", module = "headwater.kernel._native", frozen)]
pub struct BatchResult {
    pub linked: Arc<Linked>,
    pub batch: Batch,
    /// The batch that was run, where events that are passed on whole stand; none if it was a list.
    input: Option<Py<PyBytes>>,
}

type Rejects = Vec<(usize, usize, usize, &'static str, usize)>;
type Failures<'a> = Vec<(usize, usize, usize, u32, &'a str, &'a str)>;

impl BatchResult {
    pub fn new(linked: &Arc<Linked>, batch: Batch, input: Option<Py<PyBytes>>) -> Self {
        BatchResult { linked: linked.clone(), batch, input }
    }
}

/// The next batch writes into the same memory.
impl Drop for BatchResult {
    fn drop(&mut self) {
        self.linked.pool.give_outputs(std::mem::take(&mut self.batch.outputs));
    }
}

/// The ends of bytes objects that are being filled.
struct Ends(Vec<*mut u8>);

impl Ends {
    /// The whole, so that a closure takes it as one.
    fn all(&mut self) -> &mut [*mut u8] {
        &mut self.0
    }
}

// SAFETY: the objects are new, known to nobody but the thread that fills them, and kept alive by it.
unsafe impl Send for Ends {}

/// A bytes object whose bytes are still to be written, and where they begin.
fn empty_bytes(py: Python<'_>, bytes: usize) -> PyResult<(Bound<'_, PyBytes>, *mut u8)> {
    let size = ffi::Py_ssize_t::try_from(bytes)?;
    // SAFETY: a null pointer asks for an object of this size with undefined content; the result is a new reference, or null with
    // an exception set, which the checked conversion takes over. The pointer to the content is valid as long as the object is.
    unsafe {
        let object = Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), size))?;
        let content = ffi::PyBytes_AsString(object.as_ptr()).cast::<u8>();
        Ok((object.cast_into_unchecked(), content))
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
        let datasets = &self.linked.program.datasets;
        let outputs = PyDict::new(py);
        let mut ends = Ends(vec![std::ptr::null_mut(); datasets.len()]);
        for (dataset, total) in self.batch.outputs.totals().filter(|(_, total)| total.bytes > 0) {
            let (bytes, content) = empty_bytes(py, total.bytes)?;
            ends.0[dataset as usize] = content;
            outputs.set_item(&datasets[dataset as usize], bytes)?;
        }
        let input = self.input.as_ref().map_or(&[][..], |input| input.as_bytes(py));
        let ends = &mut ends;
        // SAFETY: for each dataset there is an object of as many bytes as its total says; the dictionary, which nobody else has
        // seen, keeps them alive.
        apart(py, || unsafe { self.batch.outputs.copy_to(input, ends.all()) })?;
        Ok(outputs)
    }

    #[getter]
    fn arrow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Program { tables, datasets, .. } = &self.linked.program;
        let found = PyDict::new(py);
        for (number, rows) in &self.batch.arrow {
            let table = &tables[*number as usize];
            found.set_item(&datasets[table.dataset as usize], ArrowRows::new(table, rows))?;
        }
        Ok(found)
    }

    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counted = PyDict::new(py);
        for (dataset, total) in self.batch.outputs.totals() {
            counted.set_item(&self.linked.program.datasets[dataset as usize], total.rows)?;
        }
        Ok(counted)
    }

    #[getter]
    fn rules(&self) -> Vec<(u32, u64, u64, u64, u64)> {
        let row = |(rule, of): &(u32, RuleCounts)| (*rule, of.matched, of.where_errors, of.failed, of.not_finite);
        self.batch.rules.iter().map(row).filter(|row| (row.1, row.2, row.3, row.4) != (0, 0, 0, 0)).collect()
    }

    #[getter]
    fn written(&self) -> Vec<(u32, u64, u64, u64)> {
        let rules = self.batch.rules.iter().filter(|(_, of)| of.emitted > 0);
        rules.map(|(rule, of)| (*rule, of.emitted, of.nulls, of.bytes)).collect()
    }

    #[getter]
    fn evaluated(&self) -> Vec<(u32, u64)> {
        let Batch { rules, groups, times, .. } = &self.batch;
        let program = &self.linked.program;
        let mut totals = RuleTotals::new(program.rules.len(), &program.index);
        totals.add(rules, groups, times);
        (0..).zip(totals.evaluated(&program.index)).filter(|(_, count)| *count > 0).collect()
    }

    #[getter]
    fn presence(&self) -> Vec<(u64, u64)> {
        let mut found = vec![(0, self.batch.sampled); self.linked.program.paths.len()];
        for (path, counts) in &self.batch.fields {
            found[*path as usize] = (counts.present, self.batch.sampled - counts.present);
        }
        found
    }

    #[getter]
    fn fields(&self) -> Vec<(u32, u64, u64)> {
        let wrong = self.batch.fields.iter().filter(|(_, of)| of.coerced + of.type_errors > 0);
        wrong.map(|(path, of)| (*path, of.coerced, of.type_errors)).collect()
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
        let mut rows: Failures = failures.map(row).collect();
        for (number, reason) in &self.batch.reasons {
            rows[*number].5 = reason;
        }
        rows
    }
}
