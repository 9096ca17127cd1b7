//! Python front of `deduplicate`.

use std::sync::Mutex;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::apart::apart;
use crate::deduplicate::{Deduplicator as Filter, Outcome};

#[pyclass(frozen, module = "headwater.kernel")]
pub struct Deduplicator(Mutex<Filter>);

impl Deduplicator {
    /// A filter that failed inside a batch knows some of its ids: the same batch, tried again, would be repeats of itself. So a
    /// poisoned one refuses all, and what was not committed is read again by one that is restored.
    fn locked<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Filter) -> T + Send) -> PyResult<T> {
        let done = apart(py, || self.0.lock().ok().map(|mut filter| work(&mut filter)))?;
        done.ok_or_else(|| {
            PyRuntimeError::new_err("the deduplication filter failed in an earlier batch; restore it from its state")
        })
    }
}

#[pymethods]
impl Deduplicator {
    #[new]
    fn new(window_ms: i64, ids_max: usize) -> PyResult<Self> {
        Ok(Deduplicator(Mutex::new(Filter::new(window_ms, ids_max).map_err(PyValueError::new_err)?)))
    }

    #[staticmethod]
    fn restore(state: &[u8], window_ms: i64, ids_max: usize) -> PyResult<Self> {
        Ok(Deduplicator(Mutex::new(Filter::restore(state, window_ms, ids_max).map_err(PyValueError::new_err)?)))
    }

    fn run(&self, py: Python<'_>, records: &[u8], topic: &str, partition: u32, first_offset: u64) -> PyResult<Deduplicated> {
        let outcome = self.locked(py, |filter| filter.run(records, topic, partition, first_offset))?;
        Ok(Deduplicated(outcome.map_err(PyValueError::new_err)?))
    }

    fn replay(&self, py: Python<'_>, records: &[u8], topic: &str, partition: u32, first_offset: u64) -> PyResult<()> {
        self.locked(py, |filter| filter.replay(records, topic, partition, first_offset))?.map_err(PyValueError::new_err)
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.locked(py, |filter| filter.state())?))
    }

    fn replay_ranges(&self, py: Python<'_>) -> PyResult<Vec<(String, u32, u64, u64)>> {
        self.locked(py, |filter| filter.replay_ranges())
    }

    #[getter]
    fn ids(&self, py: Python<'_>) -> PyResult<usize> {
        self.locked(py, |filter| filter.ids())
    }

    #[getter]
    fn forgotten(&self, py: Python<'_>) -> PyResult<u64> {
        self.locked(py, |filter| filter.forgotten())
    }
}

#[pyclass(frozen, module = "headwater.kernel")]
pub struct Deduplicated(Outcome);

#[pymethods]
impl Deduplicated {
    #[getter]
    fn records<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.records)
    }

    #[getter]
    fn count(&self) -> usize {
        self.0.kept.len() - self.0.duplicates as usize
    }

    #[getter]
    fn duplicates(&self) -> u32 {
        self.0.duplicates
    }

    #[getter]
    fn kept(&self) -> Vec<bool> {
        self.0.kept.clone()
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Deduplicator>()?;
    m.add_class::<Deduplicated>()
}
