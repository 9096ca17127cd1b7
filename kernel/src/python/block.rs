//! Python front of `frame`, `pack` and `block`: frames and blocks of log segments. Errors are ValueErrors that name the byte, and
//! NotImplementedError for intact bytes of an unknown format.

use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyDict, PyString};

use super::apart::apart;
use crate::block::{self, Budget, Directory, Range, Split};
use crate::chunk::Chunk;
use crate::frame::{self, Invalid, Kind, Parsed};
use crate::pack;

impl From<Invalid> for PyErr {
    fn from(error: Invalid) -> PyErr {
        if error.unknown {
            return PyNotImplementedError::new_err(error.to_string());
        }
        PyValueError::new_err(error.to_string())
    }
}

/// (position, stored bytes, bytes of records, where they start in the chunk, its raw bytes, codec, checksum, first offset, count)
type RangeTuple = (u64, u32, u32, u32, u32, u8, u32, u64, u32);

fn range_tuple(r: &Range) -> RangeTuple {
    (r.at, r.chunk.stored, r.bytes, r.start, r.chunk.raw, r.chunk.codec, r.chunk.crc, r.first_offset, r.count)
}

fn range_of(&(at, stored, bytes, start, raw, codec, crc, first_offset, count): &RangeTuple) -> Range {
    Range { at, chunk: Chunk { stored, raw, crc, codec }, start, bytes, first_offset, count }
}

/// Batches of one caller: see `pack::Packed`.
#[pyclass(frozen, name = "Packed", module = "headwater.kernel")]
pub struct PyPacked(pack::Packed<PyBackedStr, PyBackedBytes>);

#[pymethods]
impl PyPacked {
    #[new]
    fn new(py: Python<'_>, batches: Vec<(PyBackedStr, u32, u32, PyBackedBytes)>) -> PyResult<Self> {
        let batches =
            batches.into_iter().map(|(topic, partition, count, data)| pack::Batch { topic, partition, count, data }).collect();
        apart(py, || pack::Packed::new(batches))?.map(PyPacked).map_err(PyValueError::new_err)
    }

    #[getter]
    fn records(&self) -> u64 {
        self.0.records()
    }

    #[getter]
    fn raw_bytes(&self) -> u64 {
        self.0.raw_bytes()
    }
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
fn encode_frame<'py>(py: Python<'py>, kind: u8, group: u64, content: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &frame::encode_frame(kind, group, content, 0))
}

/// A block in parts, which are joined once: when it is known what stands around them.
#[pyclass(frozen, name = "Block", module = "headwater.kernel")]
pub struct PyBlock {
    packed: Vec<Py<PyPacked>>,
    block: pack::Block,
}

#[pymethods]
impl PyBlock {
    #[getter]
    fn checksum(&self) -> u32 {
        frame::u32_at(&self.block.header, frame::CRC_AT)
    }

    fn __len__(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    #[pyo3(signature = (before=b"".as_slice(), after=b"".as_slice()))]
    fn joined<'py>(&self, py: Python<'py>, before: &[u8], after: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let parts: Vec<&[u8]> = std::iter::once(before).chain(self.parts()).chain([after]).collect();
        bytes_of(py, &parts)
    }
}

impl PyBlock {
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.block.parts(self.packed.iter().map(|each| each.get().0.body()))
    }
}

/// The parts in a row. `PyBytes::new_with` would write zeros first, which touches all the memory once more.
fn bytes_of<'py>(py: Python<'py>, parts: &[&[u8]]) -> PyResult<Bound<'py, PyBytes>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let signed = isize::try_from(length).map_err(|_| PyValueError::new_err(format!("{length} bytes are too many")))?;
    // SAFETY: new `bytes` of that length, which nobody else has seen, and as many bytes copied into them.
    unsafe {
        let bytes = Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), signed))?;
        let mut at = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<u8>();
        for part in parts {
            std::ptr::copy_nonoverlapping(part.as_ptr(), at, part.len());
            at = at.add(part.len());
        }
        Ok(bytes.cast_into_unchecked())
    }
}

#[pyfunction]
fn encode_block(py: Python<'_>, group: u64, packed: Vec<Py<PyPacked>>, firsts: Vec<Vec<u64>>) -> PyResult<Option<PyBlock>> {
    let made: Vec<_> = packed.iter().map(|each| &each.get().0).collect();
    let block = apart(py, || pack::encode_block(group, &made, &firsts))??;
    Ok(block.map(|block| PyBlock { packed, block }))
}

/// (kind, group, header length, body length, header CRC), or the number of bytes needed where the header is not all there.
#[pyfunction]
fn read_frame<'py>(py: Python<'py>, data: &[u8], start: usize, position: u64) -> PyResult<Bound<'py, PyAny>> {
    let rest = data.get(start..).unwrap_or_default();
    match frame::parse_frame(rest, position)? {
        Parsed::Short(need) => Ok(need.into_pyobject(py)?.into_any()),
        Parsed::Frame(f) => {
            Ok((kind_number(f.kind), f.group, f.header_length, f.body_length, f.crc).into_pyobject(py)?.into_any())
        }
    }
}

#[pyfunction]
fn block_directory<'py>(py: Python<'py>, header: &[u8], position: u64) -> PyResult<Vec<(Bound<'py, PyString>, u32, u64, u32)>> {
    let partitions = Directory::parse(header, position)?.partitions()?;
    let mut entries = Vec::with_capacity(partitions.len());
    let mut last: Option<(&str, Bound<'py, PyString>)> = None;
    for (topic, partition, first_offset, count) in partitions {
        let name = match last.take() {
            Some((same, name)) if same == topic => name,
            _ => PyString::new(py, topic),
        };
        last = Some((topic, name.clone()));
        entries.push((name, partition, first_offset, count));
    }
    Ok(entries)
}

#[pyfunction]
fn block_times(header: &[u8], position: u64) -> PyResult<(i64, i64, i64, i64)> {
    let [event_min, event_max, received_min, received_max] = Directory::parse(header, position)?.times();
    Ok((event_min, event_max, received_min, received_max))
}

#[pyfunction]
fn index_at_time(py: Python<'_>, records: &[u8], time_ms: i64) -> PyResult<u32> {
    Ok(apart(py, || block::index_at_time(records, time_ms))??)
}

/// (partition, first offset, count, records)
type Part<'py> = (u32, u64, u32, Bound<'py, PyBytes>);

#[pyfunction]
fn split_block<'py>(
    py: Python<'py>,
    frame: &[u8],
    position: u64,
    topic: &str,
    wanted: &Bound<'py, PyDict>,
) -> PyResult<Vec<Part<'py>>> {
    let mut split = apart(py, || Split::new(frame, position, topic))??;
    split.choose(|partition| wanted.get_item(partition)?.map(|offset| offset.extract()).transpose())?;
    let parts = apart(py, || split.unpack())??;
    let made =
        parts.parts.iter().map(|part| (part.partition, part.first_offset, part.count, PyBytes::new(py, parts.records(part))));
    Ok(made.collect())
}

#[pyfunction]
fn check_block(py: Python<'_>, frame: &[u8], position: u64) -> PyResult<()> {
    Ok(apart(py, || block::check_block(frame, position))??)
}

#[pyfunction]
fn find_later_frame(py: Python<'_>, data: &[u8], start: usize, group: u64) -> PyResult<Option<usize>> {
    apart(py, || frame::find_later(data, start, group))
}

#[pyfunction]
#[pyo3(signature = (data, position, end, topic, partition, offset, raw_max, raw=0))]
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
    raw: u64,
) -> PyResult<(Vec<RangeTuple>, u64, usize)> {
    let budget = Budget { raw_max, raw };
    let found = apart(py, || block::find(data, position, end, (topic, partition), offset, budget))??;
    Ok((found.ranges.iter().map(range_tuple).collect(), found.next, found.need))
}

#[pyfunction]
fn decode_ranges<'py>(
    py: Python<'py>,
    ranges: Vec<(RangeTuple, PyBackedBytes, usize)>,
    offset: u64,
    bytes_max: usize,
) -> PyResult<(Bound<'py, PyBytes>, u64)> {
    let mut parts = Vec::with_capacity(ranges.len());
    for (range, bytes, start) in &ranges {
        let range = range_of(range);
        let Some(stored) = bytes.get(*start..start.saturating_add(range.chunk.stored as usize)) else {
            return Err(Invalid { at: range.at, reason: "records are cut off".to_owned(), unknown: false }.into());
        };
        parts.push((range, stored));
    }
    let reading = apart(py, || block::decode(&parts, offset, bytes_max))??;
    let records = PyBytes::new_with(py, reading.length, |out| Ok(apart(py, || reading.fill(out))??))?;
    Ok((records, reading.next))
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyPacked>()?;
    m.add_class::<PyBlock>()?;
    m.add_function(wrap_pyfunction!(checksum, m)?)?;
    m.add_function(wrap_pyfunction!(encode_frame, m)?)?;
    m.add_function(wrap_pyfunction!(encode_block, m)?)?;
    m.add_function(wrap_pyfunction!(read_frame, m)?)?;
    m.add_function(wrap_pyfunction!(block_directory, m)?)?;
    m.add_function(wrap_pyfunction!(block_times, m)?)?;
    m.add_function(wrap_pyfunction!(index_at_time, m)?)?;
    m.add_function(wrap_pyfunction!(split_block, m)?)?;
    m.add_function(wrap_pyfunction!(check_block, m)?)?;
    m.add_function(wrap_pyfunction!(find_later_frame, m)?)?;
    m.add_function(wrap_pyfunction!(find_ranges, m)?)?;
    m.add_function(wrap_pyfunction!(decode_ranges, m)?)
}
