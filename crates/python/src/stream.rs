//! An answer on its way, as a Python iterator.

use crate::result::InferResult;
use crate::{error, runtime};
use llamatelemetry::AnswerStream;
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use tokio::sync::Mutex;

/// An answer on its way: iterate for its text, piece by piece. Closing it, also by leaving a
/// `with` block or deleting it, cancels the request and frees the slot. `result` has the figures
/// once the answer is whole.
#[pyclass(frozen, module = "llamatelemetry")]
pub(crate) struct Stream {
    answer: Arc<Mutex<Option<AnswerStream>>>,
    result: Arc<SyncMutex<Option<Py<InferResult>>>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may be the last to hold its server.
        runtime::release(std::mem::take(&mut self.answer));
    }
}

impl Stream {
    pub(crate) fn new(answer: AnswerStream) -> Self {
        Self {
            answer: Arc::new(Mutex::new(Some(answer))),
            result: Arc::default(),
        }
    }

    /// The next text; `None` once the answer is whole, when its result is kept.
    async fn next(
        answer: Arc<Mutex<Option<AnswerStream>>>,
        result: Arc<SyncMutex<Option<Py<InferResult>>>>,
    ) -> PyResult<Option<String>> {
        let mut place = answer.lock().await;
        while let Some(answer) = place.as_mut() {
            match answer.next().await {
                Ok(Some(delta)) if delta.text.is_empty() => {}
                Ok(Some(delta)) => return Ok(Some(delta.text)),
                Err(problem) => {
                    *place = None;
                    return Err(error::raised(&problem));
                }
                Ok(None) => {
                    if let Some(answer) = place.take() {
                        let whole = answer.finish().await;
                        let whole = whole.map_err(|problem| error::raised(&problem))?;
                        let whole = Python::attach(|py| Py::new(py, InferResult::from(whole)))?;
                        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(whole);
                    }
                }
            }
        }
        Ok(None)
    }

    async fn ended(answer: Arc<Mutex<Option<AnswerStream>>>) -> PyResult<()> {
        answer.lock().await.take();
        Ok(())
    }
}

#[pymethods]
impl Stream {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        runtime::wait(py, Self::next(self.answer.clone(), self.result.clone()))
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let next = Self::next(self.answer.clone(), self.result.clone());
        runtime::awaitable(py, async move {
            let piece = next.await?;
            piece.ok_or_else(|| PyStopAsyncIteration::new_err(()))
        })
    }

    /// The whole answer with its figures; `None` until it is read to its end.
    #[getter]
    fn result(&self, py: Python<'_>) -> Option<Py<InferResult>> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.as_ref().map(|result| result.clone_ref(py))
    }

    /// Cancels the request if it still runs: the slot is free again. Does nothing twice.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        runtime::wait(py, Self::ended(self.answer.clone()))
    }

    /// `close()`, to be awaited.
    fn aclose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        runtime::awaitable(py, Self::ended(self.answer.clone()))
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
