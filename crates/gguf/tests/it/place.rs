//! Where the things lie that `cargo xtask test` brings, and what to do without them.

use std::io::Write as _;
use std::path::PathBuf;

use llamatelemetry_settings::Environment;

/// The path in a variable, if that is set and there is something.
pub(crate) fn path(variable: &str) -> Option<PathBuf> {
    let environment = Environment::from_process();
    let path = PathBuf::from(environment.get_os(variable)?);
    path.exists().then_some(path)
}

/// A Python interpreter with the package `gguf`.
pub(crate) fn python() -> Option<PathBuf> {
    path("LLAMATELEMETRY_TEST_PYTHON")
}

/// The source tree of llama.cpp.
pub(crate) fn llama_source() -> Option<PathBuf> {
    path("LLAMATELEMETRY_TEST_LLAMA_SOURCE")
}

/// The built llama-server.
pub(crate) fn llama_server() -> Option<PathBuf> {
    path("LLAMATELEMETRY_TEST_LLAMA_SERVER")
}

/// A real model.
pub(crate) fn model() -> Option<PathBuf> {
    path("LLAMATELEMETRY_TEST_MODEL")
}

/// Says why the calling test cannot run here; `cargo xtask test` lists every skip.
pub(crate) fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {test}: {reason}\n");
    // Past the test harness's capture, so that it is seen even though the test passes.
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error can be written");
    if let Some(file) = Environment::from_process().get_os("LLAMATELEMETRY_TEST_SKIPS") {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file)
            .expect("open");
        file.write_all(line.as_bytes())
            .expect("the skip can be kept");
    }
}
