//! Spans that another has to do with and that are not above it.

use super::attributes::Attributes;
use super::ids;
use crate::names::attribute;
use llamatelemetry_record::TraceContext;
use opentelemetry_proto::tonic::trace::v1::span::Link;

/// Why two spans are linked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason {
    /// It is an earlier attempt of the same request.
    Retry,
    /// It is what was waited for.
    Wait,
    /// It is a request that a restart cut off.
    CutOff,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Wait => "wait",
            Self::CutOff => "cut_off",
        }
    }
}

pub(super) fn to(spans: &[TraceContext], reason: Reason) -> Vec<Link> {
    let link = |span: &TraceContext| {
        let mut all = Attributes::with_capacity(1);
        all.set(attribute::LINK, Some(reason.as_str()));
        Link {
            trace_id: span.trace_id.0.to_vec(),
            span_id: span.span_id.0.to_vec(),
            trace_state: String::new(),
            attributes: all.into_vec(),
            dropped_attributes_count: 0,
            flags: ids::of_context(*span),
        }
    };
    spans.iter().map(link).collect()
}
