//! Signals over OTLP: one lane a signal, each with its spool, its thread and its transport.
//!
//! The transport is ours because `opentelemetry-otlp` reads the process environment behind the
//! settings' back, hides what a collector rejected, and cannot be cut short in its retries.

mod backoff;
mod lane;
mod signal;
mod spool;
mod transport;

pub(crate) use signal::Signal;

use crate::config::{BatchConfig, OtlpConfig};
use crate::output::Output;
use crate::{TelemetryError, names};
use lane::{Counts, Lane};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use signal::{Frame, Origin};
use spool::Spool;
use std::time::Instant;

/// Bytes that wait in memory at most.
const MEMORY_LIMIT: usize = 64 << 20;

/// The way to the collectors.
#[derive(Debug)]
pub(crate) struct Otlp {
    batch: BatchConfig,
    traces: Lane,
}

impl Otlp {
    pub(crate) fn start(
        config: OtlpConfig,
        batch: BatchConfig,
        resource: &Resource,
        schema_url: &str,
    ) -> Result<Self, TelemetryError> {
        let scope = InstrumentationScope {
            name: names::SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let origin = Origin::new(resource, &scope, schema_url);
        let spool = Spool::in_memory(origin, MEMORY_LIMIT);
        Ok(Self {
            batch,
            traces: Lane::start(Signal::Traces, config, batch, spool)?,
        })
    }

    /// Items delivered, and items that were given to the pipeline and not delivered so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let Counts {
            delivered,
            undelivered,
        } = self.traces.counts();
        (delivered, undelivered)
    }

    /// What was lost so far and why, in a sentence without anything secret.
    pub(crate) fn loss(&self) -> Option<String> {
        self.traces.loss()
    }
}

impl Output for Otlp {
    fn spans(&self, spans: &[Span]) {
        for spans in spans.chunks(self.batch.batch) {
            self.traces.push(Frame::of(spans, |_| 1));
        }
    }

    fn flush(&self, until: Instant) -> bool {
        self.traces.flush(until)
    }

    fn shutdown(&self, until: Instant) {
        self.traces.stop(until);
        self.traces.join(until);
    }
}
