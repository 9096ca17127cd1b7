//! The Python front: one file per native class, registered here.

mod apart;
mod arrow;
mod block;
mod classes;
mod counters;
mod deduplicate;
mod intake;
mod pattern;
mod payload;
mod program;
mod protobuf;
mod result;

use pyo3::prelude::*;

#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    crate::panics::install();
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_function(wrap_pyfunction!(program::dispatch, m)?)?;
    m.add_function(wrap_pyfunction!(program::structure_only, m)?)?;
    m.add_class::<program::PyProgram>()?;
    m.add_class::<result::BatchResult>()?;
    m.add_class::<arrow::ArrowColumns>()?;
    m.add_class::<arrow::ArrowRows>()?;
    m.add_class::<counters::Counters>()?;
    m.add_class::<protobuf::PyProtobuf>()?;
    m.add_function(wrap_pyfunction!(protobuf::whole_messages, m)?)?;
    payload::register(m)?;
    classes::register(m)?;
    intake::register(m)?;
    pattern::register(m)?;
    block::register(m)?;
    deduplicate::register(m)?;
    Ok(())
}
