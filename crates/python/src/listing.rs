//! Models by name.

use crate::{error, options, progress, runtime};
use llamatelemetry::Error;
use llamatelemetry::models::{self, LocalModel};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A model: name, file, bytes.
type Row = (String, String, Option<u64>);

fn row(model: &LocalModel) -> Row {
    let size = std::fs::metadata(&model.path).map(|file| file.len()).ok();
    (model.name.clone(), model.path.display().to_string(), size)
}

/// Runs it without the interpreter's lock.
fn detached<T: Send>(
    py: Python<'_>,
    look: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    py.detach(look).map_err(|problem| error::raised(&problem))
}

/// Every model on this machine.
#[pyfunction]
#[pyo3(signature = (settings=None))]
pub(crate) fn list_models(
    py: Python<'_>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<Row>> {
    let settings = options::settings(settings)?;
    let found = detached(py, || Ok(models::list(&settings)?))?;
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
    let found = detached(py, || Ok(models::find(name, &settings)?))?;
    Ok(row(&found))
}

/// The model of this name, fetched and verified if it is not on this machine. A signal handler that
/// raises ends the wait for it.
#[pyfunction]
#[pyo3(signature = (name, settings=None, progress=None))]
pub(crate) fn ensure_model(
    py: Python<'_>,
    name: String,
    settings: Option<&Bound<'_, PyDict>>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Row> {
    let settings = options::settings(settings)?;
    let listener = progress::listener(progress);
    let fetching = async {
        let fetch = move || models::ensure(&name, &settings, &listener).map_err(Error::from);
        let found = tokio::task::spawn_blocking(fetch).await;
        let found = found.map_err(|problem| PyRuntimeError::new_err(problem.to_string()))?;
        found.map_err(|problem| error::raised(&problem))
    };
    Ok(row(&runtime::wait(py, fetching)?))
}
