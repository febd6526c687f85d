//! Peers that tests compare with or talk to, installed by `cargo xtask test`.

use crate::environment::process;
use crate::place::folder;
use std::path::PathBuf;

/// The Python interpreter that has the package `gguf`: `LLAMATELEMETRY_TEST_PYTHON`, else the one
/// that `cargo xtask test` made. `None` where neither is there: [skip](crate::skip) then.
pub fn python() -> Option<PathBuf> {
    named_or_made("LLAMATELEMETRY_TEST_PYTHON", "python/bin/python3")
}

/// The OTLP collector `rotel`: `LLAMATELEMETRY_TEST_ROTEL`, else the one that `cargo xtask test`
/// installed.
pub fn rotel() -> Option<PathBuf> {
    named_or_made("LLAMATELEMETRY_TEST_ROTEL", "python/bin/rotel-agent")
}

/// The trace viewer Phoenix: `LLAMATELEMETRY_TEST_PHOENIX`, else the one that `cargo xtask test`
/// installed.
pub fn phoenix() -> Option<PathBuf> {
    named_or_made("LLAMATELEMETRY_TEST_PHOENIX", "phoenix/bin/phoenix")
}

/// The tracking server MLflow: `LLAMATELEMETRY_TEST_MLFLOW`, else the one that `cargo xtask test`
/// installed.
pub fn mlflow() -> Option<PathBuf> {
    named_or_made("LLAMATELEMETRY_TEST_MLFLOW", "mlflow/bin/mlflow")
}

/// The Python interpreter that has `DuckDB`, pandas and Spark: `LLAMATELEMETRY_TEST_TABLES`, else
/// the one that `cargo xtask test` made.
pub fn tables() -> Option<PathBuf> {
    named_or_made("LLAMATELEMETRY_TEST_TABLES", "tables/bin/python3")
}

/// The metrics server Prometheus: `LLAMATELEMETRY_TEST_PROMETHEUS`, else the one that
/// `cargo xtask test` unpacked. `None` where Debian's package cannot be had.
pub fn prometheus() -> Option<PathBuf> {
    named_or_made(
        "LLAMATELEMETRY_TEST_PROMETHEUS",
        "prometheus/usr/bin/prometheus",
    )
}

/// Prometheus' checker of metrics: `LLAMATELEMETRY_TEST_PROMTOOL`, else the one beside
/// [`prometheus`].
pub fn promtool() -> Option<PathBuf> {
    named_or_made(
        "LLAMATELEMETRY_TEST_PROMTOOL",
        "prometheus/usr/bin/promtool",
    )
}

fn named_or_made(variable: &str, program: &str) -> Option<PathBuf> {
    process()
        .get_os(variable)
        .map_or_else(|| folder().join(program), PathBuf::from)
        .canonicalize_parent()
}

/// Keeps the last name as it is: a virtual environment's interpreter is a link whose own path
/// tells it where its packages are.
trait CanonicalizeParent {
    fn canonicalize_parent(self) -> Option<PathBuf>;
}

impl CanonicalizeParent for PathBuf {
    fn canonicalize_parent(self) -> Option<PathBuf> {
        let name = self.file_name()?.to_owned();
        let path = self.parent()?.canonicalize().ok()?.join(name);
        path.exists().then_some(path)
    }
}
