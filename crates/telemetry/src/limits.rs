//! Limits on what one span carries, by `OTEL_SPAN_*`, `OTEL_EVENT_*`, `OTEL_LINK_*` and
//! `OTEL_ATTRIBUTE_*`, and on what one log record does, by `OTEL_LOGRECORD_*` and the latter.

use crate::content::cut;
use crate::names::attribute;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Limits on what one span carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes on a span at most.
    pub attributes: usize,
    /// Characters in a text at most; `None` means no limit.
    pub value_length: Option<usize>,
    /// Events on a span at most.
    pub events: usize,
    /// Links on a span at most.
    pub links: usize,
    /// Attributes on one event at most.
    pub event_attributes: usize,
    /// Attributes on one link at most.
    pub link_attributes: usize,
}

impl Default for SpanLimits {
    /// As the specification has them.
    fn default() -> Self {
        Self {
            attributes: 128,
            value_length: None,
            events: 128,
            links: 128,
            event_attributes: 128,
            link_attributes: 128,
        }
    }
}

impl SpanLimits {
    /// Holds a span to the limits.
    pub(crate) fn apply(&self, span: &mut Span) {
        span.dropped_attributes_count += self.hold(&mut span.attributes, self.attributes);
        span.dropped_events_count += truncate(&mut span.events, self.events);
        for event in &mut span.events {
            event.dropped_attributes_count +=
                self.hold(&mut event.attributes, self.event_attributes);
        }
        span.dropped_links_count += truncate(&mut span.links, self.links);
        for link in &mut span.links {
            link.dropped_attributes_count += self.hold(&mut link.attributes, self.link_attributes);
        }
    }

    /// Holds attributes to a count and their texts to their length. Returns how many were dropped.
    fn hold(&self, attributes: &mut Vec<KeyValue>, count: usize) -> u32 {
        hold(attributes, count, self.value_length)
    }
}

/// Limits on what one log record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogLimits {
    /// Attributes at most.
    pub(crate) attributes: usize,
    /// Characters in an attribute's text at most; `None` means no limit.
    pub(crate) value_length: Option<usize>,
}

impl LogLimits {
    /// Holds a log record to the limits.
    pub(crate) fn apply(&self, record: &mut LogRecord) {
        record.dropped_attributes_count +=
            hold(&mut record.attributes, self.attributes, self.value_length);
    }
}

/// Holds attributes to a count and their texts to a length. Returns how many were dropped.
fn hold(attributes: &mut Vec<KeyValue>, count: usize, longest: Option<usize>) -> u32 {
    let dropped = truncate(attributes, count);
    if let Some(longest) = longest {
        for attribute in attributes {
            // Messages were built to fit: cut here they would be no JSON any more.
            if !attribute::CONTENT.contains(&attribute.key.as_str())
                && let Some(value) = attribute.value.as_mut()
            {
                shorten(value, longest);
            }
        }
    }
    dropped
}

/// Keeps the first ones. Returns how many were dropped.
fn truncate<T>(list: &mut Vec<T>, longest: usize) -> u32 {
    let above = list.len().saturating_sub(longest);
    list.truncate(longest);
    u32::try_from(above).unwrap_or(u32::MAX)
}

fn shorten(value: &mut AnyValue, longest: usize) {
    match &mut value.value {
        Some(Value::StringValue(text)) => {
            let end = cut(text, longest).len();
            text.truncate(end);
        }
        Some(Value::ArrayValue(list)) => {
            for item in &mut list.values {
                shorten(item, longest);
            }
        }
        _ => {}
    }
}
