//! Where signals go.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::fmt;
use std::time::Instant;

/// Takes signals from the pipeline's thread. No call but `flush` and `shutdown` may wait for
/// anything: what needs time has a thread and a bounded queue of its own.
pub(crate) trait Output: fmt::Debug + Send + Sync {
    /// Takes the spans of one request or happening, its own first.
    fn spans(&self, _spans: &[Span]) {}

    /// Takes log records.
    fn logs(&self, _logs: &[LogRecord]) {}

    /// Takes the present state of the metrics.
    fn metrics(&self, _metrics: &[Metric]) {}

    /// Writes or sends what waits, until then at most. Returns whether all was tried.
    fn flush(&self, until: Instant) -> bool;

    /// Writes or sends what waits, until then at most, and ends.
    fn shutdown(&self, until: Instant);

    /// What was lost here and why, in a sentence without anything secret.
    fn loss(&self) -> Option<String> {
        None
    }
}
