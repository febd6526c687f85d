//! An answer on its way, as a Python iterator.

use crate::result::InferResult;
use crate::{error, runtime};
use llamatelemetry::AnswerStream;
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use tokio::sync::{Mutex, watch};

/// An answer on its way: iterate for its text, piece by piece. Closing it, also by leaving a
/// `with` block or deleting it, cancels the request and frees the slot. `result` has the figures
/// once the answer is whole.
#[pyclass(frozen, module = "llamatelemetry")]
pub(crate) struct Stream {
    reading: Arc<Reading>,
}

/// What its reads share.
#[derive(Default)]
struct Reading {
    /// Held for as long as one of them waits.
    answer: Mutex<Option<AnswerStream>>,
    result: SyncMutex<Option<Py<InferResult>>>,
    /// Whether it was closed: then the one that waits lets go.
    closed: watch::Sender<bool>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may be the last to hold its server.
        runtime::release(std::mem::take(&mut self.reading));
    }
}

impl Stream {
    pub(crate) fn new(answer: AnswerStream) -> Self {
        let answer = Mutex::new(Some(answer));
        Self {
            reading: Arc::new(Reading {
                answer,
                ..Reading::default()
            }),
        }
    }
}

impl Reading {
    /// The next text; `None` once the answer is whole, when its result is kept, or closed.
    async fn next(self: Arc<Self>) -> PyResult<Option<String>> {
        let mut place = self.answer.lock().await;
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => {
                *place = None;
                Ok(None)
            }
            next = self.read(&mut place) => next,
        }
    }

    /// The answer stays in its place until its result is kept: a signal may end any wait.
    async fn read(&self, place: &mut Option<AnswerStream>) -> PyResult<Option<String>> {
        while let Some(answer) = place.as_mut() {
            match answer.next().await {
                Ok(Some(delta)) if delta.text.is_empty() => {}
                Ok(Some(delta)) => return Ok(Some(delta.text)),
                Ok(None) => {
                    let whole = answer.complete().await;
                    *place = None;
                    let whole = whole.map_err(|problem| error::raised(&problem))?;
                    let whole = Python::attach(|py| Py::new(py, InferResult::from(whole)))?;
                    *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(whole);
                }
                Err(problem) => {
                    *place = None;
                    return Err(error::raised(&problem));
                }
            }
        }
        Ok(None)
    }

    async fn close(self: Arc<Self>) -> PyResult<()> {
        self.closed.send_replace(true);
        self.answer.lock().await.take();
        Ok(())
    }
}

#[pymethods]
impl Stream {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        runtime::wait(py, self.reading.clone().next())
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let next = self.reading.clone().next();
        runtime::awaitable(py, async move {
            let piece = next.await?;
            piece.ok_or_else(|| PyStopAsyncIteration::new_err(()))
        })
    }

    /// The whole answer with its figures; `None` until it is read to its end.
    #[getter]
    fn result(&self, py: Python<'_>) -> Option<Py<InferResult>> {
        let result = &self.reading.result;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner);
        result.as_ref().map(|result| result.clone_ref(py))
    }

    /// Cancels the request if it still runs: the slot is free again. Does nothing twice.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        runtime::wait(py, self.reading.clone().close())
    }

    /// `close()`, to be awaited.
    fn aclose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        runtime::awaitable(py, self.reading.clone().close())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        self.close(py)
    }

    fn __aenter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        runtime::awaitable(py, async move { Ok(slf) })
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.aclose(py)
    }
}
