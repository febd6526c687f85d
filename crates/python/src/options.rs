//! What Python callers choose, as the SDK's options.

use crate::{error, json};
use llamatelemetry::settings::{Environment, Flags, Settings, resolve};
use llamatelemetry::{Error, GenerateOptions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};
use serde_json::{Map, Value};

/// The settings, with these keys set as if by flags: `{"server.context": 2048}`.
pub(crate) fn settings(chosen: Option<&Bound<'_, PyDict>>) -> PyResult<Settings> {
    let mut flags = Flags::default();
    for (key, value) in chosen.into_iter().flatten() {
        let key: String = key.extract()?;
        for text in texts(&value)? {
            flags
                .set(&key, text)
                .map_err(|problem| error::raised(&problem.into()))?;
        }
    }
    let resolved = resolve(Environment::from_process(), &flags);
    Ok(resolved
        .map_err(|problem| error::raised(&Error::from(problem)))?
        .settings)
}

/// A value as a flag would be typed; a list takes the flag again and again.
fn texts(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if value.is_none() {
        return Ok(Vec::new());
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(vec![value.is_true().to_string()]);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?;
        return items.map(|item| Ok(item?.str()?.to_string())).collect();
    }
    Ok(vec![value.str()?.to_string()])
}

/// How an answer is generated, from keyword arguments. Those that no option is named after are
/// sent to llama-server as they are.
pub(crate) fn generate(chosen: Option<&Bound<'_, PyDict>>) -> PyResult<GenerateOptions> {
    let mut options = GenerateOptions::default();
    for (key, value) in chosen.into_iter().flatten() {
        if value.is_none() {
            continue;
        }
        let key: String = key.extract()?;
        match key.as_str() {
            "max_tokens" => options.max_tokens = Some(value.extract()?),
            "temperature" => options.temperature = Some(value.extract()?),
            "top_p" => options.top_p = Some(value.extract()?),
            "top_k" => options.top_k = Some(value.extract()?),
            "seed" => options.seed = Some(value.extract()?),
            "stop" => options.stop = stop(&value)?,
            "json_schema" => options.json_schema = Some(json::from_python(&value)?),
            "tools" => options.tools = json::from_python(&value)?,
            "conversation_id" => options.conversation_id = Some(value.extract()?),
            "parent" => {
                let header: String = value.extract()?;
                let context = header.parse();
                options.parent = Some(context.map_err(|_invalid| {
                    pyo3::exceptions::PyValueError::new_err(format!(
                        "parent is not a W3C traceparent: {header}"
                    ))
                })?);
            }
            _ => {
                let value: Value = json::from_python(&value)?;
                options.extra.insert(key, value);
            }
        }
    }
    if options.extra.contains_key("stream") {
        return Err(PyTypeError::new_err(
            "`stream` is not an option: call stream() or chat_stream()",
        ));
    }
    Ok(options)
}

fn stop(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match value.extract::<String>() {
        Ok(one) => Ok(vec![one]),
        Err(_several) => value.extract(),
    }
}

/// What is asked: a text, or messages as dicts.
#[derive(Debug)]
pub(crate) enum Question {
    /// To the model as it stands.
    Prompt(String),
    /// Through the model's chat template.
    Messages(Vec<llamatelemetry::ChatMessage>),
}

impl Question {
    /// A text is one message of the user's.
    pub(crate) fn messages(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.extract::<String>() {
            return Ok(Self::Messages(vec![llamatelemetry::ChatMessage::user(
                text,
            )]));
        }
        let messages: Vec<Map<String, Value>> = json::from_python(value)?;
        let messages = messages
            .into_iter()
            .map(|mut message| {
                // llama-server takes null where a message only calls tools.
                if message.get("content").is_none_or(Value::is_null) {
                    message.insert("content".into(), Value::String(String::new()));
                }
                serde_json::from_value(Value::Object(message))
            })
            .collect::<Result<_, _>>();
        messages.map(Self::Messages).map_err(|problem| {
            PyTypeError::new_err(format!("messages need `role` and `content`: {problem}"))
        })
    }
}
