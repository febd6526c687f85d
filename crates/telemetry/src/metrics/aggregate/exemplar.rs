//! Exemplars: single measurements that name the trace they come from.

use llamatelemetry_record::{SpanId, TraceId};

/// One measurement and the span in which it was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) value: f64,
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

/// The span in which measurements are made, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Origin {
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Origin {
    pub(crate) fn exemplar(self, value: f64) -> Exemplar {
        let Self {
            at,
            trace_id,
            span_id,
        } = self;
        Exemplar {
            value,
            at,
            trace_id,
            span_id,
        }
    }
}
