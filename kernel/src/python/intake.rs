//! The collector's intake for Python: one call a request body.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::apart::apart;
use crate::intake::counters::Counters;
use crate::intake::otlp::{self, Unread};
use crate::intake::{Intake, Limits, Output, Request, TooLarge, text_at};

#[pyclass(name = "Intake", module = "headwater.kernel._native", frozen)]
pub struct PyIntake {
    intake: Intake,
}

#[pymethods]
impl PyIntake {
    #[new]
    #[pyo3(signature = (plan, mappings, *, event_bytes_max, id_bytes_max, events_max, output_bytes_max))]
    fn new(
        plan: &[u8],
        mappings: &[u8],
        event_bytes_max: usize,
        id_bytes_max: usize,
        events_max: usize,
        output_bytes_max: usize,
    ) -> PyResult<Self> {
        let limits = Limits { event_bytes_max, id_bytes_max, events_max, output_bytes_max };
        Ok(PyIntake { intake: Intake::link(plan, mappings, limits).map_err(PyValueError::new_err)? })
    }

    #[pyo3(signature = (body, *, protocol, shape, variant, app, received_time, seed, ip, user_agent, client_side, write_key))]
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        py: Python<'_>,
        body: &[u8],
        protocol: &str,
        shape: &str,
        variant: &str,
        app: &str,
        received_time: i64,
        seed: [u8; 16],
        ip: &str,
        user_agent: &str,
        client_side: bool,
        write_key: &str,
    ) -> PyResult<IntakeResult> {
        let seed = u128::from_be_bytes(seed);
        let request = Request { protocol, shape, variant, app, received_time, seed, ip, user_agent, client_side, write_key };
        match apart(py, || self.intake.run(body, &request))? {
            Ok(output) => Ok(IntakeResult { output, too_large: None, app: app.to_string() }),
            Err(Ok(too_large)) => {
                Ok(IntakeResult { output: Output::default(), too_large: Some(too_large), app: app.to_string() })
            }
            Err(Err(error)) => Err(PyValueError::new_err(error)),
        }
    }
}

#[pyclass(module = "headwater.kernel._native", frozen)]
pub struct IntakeResult {
    output: Output,
    too_large: Option<TooLarge>,
    app: String,
}

#[pymethods]
impl IntakeResult {
    #[getter]
    fn records<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.output.records)
    }

    #[getter]
    fn accepted(&self) -> usize {
        self.output.accepted
    }

    #[getter]
    fn dead_records<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.output.dead_records)
    }

    #[getter]
    fn dead(&self) -> usize {
        self.output.dead
    }

    #[getter]
    fn dropped(&self) -> usize {
        self.output.verdicts.len() - self.output.accepted - self.output.dead
    }

    #[getter]
    fn broken(&self) -> Option<&str> {
        self.output.broken.as_deref()
    }

    #[getter]
    fn too_large(&self) -> Option<(&'static str, usize)> {
        self.too_large.map(|what| match what {
            TooLarge::Events(limit) => ("events", limit),
            TooLarge::Bytes(limit) => ("bytes", limit),
        })
    }

    fn verdicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let json = apart(py, || self.output.verdicts_json())?;
        Ok(PyBytes::new(py, &json))
    }
}

#[pyclass(module = "headwater.kernel._native", frozen)]
#[derive(Default)]
pub struct IntakeCounters {
    counters: Mutex<Counters>,
}

impl IntakeCounters {
    fn with<T>(&self, look: impl FnOnce(&mut Counters) -> T) -> T {
        look(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl IntakeCounters {
    #[new]
    fn new() -> Self {
        IntakeCounters::default()
    }

    fn add(&self, py: Python<'_>, result: &IntakeResult) -> PyResult<()> {
        let output = &result.output;
        apart(py, || self.with(|counters| counters.add(&result.app, output.accepted as u64, &output.tally)))
    }

    fn accepted(&self) -> u64 {
        self.with(|counters| counters.accepted)
    }

    fn dead(&self) -> BTreeMap<&'static str, u64> {
        self.with(|counters| counters.dead.clone())
    }

    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.with(|counters| counters.dropped.clone())
    }

    fn events(&self) -> Vec<(String, String, u64, u64, u64)> {
        self.with(|counters| {
            let rows = counters.events.iter();
            rows.map(|((app, event), [accepted, flagged, dead])| (app.clone(), event.clone(), *accepted, *flagged, *dead))
                .collect()
        })
    }

    fn violations(&self) -> Vec<(String, String, String, u64)> {
        self.with(|counters| {
            let rows = counters.violations.iter();
            rows.map(|((app, event, violation), count)| (app.clone(), event.clone(), violation.clone(), *count)).collect()
        })
    }
}

/// The envelopes of an OTLP export request of logs; None where they would be larger than that.
#[pyfunction]
#[pyo3(signature = (body, *, protobuf, bytes_max))]
fn otlp_envelopes<'py>(py: Python<'py>, body: &[u8], protobuf: bool, bytes_max: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
    match apart(py, || otlp::envelopes(body, protobuf, bytes_max))? {
        Ok(envelopes) => Ok(Some(PyBytes::new(py, &envelopes))),
        Err(Unread::TooLarge) => Ok(None),
        Err(Unread::Malformed(detail)) => Err(PyValueError::new_err(detail)),
    }
}

/// The text at the first of the paths where there is one, or None.
#[pyfunction]
fn body_text(py: Python<'_>, body: &[u8], paths: Vec<Vec<String>>, list: &str) -> PyResult<Option<String>> {
    apart(py, || text_at(body, &paths, list))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyIntake>()?;
    m.add_class::<IntakeResult>()?;
    m.add_class::<IntakeCounters>()?;
    m.add_function(wrap_pyfunction!(otlp_envelopes, m)?)?;
    m.add_function(wrap_pyfunction!(body_text, m)?)
}
