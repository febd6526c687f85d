//! From a record to spans. Pure: the same record makes the same spans, ids included.

mod attributes;
mod ids;
mod phases;
mod request;

use crate::limits::SpanLimits;
use llamatelemetry_record::RequestRecord;
use opentelemetry_proto::tonic::trace::v1::Span;

/// The spans of one request: the request itself, then those of its phases that are known, in
/// order. All are marked as sampled; whether a trace is kept is decided before.
pub fn spans(record: &RequestRecord, limits: &SpanLimits) -> Vec<Span> {
    let mut spans = Vec::with_capacity(4);
    spans.push(request::span(record, limits));
    phases::spans(record, &mut spans);
    for span in &mut spans {
        limits.apply(span);
    }
    spans
}
