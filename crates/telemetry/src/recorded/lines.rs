//! OTLP's JSON, one export request a line.

use crate::check::Document;
use opentelemetry_proto::tonic::logs::v1::{LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, TracesData};
use serde::Serialize;
use std::ops::ControlFlow;

/// Spans, metrics or log records of a line at most, so that whoever reads it need not hold much.
const ITEMS: usize = 256;

/// Writes a document as lines of OTLP's JSON, without their ends: one resource and one scope a line.
/// Stops where `each` breaks off.
pub fn lines(
    document: Document,
    each: &mut dyn FnMut(String) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for mut from in document.spans.into_iter().flatten() {
        for mut by in std::mem::take(&mut from.scope_spans) {
            for spans in parts(std::mem::take(&mut by.spans)) {
                let scope_spans = vec![ScopeSpans {
                    spans,
                    ..by.clone()
                }];
                let resource_spans = vec![ResourceSpans {
                    scope_spans,
                    ..from.clone()
                }];
                line(&TracesData { resource_spans }, each)?;
            }
        }
    }
    for mut from in document.metrics.into_iter().flatten() {
        for mut by in std::mem::take(&mut from.scope_metrics) {
            for metrics in parts(std::mem::take(&mut by.metrics)) {
                let scope_metrics = vec![ScopeMetrics {
                    metrics,
                    ..by.clone()
                }];
                let resource_metrics = vec![ResourceMetrics {
                    scope_metrics,
                    ..from.clone()
                }];
                line(&MetricsData { resource_metrics }, each)?;
            }
        }
    }
    for mut from in document.logs.into_iter().flatten() {
        for mut by in std::mem::take(&mut from.scope_logs) {
            for log_records in parts(std::mem::take(&mut by.log_records)) {
                let scope_logs = vec![ScopeLogs {
                    log_records,
                    ..by.clone()
                }];
                let resource_logs = vec![ResourceLogs {
                    scope_logs,
                    ..from.clone()
                }];
                line(&LogsData { resource_logs }, each)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// The spans of a document as one document of OTLP's JSON.
pub fn json(document: Document) -> String {
    let resource_spans = document.spans.unwrap_or_default();
    serde_json::to_string(&TracesData { resource_spans }).unwrap_or_default()
}

fn parts<T>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = items.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<T> = rest.by_ref().take(ITEMS).collect();
        (!part.is_empty()).then_some(part)
    })
}

fn line(
    message: &impl Serialize,
    each: &mut dyn FnMut(String) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // OTLP's messages have only texts for keys, and so are always JSON.
    each(serde_json::to_string(message).unwrap_or_default())
}
