//! Python front of rows as Arrow: the PyCapsule interface.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrow::Rows;
use crate::arrow::interface::{ArrowArray, ArrowArrayStream, ArrowSchema};
use crate::arrow::table::Table;

#[pyclass(name = "ArrowColumns", module = "headwater.kernel._native", frozen)]
pub struct ArrowColumns {
    table: Arc<Table>,
}

#[pyclass(name = "ArrowRows", module = "headwater.kernel._native", frozen)]
pub struct ArrowRows {
    table: Arc<Table>,
    rows: Arc<Rows>,
}

// A capsule points to the structure, which drops what no consumer has taken over.

fn schema_capsule<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, ArrowSchema::of(table), c"arrow_schema")
}

impl ArrowColumns {
    pub fn new(table: &Arc<Table>) -> Self {
        ArrowColumns { table: table.clone() }
    }
}

impl ArrowRows {
    pub fn new(table: &Arc<Table>, rows: &Arc<Rows>) -> Self {
        ArrowRows { table: table.clone(), rows: rows.clone() }
    }
}

#[pymethods]
impl ArrowColumns {
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.table.columns.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.table)
    }
}

#[pymethods]
impl ArrowRows {
    fn __len__(&self) -> usize {
        self.rows.count
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.table)
    }

    /// A consumer that wants other types converts them itself, as the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    #[allow(unused_variables)]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let array = PyCapsule::new_with_value(py, ArrowArray::of(&self.rows), c"arrow_array")?;
        Ok((schema_capsule(py, &self.table)?, array))
    }

    #[pyo3(signature = (requested_schema=None))]
    #[allow(unused_variables)]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, ArrowArrayStream::of(&self.table, &self.rows), c"arrow_array_stream")
    }
}
