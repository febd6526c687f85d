//! What an answer's figures look like in Python.

use crate::json;
use llamatelemetry as sdk;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use std::fmt::Write as _;

/// An answer with its figures. What is unknown is `None`, never 0. Also a mapping: `result["text"]`.
#[pyclass(frozen, module = "llamatelemetry")]
#[derive(Debug)]
pub(crate) struct InferResult(sdk::InferResult);

/// Tokens, counted by the server.
#[expect(
    clippy::struct_field_names,
    reason = "the names that every client of such an API knows"
)]
#[pyclass(frozen, get_all, module = "llamatelemetry")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    prompt_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Where the time went, in milliseconds.
#[pyclass(frozen, get_all, module = "llamatelemetry")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timings {
    queue_ms: Option<f64>,
    ttft_ms: Option<f64>,
    prefill_ms: Option<f64>,
    decode_ms: Option<f64>,
    total_ms: f64,
    prompt_per_second: Option<f64>,
    decode_per_second: Option<f64>,
}

/// Energy used, in joules; `error` is the half width of the 95 % interval.
#[pyclass(frozen, get_all, module = "llamatelemetry")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Energy {
    joules: f64,
    joules_per_token: Option<f64>,
    prefill_joules: Option<f64>,
    decode_joules: Option<f64>,
    error: f64,
}

impl From<sdk::InferResult> for InferResult {
    fn from(result: sdk::InferResult) -> Self {
        Self(result)
    }
}

#[pymethods]
impl InferResult {
    /// The answer.
    #[getter]
    fn text(&self) -> &str {
        &self.0.text
    }

    /// The reasoning that came before it, apart.
    #[getter]
    fn reasoning(&self) -> &str {
        &self.0.reasoning
    }

    /// The tools the model calls, in OpenAI's form.
    #[getter]
    fn tool_calls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, &self.0.tool_calls)
    }

    /// The model, as the caller named it.
    #[getter]
    fn model(&self) -> &str {
        &self.0.model
    }

    /// `stop`, `length`, `tool_calls`, …
    #[getter]
    fn finish_reason(&self) -> Option<&str> {
        self.0.finish_reason.as_ref().map(sdk::FinishReason::as_str)
    }

    /// The slot that worked on it, if known.
    #[getter]
    fn slot(&self) -> Option<u32> {
        self.0.slot
    }

    /// Tokens.
    #[getter]
    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.0.usage.prompt_tokens,
            cached_tokens: self.0.usage.cached_tokens,
            completion_tokens: self.0.usage.completion_tokens,
        }
    }

    /// Where the time went.
    #[getter]
    fn timings(&self) -> Timings {
        let timings = &self.0.timings;
        Timings {
            queue_ms: timings.queue_ms,
            ttft_ms: timings.ttft_ms,
            prefill_ms: timings.prefill_ms,
            decode_ms: timings.decode_ms,
            total_ms: timings.total_ms,
            prompt_per_second: timings.prompt_per_second,
            decode_per_second: timings.decode_per_second,
        }
    }

    /// Energy used; `None` where nothing measures it.
    #[getter]
    fn energy(&self) -> Option<Energy> {
        self.0.energy.map(|energy| Energy {
            joules: energy.joules,
            joules_per_token: energy.joules_per_token,
            prefill_joules: energy.prefill_joules,
            decode_joules: energy.decode_joules,
            error: energy.error,
        })
    }

    /// The trace that the request belongs to, 32 hex digits.
    #[getter]
    fn trace_id(&self) -> String {
        self.0.trace_id.to_string()
    }

    /// The request's span as a W3C `traceparent`: what its tool runs name as their parent.
    #[getter]
    fn traceparent(&self) -> String {
        self.0.trace_context.to_string()
    }

    /// SHA-256 of the model's file, once known.
    #[getter]
    fn model_sha256(&self) -> Option<&str> {
        self.0.model_sha256.as_deref()
    }

    /// The llama.cpp build that answered.
    #[getter]
    fn llama_build(&self) -> Option<&str> {
        self.0.llama_build.as_deref()
    }

    /// The document that `llt run --json` prints.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, &self.0)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        let document = self.to_dict(py)?;
        document
            .get_item(key)
            .map_err(|_missing| PyKeyError::new_err(key.to_owned()))
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.to_dict(py)?.call_method0("keys")
    }

    fn __str__(&self) -> &str {
        &self.0.text
    }

    fn __repr__(&self) -> String {
        format!("InferResult(text={:?}, {})", self.0.text, self.figures())
    }

    fn _repr_html_(&self) -> String {
        format!(
            "<div style=\"white-space:pre-wrap\">{}</div><small>{}</small>",
            escaped(&self.0.text),
            escaped(&self.figures())
        )
    }
}

impl InferResult {
    fn figures(&self) -> String {
        let sdk::InferResult { usage, timings, .. } = &self.0;
        let mut line = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let comma = if line.is_empty() { "" } else { ", " };
                // Writing to a String cannot fail.
                write!(line, "{comma}{name}={value}").ok();
            }
        };
        add("tokens", usage.completion_tokens.map(|n| n.to_string()));
        add("ttft_ms", timings.ttft_ms.map(|ms| format!("{ms:.1}")));
        add(
            "decode_per_second",
            timings.decode_per_second.map(|rate| format!("{rate:.1}")),
        );
        add("finish_reason", self.finish_reason().map(str::to_owned));
        add("model", Some(self.0.model.clone()));
        line
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[pymethods]
impl Usage {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl Timings {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}

#[pymethods]
impl Energy {
    fn __repr__(&self) -> String {
        format!("{self:?}")
    }
}
