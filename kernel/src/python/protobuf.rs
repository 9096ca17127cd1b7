//! Python front of `protobuf`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::apart::apart;
use crate::protobuf::Descriptor;
use crate::protobuf::decode;
use crate::protobuf::encode::Encoder;

/// Messages of one descriptor.
#[pyclass(name = "Protobuf", module = "headwater.kernel._native", frozen)]
pub struct PyProtobuf {
    descriptor: Descriptor,
}

type Decoded<'py> = (Bound<'py, PyBytes>, Vec<(usize, usize)>, Vec<(usize, &'static str, usize)>, usize);

/// How far whole messages go, how many they are, and how long the next one is.
#[pyfunction]
pub fn whole_messages(data: &[u8]) -> (usize, usize, u64) {
    let (mut at, mut count) = (0, 0);
    loop {
        match decode::length(&data[at..]) {
            Ok(Some((_, end))) => (at, count) = (at + end, count + 1),
            Ok(None) => return (at, count, decode::wanted(&data[at..])),
            Err(_) => return (at, count, i64::MAX as u64),
        }
    }
}

#[pymethods]
impl PyProtobuf {
    #[new]
    fn new(descriptor: &[u8]) -> PyResult<Self> {
        Ok(PyProtobuf { descriptor: Descriptor::parse(descriptor).map_err(PyValueError::new_err)? })
    }

    fn encode<'py>(&self, py: Python<'py>, lines: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let encoded = apart(py, || {
            let mut out = Vec::with_capacity(lines.len());
            Encoder::default().lines(&self.descriptor, lines, &mut out).map(|_| out)
        })?;
        let encoded = encoded.map_err(|error| PyValueError::new_err(format!("line {} is no JSON object", error.line + 1)))?;
        Ok(PyBytes::new(py, &encoded))
    }

    fn decode<'py>(&self, py: Python<'py>, batch: &[u8]) -> PyResult<Decoded<'py>> {
        let decoded = apart(py, || self.descriptor.decode_batch(batch))?;
        let rejects = decoded.rejects.iter().map(|(number, malformed)| (*number, malformed.reason, malformed.at)).collect();
        Ok((PyBytes::new(py, &decoded.lines), decoded.places, rejects, decoded.read))
    }
}
