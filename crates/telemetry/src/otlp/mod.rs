//! Spans over OTLP: a batch processor of the SDK in front of an exporter of ours.
//!
//! The exporter is ours because `opentelemetry-otlp` reads the process environment behind the
//! settings' back, hides what a collector rejected, and cannot be cut short in its retries.

mod exporter;
mod stop;
mod transport;

use crate::TelemetryError;
use crate::config::{BatchConfig, Endpoint, OtlpConfig};
use exporter::Exporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor as _,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use stop::Stop;
use transport::Transport;

/// What became of the spans.
#[derive(Debug, Default)]
struct Counts {
    /// Given to the pipeline.
    accepted: AtomicU64,
    /// Taken by the collector.
    delivered: AtomicU64,
    /// Why the latest batch that failed did.
    failure: Mutex<Option<String>>,
}

impl Counts {
    fn failure(&self) -> MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the collector.
#[derive(Debug)]
pub(crate) struct Pipeline {
    endpoint: Endpoint,
    processor: Arc<BatchSpanProcessor>,
    counts: Arc<Counts>,
    stop: Arc<Stop>,
}

impl Pipeline {
    pub(crate) fn start(
        config: OtlpConfig,
        batch: BatchConfig,
        resource: &Resource,
    ) -> Result<Self, TelemetryError> {
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(Stop::default());
        let endpoint = config.endpoint.clone();
        let transport = Transport::new(config)?;
        let exporter = Exporter::new(transport, resource, counts.clone(), stop.clone());
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(batch.queue)
            .with_max_export_batch_size(batch.batch)
            .with_scheduled_delay(batch.delay)
            .build();
        Ok(Self {
            endpoint,
            processor: Arc::new(BatchSpanProcessor::new(exporter, batch)),
            counts,
            stop,
        })
    }

    pub(crate) fn push(&self, span: SpanData) {
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        self.processor.on_end(span);
    }

    /// Sends what waits, for at most this long. Returns whether it was all tried in that time.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        let processor = self.processor.clone();
        // The processor's own flush has a fixed limit of its own.
        let flushing = thread::Builder::new()
            .name("telemetry-flush".to_owned())
            .spawn(move || drop(done.send(processor.force_flush())));
        flushing.is_ok() && matches!(wait.recv_timeout(limit), Ok(Ok(())))
    }

    /// Sends what waits, once, for at most this long, and ends.
    pub(crate) fn shutdown(&self, limit: Duration) {
        self.stop.by(Instant::now() + limit);
        // Whatever it says, what was not delivered is told by the counts.
        let _outcome = self.processor.shutdown_with_timeout(limit);
    }

    /// Spans delivered, and spans that were given to the pipeline and not delivered so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let delivered = self.counts.delivered.load(Ordering::Relaxed);
        let accepted = self.counts.accepted.load(Ordering::Relaxed);
        (delivered, accepted.saturating_sub(delivered))
    }

    /// What was lost so far and why, in a sentence without anything secret.
    pub(crate) fn loss(&self) -> Option<String> {
        let (delivered, lost) = self.counts();
        let reason = self.counts.failure().clone();
        let reason = reason.as_deref().unwrap_or("no answer in time");
        (lost > 0).then(|| {
            let all = delivered + lost;
            format!(
                "{lost} of {all} spans were lost: {reason}: {}",
                self.endpoint
            )
        })
    }
}
