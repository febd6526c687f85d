//! A server and no engine: an address that any client can use.

use crate::{error, options, progress, runtime, telemetry};
use llamatelemetry::{LoadOptions, ServerManager};
use llamatelemetry_api::Address;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, PoisonError, RwLock};

/// One `llama-server` with its model on a loopback port, behind a key.
#[pyclass(frozen, module = "llamatelemetry")]
#[derive(Default)]
pub(crate) struct Server {
    running: RwLock<Option<Arc<ServerManager>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        runtime::release(self.take());
    }
}

impl Server {
    fn take(&self) -> Option<Arc<ServerManager>> {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        running.take()
    }

    fn manager(&self) -> PyResult<Arc<ServerManager>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.clone().ok_or_else(error::not_loaded)
    }
}

#[pymethods]
impl Server {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[pyo3(signature = (model, settings=None, progress=None))]
    fn start(
        &self,
        py: Python<'_>,
        model: &str,
        settings: Option<&Bound<'_, PyDict>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        self.stop(py)?;
        let mut settings = options::settings(settings)?;
        // A Unix socket is no address for other clients.
        settings.server.port.get_or_insert(0);
        let options = LoadOptions::new(settings)
            .with_progress(progress::listener(progress))
            .with_sink(telemetry::sink());
        let server = runtime::wait(py, async {
            let server = ServerManager::start_server(model, &options).await;
            server.map_err(|problem| error::raised(&problem))
        })?;
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        *running = Some(Arc::new(server));
        Ok(())
    }

    /// Address and key of the run that serves now: a restart changes both.
    fn address(&self, py: Python<'_>) -> PyResult<(String, Option<String>)> {
        let manager = self.manager()?;
        runtime::wait(py, async move {
            let run = manager.live().await;
            let run = run.map_err(|problem| error::raised(&problem))?;
            let address = match run.process().address() {
                Address::Tcp(address) => format!("http://{address}"),
                Address::Unix(path) => format!("unix://{}", path.display()),
            };
            let key = run.process().key().map(|key| key.expose().to_owned());
            Ok((address, key))
        })
    }

    #[getter]
    fn is_running(&self) -> bool {
        self.manager().is_ok()
    }

    #[getter]
    fn restarts(&self) -> PyResult<u32> {
        Ok(self.manager()?.restarts())
    }

    /// Waits until it is gone.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let Some(server) = self.take() else {
            return Ok(());
        };
        // Whoever waits for its address holds it too.
        runtime::wait(py, async {
            let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
            stopped.map_err(|problem| PyRuntimeError::new_err(problem.to_string()))
        })
    }
}
