//! Signals over OTLP: one lane a signal, each with its spool, its thread and its transport.
//!
//! The transport is ours because `opentelemetry-otlp` reads the process environment behind the
//! settings' back, hides what a collector rejected, and cannot be cut short in its retries.

mod backoff;
mod lane;
mod spool;
mod transport;

use crate::TelemetryError;
use crate::config::SignalConfig;
use crate::output::Output;
use crate::pipeline::Delivery;
use crate::signal::{Frame, OwnOrigin, Signal, points};
use lane::Lane;
use llamatelemetry_settings::Environment;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spool::{Folder, Spool};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Bytes that wait in memory at most where nothing can be kept on disk.
const MEMORY_LIMIT: u64 = 16 << 20;

/// Where signals wait that could not be sent yet.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) folder: PathBuf,
    /// Bytes at most; with 0 they wait in memory.
    pub(crate) limit: u64,
}

/// The way to the collectors.
#[derive(Debug)]
pub(crate) struct Otlp {
    lanes: Vec<(Signal, usize, Lane)>,
}

impl Otlp {
    /// Starts a lane for every signal that is sent. A folder that cannot be used is told.
    pub(crate) fn start(
        sent: Vec<SignalConfig>,
        origin: &OwnOrigin,
        kept: Kept,
        environment: &Environment,
        notices: &mut Vec<String>,
    ) -> Result<Self, TelemetryError> {
        let Kept { folder, limit } = kept;
        let folder = (limit > 0 && !sent.is_empty()).then(|| Folder::open(folder, limit));
        let folder = match folder.transpose() {
            Ok(folder) => folder.map(Arc::new),
            Err(error) => {
                notices.push(format!(
                    "nothing can be kept on disk ({error}), so what cannot be sent is lost with \
                     this program"
                ));
                None
            }
        };
        let lane = |SignalConfig {
                        signal,
                        otlp,
                        batch,
                    }| {
            let spool = match &folder {
                Some(folder) => Spool::on_disk(
                    origin.clone(),
                    folder.clone(),
                    signal,
                    otlp.endpoint.to_string(),
                ),
                None => Spool::in_memory(origin.clone(), MEMORY_LIMIT),
            };
            let size = batch.batch;
            Ok((
                signal,
                size,
                Lane::start(signal, otlp, batch, spool, environment)?,
            ))
        };
        Ok(Self {
            lanes: sent
                .into_iter()
                .map(lane)
                .collect::<Result<_, TelemetryError>>()?,
        })
    }

    /// What became of the signals so far.
    pub(crate) fn delivery(&self) -> Delivery {
        let mut all = Delivery::default();
        for (_, one) in self.deliveries() {
            all.delivered += one.delivered;
            all.kept += one.kept;
            all.lost += one.lost;
        }
        all
    }

    /// What became of the items of each signal that is sent.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = (Signal, Delivery)> {
        self.lanes.iter().map(|(signal, _, lane)| {
            let counts = lane.counts();
            let delivery = Delivery {
                delivered: counts.delivered,
                kept: counts.kept,
                lost: counts.lost,
            };
            (*signal, delivery)
        })
    }

    fn push<M: Message>(&self, signal: Signal, items: &[M], weight: impl Fn(&M) -> usize) {
        for (_, batch, lane) in self.lanes.iter().filter(|(own, ..)| *own == signal) {
            for items in items.chunks((*batch).max(1)) {
                lane.push(Frame::of(items, &weight));
            }
        }
    }
}

impl Output for Otlp {
    fn spans(&self, spans: &[Span]) {
        self.push(Signal::Traces, spans, |_| 1);
    }

    fn logs(&self, logs: &[LogRecord]) {
        self.push(Signal::Logs, logs, |_| 1);
    }

    fn metrics(&self, metrics: &[Metric]) {
        self.push(Signal::Metrics, metrics, points);
    }

    fn flush(&self, until: Instant) -> bool {
        let lanes = || self.lanes.iter().map(|(_, _, lane)| lane);
        lanes().for_each(|lane| lane.hurry(until));
        // Each is waited for, also behind one that failed.
        let unsent = lanes().filter(|lane| !lane.wait_sent(until)).count();
        unsent == 0
    }

    fn shutdown(&self, until: Instant) {
        for (_, _, lane) in &self.lanes {
            lane.stop(until);
        }
        for (_, _, lane) in &self.lanes {
            lane.join(until);
        }
    }

    fn loss(&self) -> Option<String> {
        let all: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(_, _, lane)| lane.loss())
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
