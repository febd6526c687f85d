//! The engine: one model, loaded. Each call exists to be waited for and to be awaited.

use crate::options::{self, Question};
use crate::result::InferResult;
use crate::stream::Stream;
use crate::{error, progress, runtime, telemetry};
use llamatelemetry::{AnswerStream, GenerateOptions, InferenceEngine, LoadOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, PoisonError, RwLock};

type Loaded = Arc<RwLock<Option<Arc<InferenceEngine>>>>;

/// One model in a server of its own, or none yet.
#[pyclass(frozen, module = "llamatelemetry")]
#[derive(Default)]
pub(crate) struct Engine {
    loaded: Loaded,
}

impl Drop for Engine {
    fn drop(&mut self) {
        runtime::release(std::mem::take(&mut self.loaded));
    }
}

async fn load(loaded: Loaded, model: String, options: LoadOptions) -> PyResult<()> {
    unload(loaded.clone()).await?;
    let engine = InferenceEngine::load_model(&model, options).await;
    let engine = engine.map_err(|problem| error::raised(&problem))?;
    *loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(engine));
    Ok(())
}

/// Streams that are still open keep their server until they end.
async fn unload(loaded: Loaded) -> PyResult<()> {
    let engine = loaded
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(engine) = engine.and_then(Arc::into_inner) {
        engine.unload().await;
    }
    Ok(())
}

async fn ask(
    engine: Arc<InferenceEngine>,
    question: Question,
    options: GenerateOptions,
) -> PyResult<AnswerStream> {
    let answer = match &question {
        Question::Prompt(prompt) => engine.stream(prompt, &options).await,
        Question::Messages(messages) => engine.chat_stream(messages, &options).await,
    };
    answer.map_err(|problem| error::raised(&problem))
}

async fn answer(
    engine: Arc<InferenceEngine>,
    question: Question,
    options: GenerateOptions,
) -> PyResult<InferResult> {
    let whole = ask(engine, question, options).await?.finish().await;
    Ok(whole.map_err(|problem| error::raised(&problem))?.into())
}

impl Engine {
    fn engine(&self) -> PyResult<Arc<InferenceEngine>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.clone().ok_or_else(error::not_loaded)
    }

    fn options(
        settings: Option<&Bound<'_, PyDict>>,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<LoadOptions> {
        Ok(LoadOptions::new(options::settings(settings)?)
            .with_progress(progress::listener(listener))
            .with_sink(telemetry::sink()))
    }
}

#[pymethods]
impl Engine {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[pyo3(signature = (model, settings=None, progress=None))]
    fn load(
        &self,
        py: Python<'_>,
        model: String,
        settings: Option<&Bound<'_, PyDict>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let options = Self::options(settings, progress)?;
        runtime::wait(py, load(self.loaded.clone(), model, options))
    }

    #[pyo3(signature = (model, settings=None, progress=None))]
    fn load_async<'py>(
        &self,
        py: Python<'py>,
        model: String,
        settings: Option<&Bound<'_, PyDict>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = Self::options(settings, progress)?;
        runtime::awaitable(py, load(self.loaded.clone(), model, options))
    }

    #[pyo3(signature = (prompt, options=None))]
    fn infer(
        &self,
        py: Python<'_>,
        prompt: String,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<InferResult> {
        let options = options::generate(options)?;
        runtime::wait(
            py,
            answer(self.engine()?, Question::Prompt(prompt), options),
        )
    }

    #[pyo3(signature = (prompt, options=None))]
    fn infer_async<'py>(
        &self,
        py: Python<'py>,
        prompt: String,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = options::generate(options)?;
        let answer = answer(self.engine()?, Question::Prompt(prompt), options);
        runtime::awaitable(py, answer)
    }

    #[pyo3(signature = (prompt, options=None))]
    fn stream(
        &self,
        py: Python<'_>,
        prompt: String,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Stream> {
        let options = options::generate(options)?;
        let asking = ask(self.engine()?, Question::Prompt(prompt), options);
        runtime::wait(py, asking).map(Stream::new)
    }

    #[pyo3(signature = (prompt, options=None))]
    fn stream_async<'py>(
        &self,
        py: Python<'py>,
        prompt: String,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = options::generate(options)?;
        let asking = ask(self.engine()?, Question::Prompt(prompt), options);
        runtime::awaitable(py, async move { asking.await.map(Stream::new) })
    }

    #[pyo3(signature = (messages, options=None))]
    fn chat(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<InferResult> {
        let (messages, options) = (Question::messages(messages)?, options::generate(options)?);
        runtime::wait(py, answer(self.engine()?, messages, options))
    }

    #[pyo3(signature = (messages, options=None))]
    fn chat_async<'py>(
        &self,
        py: Python<'py>,
        messages: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (messages, options) = (Question::messages(messages)?, options::generate(options)?);
        runtime::awaitable(py, answer(self.engine()?, messages, options))
    }

    #[pyo3(signature = (messages, options=None))]
    fn chat_stream(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Stream> {
        let (messages, options) = (Question::messages(messages)?, options::generate(options)?);
        runtime::wait(py, ask(self.engine()?, messages, options)).map(Stream::new)
    }

    #[pyo3(signature = (messages, options=None))]
    fn chat_stream_async<'py>(
        &self,
        py: Python<'py>,
        messages: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (messages, options) = (Question::messages(messages)?, options::generate(options)?);
        let asking = ask(self.engine()?, messages, options);
        runtime::awaitable(py, async move { asking.await.map(Stream::new) })
    }

    fn unload(&self, py: Python<'_>) -> PyResult<()> {
        if !self.is_loaded() {
            return Ok(());
        }
        runtime::wait(py, unload(self.loaded.clone()))
    }

    fn unload_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        runtime::awaitable(py, unload(self.loaded.clone()))
    }

    #[getter]
    fn is_loaded(&self) -> bool {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.is_some()
    }

    /// The model that is loaded, as it was found: name and file.
    #[getter]
    fn model(&self) -> Option<(String, String)> {
        let engine = self.engine().ok()?;
        let model = engine.server().model();
        Some((model.name.clone(), model.path.display().to_string()))
    }

    /// The llama.cpp build that runs.
    #[getter]
    fn llama_build(&self) -> Option<String> {
        let engine = self.engine().ok()?;
        Some(engine.server().runtime().build.text.clone())
    }
}
