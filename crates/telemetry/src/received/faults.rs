//! Spans, points and log records that cannot be kept, one by one.

use super::Rejected;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use std::collections::BTreeMap;

/// Attributes that one row may have: as many as the store keeps.
pub(super) const ATTRIBUTES: usize = 1 << 16;

/// What can be wrong with one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    TraceId,
    SpanId,
    Attributes,
}

impl Fault {
    fn reason(self) -> String {
        match self {
            Self::TraceId => "with a trace id that is not 16 bytes, or all zero".to_owned(),
            Self::SpanId => "with a span id that is not 8 bytes, or all zero".to_owned(),
            Self::Attributes => format!("with more than {ATTRIBUTES} attributes"),
        }
    }
}

/// What was left out so far.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    pub(super) fn of_spans(&mut self, resources: &mut [ResourceSpans]) {
        let scopes = resources.iter_mut().flat_map(|from| &mut from.scope_spans);
        for scope in scopes {
            scope.spans.retain(|span| self.keeps(fault_of_span(span)));
        }
    }

    pub(super) fn of_records(&mut self, resources: &mut [ResourceLogs]) {
        let scopes = resources.iter_mut().flat_map(|from| &mut from.scope_logs);
        for scope in scopes {
            scope
                .log_records
                .retain(|record| self.keeps(fault_of_record(record)));
        }
    }

    pub(super) fn of_points(&mut self, resources: &mut [ResourceMetrics]) {
        let scopes = resources
            .iter_mut()
            .flat_map(|from| &mut from.scope_metrics);
        for metric in scopes.flat_map(|scope| &mut scope.metrics) {
            self.of_metric(metric);
        }
    }

    fn of_metric(&mut self, metric: &mut Metric) {
        let mut keeps = |attributes: &[KeyValue]| self.keeps(too_many(attributes));
        match &mut metric.data {
            None => {}
            Some(Data::Gauge(data)) => data.data_points.retain(|point| keeps(&point.attributes)),
            Some(Data::Sum(data)) => data.data_points.retain(|point| keeps(&point.attributes)),
            Some(Data::Histogram(data)) => {
                data.data_points.retain(|point| keeps(&point.attributes));
            }
            Some(Data::ExponentialHistogram(data)) => {
                data.data_points.retain(|point| keeps(&point.attributes));
            }
            Some(Data::Summary(data)) => data.data_points.retain(|point| keeps(&point.attributes)),
        }
    }

    fn keeps(&mut self, fault: Option<Fault>) -> bool {
        if let Some(fault) = fault {
            *self.0.entry(fault).or_default() += 1;
        }
        fault.is_none()
    }

    pub(super) fn rejected(self) -> Rejected {
        let reasons = self.0.iter();
        let reasons = reasons.map(|(fault, count)| format!("{count} {}", fault.reason()));
        Rejected {
            count: self.0.values().sum(),
            reason: reasons.collect::<Vec<_>>().join("; "),
        }
    }
}

/// Whether it is an id of so many bytes.
pub(super) fn is_id(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.iter().any(|byte| *byte != 0)
}

fn too_many(attributes: &[KeyValue]) -> Option<Fault> {
    (attributes.len() > ATTRIBUTES).then_some(Fault::Attributes)
}

fn fault_of_span(span: &Span) -> Option<Fault> {
    if !is_id(&span.trace_id, 16) {
        return Some(Fault::TraceId);
    }
    if !is_id(&span.span_id, 8) {
        return Some(Fault::SpanId);
    }
    too_many(&span.attributes)
}

/// A log record need not belong to a span; some senders write that as zeros.
fn fault_of_record(record: &LogRecord) -> Option<Fault> {
    if !matches!(record.trace_id.len(), 0 | 16) {
        return Some(Fault::TraceId);
    }
    if !matches!(record.span_id.len(), 0 | 8) {
        return Some(Fault::SpanId);
    }
    too_many(&record.attributes)
}
