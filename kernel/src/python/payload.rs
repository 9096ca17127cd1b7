//! Python front of `payload`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::apart::apart;
use crate::payload;

#[pyfunction]
fn payload_lines<'py>(py: Python<'py>, records: &[u8]) -> PyResult<(Bound<'py, PyBytes>, u64)> {
    let (lines, count) = apart(py, || payload::lines(records))?.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok((PyBytes::new(py, &lines), count))
}

#[pyfunction]
fn record_delays(py: Python<'_>, records: &[u8], now_ms: i64) -> PyResult<Vec<(u64, u64)>> {
    apart(py, || payload::delays(records, now_ms))?.map_err(|error| PyValueError::new_err(error.to_string()))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(payload_lines, m)?)?;
    m.add_function(wrap_pyfunction!(record_delays, m)?)
}
