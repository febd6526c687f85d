//! From a record or happening to spans. Pure: the same record makes the same spans, ids included.

mod attributes;
mod child;
mod events;
mod happening;
mod ids;
mod links;
mod phases;
mod request;
mod waits;

use crate::limits::SpanLimits;
use llamatelemetry_record::{Content, Happening, RequestRecord};
use opentelemetry_proto::tonic::trace::v1::Span;

/// The spans of one request: the request itself, then what it waited for and those of its phases
/// that are known, in order. All are marked as sampled; whether a trace is kept is decided before.
pub fn spans(record: &RequestRecord, limits: &SpanLimits) -> Vec<Span> {
    spans_with(record, record.content.as_ref(), limits)
}

/// The same with this of what was said.
pub(crate) fn spans_with(
    record: &RequestRecord,
    content: Option<&Content>,
    limits: &SpanLimits,
) -> Vec<Span> {
    let mut spans = Vec::with_capacity(4);
    spans.push(request::span(record, content, limits));
    waits::spans(record, &mut spans);
    phases::spans(record, &mut spans);
    for span in &mut spans {
        limits.apply(span);
    }
    spans
}

/// The span of a load, a restart or a tool's run.
pub fn happening(happening: &Happening, limits: &SpanLimits) -> Span {
    let mut span = happening::span(happening, limits);
    limits.apply(&mut span);
    span
}
