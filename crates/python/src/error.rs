//! Errors as Python's: a tree below `LlamaTelemetryError`. The one map from the SDK's.

use llamatelemetry::{Error, ErrorKind};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    llamatelemetry,
    LlamaTelemetryError,
    PyException,
    "Anything that llamatelemetry raises. `hints`: what can be done; `server_log`: the last lines \
     of llama-server's log, where it is what failed; `traceparent`: the request that failed."
);
create_exception!(
    llamatelemetry,
    SettingsError,
    LlamaTelemetryError,
    "A setting or the home folder."
);
create_exception!(
    llamatelemetry,
    RuntimeInstallError,
    LlamaTelemetryError,
    "Finding, fetching, building or proving llama.cpp."
);
create_exception!(
    llamatelemetry,
    ModelError,
    LlamaTelemetryError,
    "Finding, fetching or verifying a model."
);
create_exception!(
    llamatelemetry,
    ServerError,
    LlamaTelemetryError,
    "Starting or keeping llama-server."
);
create_exception!(
    llamatelemetry,
    RequestError,
    LlamaTelemetryError,
    "A request."
);
create_exception!(
    llamatelemetry,
    TelemetryError,
    LlamaTelemetryError,
    "Setting up telemetry."
);
create_exception!(
    llamatelemetry,
    NotLoadedError,
    LlamaTelemetryError,
    "No model is loaded."
);
create_exception!(
    llamatelemetry,
    ForkedError,
    LlamaTelemetryError,
    "This process was forked from one that uses llamatelemetry."
);

pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    for (name, class) in [
        ("LlamaTelemetryError", py.get_type::<LlamaTelemetryError>()),
        ("SettingsError", py.get_type::<SettingsError>()),
        ("RuntimeInstallError", py.get_type::<RuntimeInstallError>()),
        ("ModelError", py.get_type::<ModelError>()),
        ("ServerError", py.get_type::<ServerError>()),
        ("RequestError", py.get_type::<RequestError>()),
        ("TelemetryError", py.get_type::<TelemetryError>()),
        ("NotLoadedError", py.get_type::<NotLoadedError>()),
        ("ForkedError", py.get_type::<ForkedError>()),
    ] {
        module.add(name, class)?;
    }
    Ok(())
}

/// The SDK's error as the Python error of its kind, with its hints.
pub(crate) fn raised(error: &Error) -> PyErr {
    let text = chain(error);
    let raised = match error.kind() {
        ErrorKind::Settings => SettingsError::new_err(text),
        ErrorKind::Runtime => RuntimeInstallError::new_err(text),
        ErrorKind::Model => ModelError::new_err(text),
        ErrorKind::Server => ServerError::new_err(text),
        ErrorKind::Request => RequestError::new_err(text),
        ErrorKind::Telemetry => TelemetryError::new_err(text),
        _ => LlamaTelemetryError::new_err(text),
    };
    let traceparent = error.trace_context().map(|context| context.to_string());
    Python::attach(|py| {
        let value = raised.value(py);
        let told = value
            .setattr("hints", error.hints())
            .and_then(|()| value.setattr("server_log", error.server_log().to_vec()))
            .and_then(|()| value.setattr("traceparent", traceparent));
        match told {
            Ok(()) => raised.clone_ref(py),
            Err(refused) => refused,
        }
    })
}

/// The error and what caused it, in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

pub(crate) fn not_loaded() -> PyErr {
    NotLoadedError::new_err("no model is loaded: call load_model() first")
}

pub(crate) fn forked() -> PyErr {
    ForkedError::new_err(
        "this process was forked after llamatelemetry was first used: its threads did not come \
         along. Use it only after the fork, or start processes with `spawn`",
    )
}
