//! Documents between serde and Python, by Python's own `json`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use serde::Serialize;
use serde::de::DeserializeOwned;

static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The document as Python's dicts and lists.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    document: &impl Serialize,
) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(document).map_err(|problem| invalid(&problem))?;
    LOADS.import(py, "json", "loads")?.call1((text,))
}

/// What Python's dicts and lists say, as this type.
pub(crate) fn from_python<T: DeserializeOwned>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    let options = PyDict::new(value.py());
    options.set_item("ensure_ascii", false)?;
    let dumps = DUMPS.import(value.py(), "json", "dumps")?;
    let text: String = dumps.call((value,), Some(&options))?.extract()?;
    serde_json::from_str(&text).map_err(|problem| invalid(&problem))
}

fn invalid(error: &serde_json::Error) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(error.to_string())
}
