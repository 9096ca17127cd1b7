//! The Python front: one file per native class, registered here.

mod block;
mod deduplicate;
mod intake;
mod payload;

use pyo3::prelude::*;

#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    payload::register(m)?;
    intake::register(m)?;
    block::register(m)?;
    deduplicate::register(m)?;
    Ok(())
}
