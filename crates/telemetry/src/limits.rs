//! Limits on what one span carries, by `OTEL_SPAN_*` and `OTEL_ATTRIBUTE_*`.

use crate::content::cut;
use crate::names::attribute;
use opentelemetry::{Array, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// Limits on what one span carries. Our spans have no events and no links, so the limits of those
/// are met by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes on a span at most.
    pub attributes: usize,
    /// Characters in a text at most; `None` means no limit.
    pub value_length: Option<usize>,
}

impl Default for SpanLimits {
    /// As the specification has them.
    fn default() -> Self {
        Self {
            attributes: 128,
            value_length: None,
        }
    }
}

impl SpanLimits {
    /// Holds a span to the limits.
    pub(crate) fn apply(&self, span: &mut SpanData) {
        let above = span.attributes.len().saturating_sub(self.attributes);
        if above > 0 {
            span.attributes.truncate(self.attributes);
            span.dropped_attributes_count = u32::try_from(above).unwrap_or(u32::MAX);
        }
        let Some(longest) = self.value_length else {
            return;
        };
        for attribute in &mut span.attributes {
            // Messages were built to fit: cut here they would be no JSON any more.
            let fitted = [attribute::INPUT_MESSAGES, attribute::OUTPUT_MESSAGES];
            if !fitted.contains(&attribute.key.as_str()) {
                shorten(&mut attribute.value, longest);
            }
        }
    }
}

fn shorten(value: &mut Value, longest: usize) {
    let short = |text: &StringValue| StringValue::from(cut(text.as_str(), longest).to_owned());
    match value {
        Value::String(text) if text.as_str().len() > longest => *text = short(text),
        Value::Array(Array::String(texts)) => {
            for text in texts {
                *text = short(text);
            }
        }
        _ => {}
    }
}
