//! Python front of `link` and `run`.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::apart::apart;
use super::result::BatchResult;
use crate::link::{Formats, Program};
use crate::protobuf::Descriptor;
use crate::run::{self, Origin, Pool};
use crate::structure::Dispatch;

/// The way in which this process finds the structure of events.
#[pyfunction]
pub fn dispatch() -> &'static str {
    Dispatch::of_machine().name()
}

/// A linked rule set and the memory that its runs reuse.
pub struct Linked {
    pub program: Program,
    pub pool: Pool,
}

#[pyclass(name = "Program", module = "headwater.kernel._native", frozen)]
pub struct PyProgram {
    pub linked: Arc<Linked>,
}

#[pymethods]
impl PyProgram {
    #[new]
    #[pyo3(signature = (rules, *, input = None, outputs = None))]
    fn new(
        py: Python<'_>,
        rules: Vec<Vec<u8>>,
        input: Option<Vec<u8>>,
        outputs: Option<HashMap<String, Vec<u8>>>,
    ) -> PyResult<Self> {
        let link = || {
            let input = input.map(|stored| Descriptor::parse(&stored)).transpose()?;
            let parse = |(dataset, stored): (String, Vec<u8>)| Ok((dataset, Descriptor::parse(&stored)?));
            let outputs = outputs.unwrap_or_default().into_iter().map(parse).collect::<Result<_, String>>()?;
            Program::link_formats(&rules, Formats { input, outputs })
        };
        let program = apart(py, link)?.map_err(PyValueError::new_err)?;
        Ok(PyProgram { linked: Arc::new(Linked { program, pool: Pool::default() }) })
    }

    #[getter]
    fn rule_names(&self) -> Vec<&str> {
        self.linked.program.rules.iter().map(|rule| rule.name.as_str()).collect()
    }

    #[getter]
    fn datasets(&self) -> Vec<&str> {
        self.linked.program.datasets.iter().map(String::as_str).collect()
    }

    #[getter]
    fn field_paths(&self) -> Vec<&str> {
        self.linked.program.paths.iter().map(String::as_str).collect()
    }

    fn run(&self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<BatchResult> {
        let Linked { program, pool } = &*self.linked;
        let (ran, input) = if let Ok(batch) = batch.cast::<PyBytes>() {
            let lines = batch.as_bytes();
            (apart(py, || run::run_lines(program, pool, lines))?, Some(batch.clone().unbind()))
        } else if let Ok(list) = batch.cast::<PyList>() {
            let held: Vec<Bound<'_, PyBytes>> = list.iter().map(|item| item.cast_into::<PyBytes>()).collect::<Result<_, _>>()?;
            let items: Vec<&[u8]> = held.iter().map(|item| item.as_bytes()).collect();
            (apart(py, || run::run_items(program, pool, &items))?, None)
        } else {
            let given = batch.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a batch is bytes (NDJSON) or a list of bytes, not {given}")));
        };
        Ok(BatchResult::new(&self.linked, ran, input))
    }

    fn run_records(
        &self,
        py: Python<'_>,
        records: &Bound<'_, PyBytes>,
        topic: &str,
        partition: u32,
        first_offset: u64,
        snapshot: u32,
    ) -> PyResult<BatchResult> {
        let Linked { program, pool } = &*self.linked;
        let origin = Origin { topic, partition, first_offset, snapshot };
        let batch = records.as_bytes();
        let ran = apart(py, || run::run_records(program, pool, batch, origin))?;
        let ran = ran.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(BatchResult::new(&self.linked, ran, Some(records.clone().unbind())))
    }
}
