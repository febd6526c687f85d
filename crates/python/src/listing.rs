//! Models by name.

use crate::{error, options, progress};
use llamatelemetry::Error;
use llamatelemetry::models::{self, LocalModel, ModelError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A model: name, file, bytes.
type Row = (String, String, Option<u64>);

fn row(model: &LocalModel) -> Row {
    let size = std::fs::metadata(&model.path).map(|file| file.len()).ok();
    (model.name.clone(), model.path.display().to_string(), size)
}

fn raised(problem: ModelError) -> PyErr {
    error::raised(&Error::from(problem))
}

/// Every model on this machine.
#[pyfunction]
#[pyo3(signature = (settings=None))]
pub(crate) fn list_models(
    py: Python<'_>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<Row>> {
    let settings = options::settings(settings)?;
    let found = py.detach(|| models::list(&settings)).map_err(raised)?;
    Ok(found.iter().map(|found| row(&found.model)).collect())
}

/// The model of this name, if it is on this machine.
#[pyfunction]
#[pyo3(signature = (name, settings=None))]
pub(crate) fn find_model(
    py: Python<'_>,
    name: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Row> {
    let settings = options::settings(settings)?;
    let found = py
        .detach(|| models::find(name, &settings))
        .map_err(raised)?;
    Ok(row(&found))
}

/// The model of this name, fetched and verified if it is not on this machine.
#[pyfunction]
#[pyo3(signature = (name, settings=None, progress=None))]
pub(crate) fn ensure_model(
    py: Python<'_>,
    name: &str,
    settings: Option<&Bound<'_, PyDict>>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Row> {
    let settings = options::settings(settings)?;
    let listener = progress::listener(progress);
    let found = py
        .detach(|| models::ensure(name, &settings, &listener))
        .map_err(raised)?;
    Ok(row(&found))
}
