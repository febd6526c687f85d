//! Spans below a request's own.

use super::attributes::Attributes;
use super::ids;
use crate::value::unix_nanos;
use llamatelemetry_record::RequestRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use std::time::SystemTime;

/// A part of a request's time. Its id follows from its request's and this number.
pub(super) fn span(
    record: &RequestRecord,
    number: u64,
    name: &str,
    (from, to): (SystemTime, SystemTime),
    attributes: Attributes,
) -> Span {
    Span {
        trace_id: record.trace_id.0.to_vec(),
        span_id: ids::child(record.span_id, number).0.to_vec(),
        parent_span_id: record.span_id.0.to_vec(),
        trace_state: ids::state(record),
        flags: ids::flags(false),
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: unix_nanos(from),
        end_time_unix_nano: unix_nanos(to),
        attributes: attributes.into_vec(),
        ..Span::default()
    }
}
