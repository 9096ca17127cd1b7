//! Python front of `link` and `run`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::apart::apart;
use super::arrow::ArrowColumns;
use super::result::BatchResult;
use crate::arrow::table::Wanted;
use crate::explain::{self, Explained};
use crate::link::{Formats, Program};
use crate::physical;
use crate::protobuf::Descriptor;
use crate::run::{self, Origin, Pool, Run};
use crate::structure::{self, Dispatch};
use crate::udf::{Answers, Scouting, Source};

/// The way in which this process finds the structure of events.
#[pyfunction]
pub fn dispatch() -> PyResult<&'static str> {
    Dispatch::of_machine().map(Dispatch::name).map_err(PyValueError::new_err)
}

/// Finds the structure of each line and nothing else; how many brackets, colons, commas and values there are.
#[pyfunction]
pub fn structure_only(py: Python<'_>, batch: &[u8]) -> PyResult<usize> {
    let dispatch = Dispatch::of_machine().map_err(PyValueError::new_err)?;
    apart(py, || structure::positions_of_lines(batch, dispatch))
}

/// A linked rule set and the memory that its runs reuse.
pub struct Linked {
    pub program: Program,
    pub pool: Pool,
    /// Of the rules that call Python functions, by themselves.
    scout_pool: Pool,
}

/// The datasets that are to be written as Arrow, with their columns in the stored form.
fn wanted(datasets: BTreeMap<String, Option<Vec<u8>>>) -> Result<Vec<Wanted>, String> {
    let wanted = datasets.into_iter().map(|(dataset, columns)| {
        let columns = columns.map(|stored| physical::parse_columns(&stored)).transpose();
        let columns = columns.map_err(|error| format!("dataset `{dataset}`: {error}"))?;
        Ok(Wanted { dataset, columns })
    });
    wanted.collect()
}

#[pyclass(name = "Program", module = "headwater.kernel._native", frozen)]
pub struct PyProgram {
    pub linked: Arc<Linked>,
    /// What calls Python functions.
    udfs: Option<Py<PyAny>>,
}

impl PyProgram {
    /// What the calls give that a batch asks for; none where no rule calls a function. Each function is called once a round.
    fn answers(&self, py: Python<'_>, source: Source) -> PyResult<Option<Box<Answers>>> {
        let Linked { program, scout_pool, .. } = &*self.linked;
        let (Some(udfs), Some(functions)) = (&program.udfs, &self.udfs) else { return Ok(None) };
        let mut scouting =
            apart(py, || Scouting::new(udfs, scout_pool, source))?.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut batch = None;
        loop {
            let requests = apart(py, || scouting.round(source))?;
            if requests.is_empty() {
                return Ok(Some(scouting.finish()));
            }
            let batch = match &batch {
                Some(batch) => batch,
                None => batch.insert(functions.bind(py).call_method0("batch")?),
            };
            for request in requests {
                let columns = PyBytes::new(py, &request.columns);
                let answer = batch.call1((scouting.name(&request), request.rows(), columns))?.cast_into::<PyBytes>()?;
                let bytes = answer.as_bytes();
                apart(py, || scouting.answer(&request, bytes))?;
            }
        }
    }
}

#[pymethods]
impl PyProgram {
    #[new]
    #[pyo3(signature = (rules, udfs = None, *, input = None, outputs = None, arrow = None))]
    fn new(
        py: Python<'_>,
        rules: Vec<Vec<u8>>,
        udfs: Option<Py<PyAny>>,
        input: Option<Vec<u8>>,
        outputs: Option<HashMap<String, Vec<u8>>>,
        arrow: Option<BTreeMap<String, Option<Vec<u8>>>>,
    ) -> PyResult<Self> {
        let link = || {
            let input = input.map(|stored| Descriptor::parse(&stored)).transpose()?;
            let parse = |(dataset, stored): (String, Vec<u8>)| Ok((dataset, Descriptor::parse(&stored)?));
            let outputs = outputs.unwrap_or_default().into_iter().map(parse).collect::<Result<_, String>>()?;
            Program::link_formats(&rules, Formats { input, outputs, arrow: wanted(arrow.unwrap_or_default())? })
        };
        let program = apart(py, link)?.map_err(PyValueError::new_err)?;
        if let (Some(called), None) = (&program.udfs, &udfs) {
            let names = called.functions.join(", ");
            return Err(PyValueError::new_err(format!("rules call the functions {names}, and no functions are given")));
        }
        Ok(PyProgram { linked: Arc::new(Linked { program, pool: Pool::default(), scout_pool: Pool::default() }), udfs })
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
    fn arrow_columns(&self) -> BTreeMap<&str, ArrowColumns> {
        let Program { tables, datasets, .. } = &self.linked.program;
        tables.iter().map(|table| (datasets[table.dataset as usize].as_str(), ArrowColumns::new(table))).collect()
    }

    #[getter]
    fn field_paths(&self) -> Vec<&str> {
        self.linked.program.paths.iter().map(String::as_str).collect()
    }

    fn run(&self, py: Python<'_>, batch: &Bound<'_, PyAny>) -> PyResult<BatchResult> {
        let Linked { program, pool, .. } = &*self.linked;
        let (ran, input) = if let Ok(batch) = batch.cast::<PyBytes>() {
            let lines = batch.as_bytes();
            let answers = self.answers(py, Source::Lines(lines))?;
            (apart(py, || run::lines(Run::new(program, pool).given(answers), lines))?, Some(batch.clone().unbind()))
        } else if let Ok(list) = batch.cast::<PyList>() {
            let held: Vec<Bound<'_, PyBytes>> = list.iter().map(|item| item.cast_into::<PyBytes>()).collect::<Result<_, _>>()?;
            let items: Vec<&[u8]> = held.iter().map(|item| item.as_bytes()).collect();
            let answers = self.answers(py, Source::Items(&items))?;
            (apart(py, || run::items(Run::new(program, pool).given(answers), &items))?, None)
        } else {
            let given = batch.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a batch is bytes (NDJSON) or a list of bytes, not {given}")));
        };
        for (table, rows) in &ran.arrow {
            if let Some(column) = rows.too_long() {
                let table = &program.tables[*table as usize];
                let (dataset, column) = (&program.datasets[table.dataset as usize], &table.columns[column].0);
                let error =
                    format!("the column `{column}` of dataset `{dataset}` takes more than 2 GiB as Arrow: run a smaller batch");
                return Err(PyValueError::new_err(error));
            }
        }
        Ok(BatchResult::new(&self.linked, ran, input))
    }

    fn profile(&self, py: Python<'_>, batch: &Bound<'_, PyBytes>) -> PyResult<BatchResult> {
        let Linked { program, pool, .. } = &*self.linked;
        let lines = batch.as_bytes();
        let answers = self.answers(py, Source::Lines(lines))?;
        let ran = apart(py, || run::lines(Run::new(program, pool).given(answers).timing_all(), lines))?;
        Ok(BatchResult::new(&self.linked, ran, Some(batch.clone().unbind())))
    }

    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let found = apart(py, || explain::explain(&self.linked.program))?;
        found.iter().map(|rule| explained(py, rule)).collect()
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
        let Linked { program, pool, .. } = &*self.linked;
        if let Some(table) = program.tables.first() {
            let dataset = &program.datasets[table.dataset as usize];
            let error = format!("records give records, but the dataset `{dataset}` was linked to be written as Arrow");
            return Err(PyValueError::new_err(error));
        }
        let origin = Origin { topic, partition, first_offset, snapshot };
        let batch = records.as_bytes();
        let answers = self.answers(py, Source::Records(batch))?;
        let ran = apart(py, || run::records(Run::new(program, pool).given(answers), batch, origin))?;
        let ran = ran.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(BatchResult::new(&self.linked, ran, Some(records.clone().unbind())))
    }
}

/// One rule, as Python has it.
fn explained<'py>(py: Python<'py>, rule: &Explained) -> PyResult<Bound<'py, PyDict>> {
    let found = PyDict::new(py);
    let row = |of: &explain::Condition| (of.level, of.found_in, of.masked_in, of.alone_in, of.shared_with);
    found.set_item("conditions", rule.conditions.iter().map(row).collect::<Vec<_>>())?;
    found.set_item("groups", rule.groups)?;
    found.set_item("beside", rule.beside)?;
    found.set_item("can_fail", rule.can_fail)?;
    Ok(found)
}
