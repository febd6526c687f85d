//! OTLP from elsewhere into the store.

use crate::check::Document;
use crate::signal::points;
use llamatelemetry_store::{Signal, StoreError, Writer};
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::metrics::v1::MetricsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use serde::Serialize;
use std::path::Path;

/// Bytes that are written and synced together.
const BATCH: usize = 4 << 20;

/// What was taken into the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Spans.
    pub spans: u64,
    /// Points of metrics.
    pub points: u64,
    /// Log records.
    pub logs: u64,
}

/// Takes documents into a store.
#[derive(Debug)]
pub struct Import {
    writer: Writer,
    /// What waits for each signal. Requests laid one behind the other are one request.
    waiting: [Vec<u8>; 3],
    imported: Imported,
}

impl Import {
    /// Into the store in this folder.
    pub fn into(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            writer: Writer::open(folder)?,
            waiting: Default::default(),
            imported: Imported::default(),
        })
    }

    /// Takes a document.
    pub fn add(&mut self, document: &Document) -> Result<(), StoreError> {
        for resource in document.spans.iter().flatten() {
            let scopes = resource.scope_spans.iter();
            self.imported.spans += scopes.map(|scope| scope.spans.len() as u64).sum::<u64>();
            let resource_spans = vec![resource.clone()];
            let request = TracesData { resource_spans };
            self.put(Signal::Traces, &request.encode_to_vec())?;
        }
        for resource in document.metrics.iter().flatten() {
            let scopes = resource.scope_metrics.iter();
            let metrics = scopes.flat_map(|scope| &scope.metrics);
            self.imported.points += metrics.map(|metric| points(metric) as u64).sum::<u64>();
            let resource_metrics = vec![resource.clone()];
            let request = MetricsData { resource_metrics };
            self.put(Signal::Metrics, &request.encode_to_vec())?;
        }
        for resource in document.logs.iter().flatten() {
            let records = resource.scope_logs.iter().map(|scope| &scope.log_records);
            self.imported.logs += records.map(|records| records.len() as u64).sum::<u64>();
            let resource_logs = vec![resource.clone()];
            let request = LogsData { resource_logs };
            self.put(Signal::Logs, &request.encode_to_vec())?;
        }
        Ok(())
    }

    /// Writes what waits; what was taken is durable then.
    pub fn finish(mut self) -> Result<Imported, StoreError> {
        for signal in Signal::ALL {
            self.write(signal)?;
        }
        Ok(self.imported)
    }

    fn put(&mut self, signal: Signal, request: &[u8]) -> Result<(), StoreError> {
        if self.waiting[signal as usize].len() + request.len() > BATCH {
            self.write(signal)?;
        }
        self.waiting[signal as usize].extend_from_slice(request);
        Ok(())
    }

    fn write(&mut self, signal: Signal) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting[signal as usize]);
        if waiting.is_empty() {
            return Ok(());
        }
        self.writer.append(signal, waiting)
    }
}
