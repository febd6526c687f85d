//! The telemetry pipeline of this process: engines and servers that are loaded after it was set up
//! send their records there.

use crate::{error, options};
use llamatelemetry::{Discard, Sink, TelemetryHandle};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

static CURRENT: Mutex<Option<Arc<dyn Sink>>> = Mutex::new(None);

/// Where records go.
pub(crate) fn sink() -> Arc<dyn Sink> {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.clone().unwrap_or_else(|| Arc::new(Discard))
}

/// A running pipeline.
#[pyclass(frozen, module = "llamatelemetry")]
pub(crate) struct Telemetry {
    handle: TelemetryHandle,
}

/// Starts the pipeline that the settings and the standard `OTEL_*` variables ask for.
#[pyfunction]
#[pyo3(signature = (settings=None))]
pub(crate) fn setup_telemetry(
    py: Python<'_>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Telemetry> {
    let settings = options::settings(settings)?;
    let handle = py
        .detach(|| llamatelemetry::setup_telemetry(&settings, Box::new(io::stderr())))
        .map_err(|problem| error::raised(&problem))?;
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.sink());
    Ok(Telemetry { handle })
}

#[pymethods]
impl Telemetry {
    /// What was asked for by variables and is not done, in sentences.
    #[getter]
    fn notices(&self) -> Vec<String> {
        self.handle.notices().to_vec()
    }

    /// Where Prometheus may scrape metrics, if anywhere.
    #[getter]
    fn prometheus(&self) -> Option<String> {
        let address = self.handle.prometheus()?;
        Some(format!("http://{address}/metrics"))
    }

    /// Sends what is waiting, for at most so many seconds, and ends the pipeline. Returns what was
    /// lost and why, if anything was.
    #[pyo3(signature = (timeout=5.0))]
    fn shutdown(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<String>> {
        let limit = Duration::try_from_secs_f64(timeout)
            .map_err(|problem| pyo3::exceptions::PyValueError::new_err(problem.to_string()))?;
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may have been set up since.
        current.take_if(|sink| Arc::ptr_eq(sink, &self.handle.sink()));
        drop(current);
        Ok(py.detach(|| self.handle.shutdown(limit)))
    }
}
