//! The native part of the Python package `llamatelemetry`: the SDK's objects as Python's.
//!
//! What people import is the pure-Python face in `python/llamatelemetry`; it knows this module as
//! `llamatelemetry._native`. Importing it starts nothing: threads begin with the first call that
//! waits for something (`runtime`).

mod engine;
mod error;
mod json;
mod listing;
mod options;
mod progress;
mod result;
mod runtime;
mod server;
mod stream;
mod telemetry;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::add_to(module)?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<result::InferResult>()?;
    module.add_class::<result::Usage>()?;
    module.add_class::<result::Timings>()?;
    module.add_class::<result::Energy>()?;
    module.add_class::<telemetry::Telemetry>()?;
    module.add_function(wrap_pyfunction!(telemetry::setup_telemetry, module)?)?;
    module.add_function(wrap_pyfunction!(listing::list_models, module)?)?;
    module.add_function(wrap_pyfunction!(listing::find_model, module)?)?;
    module.add_function(wrap_pyfunction!(listing::ensure_model, module)?)?;
    Ok(())
}
