//! What `headwater check` asks of regular expressions.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::functions::regexp;

/// How many groups a pattern has, or the number of the character (from 0) and why it is refused.
#[pyfunction]
fn check_pattern(pattern: &str, options: &str) -> PyResult<(Option<usize>, usize, String)> {
    let (flags, _) = regexp::options(options)
        .ok_or_else(|| PyValueError::new_err(format!("options of a pattern are a part of `gils`, not {options:?}")))?;
    Ok(match regexp::check(pattern, flags) {
        Ok(groups) => (Some(groups), 0, String::new()),
        Err(refusal) => (None, refusal.at, refusal.why),
    })
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(check_pattern, m)?)
}
