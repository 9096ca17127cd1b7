//! Python front of `classes`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::apart::apart;
use crate::classes;

#[pyfunction]
fn split_by_class<'py>(py: Python<'py>, records: &[u8], classes: u32) -> PyResult<Vec<(u32, u64, Bound<'py, PyBytes>)>> {
    if classes == 0 {
        return Err(PyValueError::new_err("0 key classes; there is at least 1"));
    }
    let parts = apart(py, || classes::split(records, classes))?.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(parts.into_iter().map(|part| (part.class, part.count, PyBytes::new(py, &part.records))).collect())
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(split_by_class, m)?)
}
