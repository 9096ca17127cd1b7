//! Work without the GIL, and panics as exceptions.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::panics::{self, Panicked};

impl From<Panicked> for PyErr {
    fn from(panicked: Panicked) -> PyErr {
        PyRuntimeError::new_err(format!("the kernel failed at {}; this is a fault of Headwater", panicked.place))
    }
}

/// Runs `work` while other threads may have the GIL. A panic in it is a RuntimeError.
///
/// PyO3 by itself would make a PanicException of it, which is no Exception: what retries or reports failures would not see it.
pub fn apart<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    Ok(py.detach(|| panics::caught(work))?)
}
