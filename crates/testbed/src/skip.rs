//! Tests that cannot run here.

use crate::environment::process;
use std::io::Write as _;

/// Says that the calling test cannot run here, and why. It counts as not seen: `cargo xtask test`
/// lists every skip below its results.
///
/// ```ignore
/// let Some(python) = testbed::python() else {
///     return testbed::skip("no Python with the package gguf");
/// };
/// ```
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {test}: {reason}\n");
    // Written past the test harness's capture, so that it is seen even though the test passes.
    let told = std::io::stderr().write_all(line.as_bytes());
    let kept = process()
        .get_os("LLAMATELEMETRY_TEST_SKIPS")
        .map_or(Ok(()), |file| {
            std::fs::File::options()
                .create(true)
                .append(true)
                .open(file)?
                .write_all(line.as_bytes())
        });
    told.and(kept).expect("a skip can be told");
}
