//! Signals in a file, as OTLP's JSON: one export request a line.

use crate::TelemetryError;
use crate::output::Output;
use crate::signal::{Frame, OwnOrigin, Signal, json};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A file that every signal is appended to. A line is written at once, so that programs can share
/// a file and nothing is lost with this one.
#[derive(Debug)]
pub(crate) struct FileOutput {
    path: PathBuf,
    file: File,
    origin: OwnOrigin,
    /// A failure was told.
    told: AtomicBool,
}

impl FileOutput {
    pub(crate) fn open(path: &Path, origin: OwnOrigin) -> Result<Self, TelemetryError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = File::options()
            .create(true)
            .append(true)
            // What was said may stand in it.
            .mode(0o600)
            .open(path)
            .map_err(|source| TelemetryError::File {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            origin,
            told: AtomicBool::new(false),
        })
    }

    fn append<M: Message>(&self, signal: Signal, items: &[M]) {
        if items.is_empty() {
            return;
        }
        let request = self.origin.get().request(&Frame::of(items, |_| 1).bytes);
        let Some(mut line) = json(signal, &request) else {
            return;
        };
        line.push(b'\n');
        if let Err(error) = (&self.file).write_all(&line)
            && !self.told.swap(true, Ordering::Relaxed)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "telemetry cannot be written; what follows is missing too");
        }
    }
}

impl Output for FileOutput {
    fn spans(&self, spans: &[Span]) {
        self.append(Signal::Traces, spans);
    }

    fn logs(&self, logs: &[LogRecord]) {
        self.append(Signal::Logs, logs);
    }

    fn metrics(&self, metrics: &[Metric]) {
        self.append(Signal::Metrics, metrics);
    }

    fn flush(&self, _until: Instant) -> bool {
        true
    }

    fn shutdown(&self, _until: Instant) {}
}
