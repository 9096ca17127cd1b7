//! Python front of `block`: frames and blocks of log segments. Errors are ValueErrors that name the byte, and
//! NotImplementedError for intact bytes of an unknown format.

use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use super::apart::apart;
use crate::block::{self, Invalid, Kind, Parsed, Range};

impl From<Invalid> for PyErr {
    fn from(error: Invalid) -> PyErr {
        if error.unknown {
            return PyNotImplementedError::new_err(error.to_string());
        }
        PyValueError::new_err(error.to_string())
    }
}

type Batch = (PyBackedStr, u32, u64, u32, PyBackedBytes);
type RangeTuple = (u64, u32, u32, u8, u32, u64, u32);

fn range_tuple(r: &Range) -> RangeTuple {
    (r.at, r.stored, r.raw, r.codec, r.crc, r.first_offset, r.count)
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Segment => 0,
        Kind::Block => 1,
        Kind::Mark => 2,
    }
}

#[pyfunction]
#[pyo3(signature = (data, seed=0))]
fn checksum(py: Python<'_>, data: &[u8], seed: u32) -> PyResult<u32> {
    apart(py, || crc32c::crc32c_append(seed, data))
}

#[pyfunction]
fn count_records(py: Python<'_>, data: &[u8]) -> PyResult<u32> {
    Ok(apart(py, || block::count_records(data))??)
}

#[pyfunction]
fn encode_frame<'py>(py: Python<'py>, kind: u8, group: u64, content: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &block::encode_frame(kind, group, content, 0))
}

#[pyfunction]
fn encode_block<'py>(py: Python<'py>, group: u64, batches: Vec<Batch>) -> PyResult<Bound<'py, PyBytes>> {
    let encoded = apart(py, || {
        let batches: Vec<block::Batch<'_>> = batches
            .iter()
            .map(|(topic, partition, first_offset, count, data)| block::Batch {
                topic,
                partition: *partition,
                first_offset: *first_offset,
                count: *count,
                data,
            })
            .collect();
        block::encode_block(group, &batches)
    })??;
    Ok(PyBytes::new(py, &encoded))
}

/// (kind, group, header length, body length, header CRC), or the number of bytes needed where the header is not all there.
#[pyfunction]
fn read_frame<'py>(py: Python<'py>, data: &[u8], start: usize, position: u64) -> PyResult<Bound<'py, PyAny>> {
    let rest = data.get(start..).unwrap_or_default();
    match block::parse_frame(rest, position)? {
        Parsed::Short(need) => Ok(need.into_pyobject(py)?.into_any()),
        Parsed::Frame(f) => {
            Ok((kind_number(f.kind), f.group, f.header_length, f.body_length, f.crc).into_pyobject(py)?.into_any())
        }
    }
}

#[pyfunction]
fn block_directory(header: &[u8], position: u64) -> PyResult<Vec<(String, u32, u64, u32)>> {
    let mut entries = Vec::new();
    block::directory(header, position, |topic, partition, range| {
        entries.push((topic.to_owned(), partition, range.first_offset, range.count));
    })?;
    Ok(entries)
}

#[pyfunction]
fn check_block(py: Python<'_>, frame: &[u8], position: u64) -> PyResult<()> {
    Ok(apart(py, || block::check_block(frame, position))??)
}

#[pyfunction]
fn find_later_frame(py: Python<'_>, data: &[u8], start: usize, group: u64) -> PyResult<Option<usize>> {
    apart(py, || block::find_later(data, start, group))
}

#[pyfunction]
#[pyo3(signature = (data, position, end, topic, partition, offset, raw_max))]
#[allow(clippy::too_many_arguments)] // The Python signature: all are plain numbers of one walk.
fn find_ranges(
    py: Python<'_>,
    data: &[u8],
    position: u64,
    end: u64,
    topic: &str,
    partition: u32,
    offset: u64,
    raw_max: u64,
) -> PyResult<(Vec<RangeTuple>, u64, usize)> {
    let found = apart(py, || block::find(data, position, end, (topic, partition), offset, raw_max))??;
    Ok((found.ranges.iter().map(range_tuple).collect(), found.next, found.need))
}

#[pyfunction]
fn decode_ranges<'py>(
    py: Python<'py>,
    ranges: Vec<(RangeTuple, PyBackedBytes, usize)>,
    offset: u64,
    bytes_max: usize,
) -> PyResult<(Bound<'py, PyBytes>, u64)> {
    let (data, next) = apart(py, || {
        let mut parts = Vec::with_capacity(ranges.len());
        for ((at, stored, raw, codec, crc, first_offset, count), bytes, start) in &ranges {
            let Some(slice) = bytes.get(*start..start.saturating_add(*stored as usize)) else {
                return Err(Invalid { at: *at, reason: "records are cut off".to_owned(), unknown: false });
            };
            let (first_offset, raw, codec, crc, count) = (*first_offset, *raw, *codec, *crc, *count);
            parts.push((Range { at: *at, stored: *stored, raw, codec, crc, first_offset, count }, slice));
        }
        block::decode(&parts, offset, bytes_max)
    })??;
    Ok((PyBytes::new(py, &data), next))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(checksum, m)?)?;
    m.add_function(wrap_pyfunction!(count_records, m)?)?;
    m.add_function(wrap_pyfunction!(encode_frame, m)?)?;
    m.add_function(wrap_pyfunction!(encode_block, m)?)?;
    m.add_function(wrap_pyfunction!(read_frame, m)?)?;
    m.add_function(wrap_pyfunction!(block_directory, m)?)?;
    m.add_function(wrap_pyfunction!(check_block, m)?)?;
    m.add_function(wrap_pyfunction!(find_later_frame, m)?)?;
    m.add_function(wrap_pyfunction!(find_ranges, m)?)?;
    m.add_function(wrap_pyfunction!(decode_ranges, m)?)
}
