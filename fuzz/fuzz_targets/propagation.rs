//! Any headers are read: never a panic, never more than the limits, and what was read is read again
//! the same from what is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llamatelemetry_record::{Baggage, Incoming, Propagation, SpanId, TraceContext, TraceId};

fuzz_target!(|headers: [&str; 3]| {
    let [parent, state, baggage] = headers;
    let incoming = Incoming::read([
        ("traceparent", parent),
        ("tracestate", state),
        ("baggage", baggage),
    ]);
    let written = incoming.baggage.to_string();
    assert!(written.len() <= Baggage::BYTES);
    assert!(incoming.baggage.iter().count() <= Baggage::MEMBERS);
    assert!(incoming.parent.is_some() || incoming.state.is_none());
    let out = Propagation {
        context: incoming.parent.unwrap_or(TraceContext {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([1; 8]),
            sampled: true,
        }),
        state: incoming.state.clone(),
        baggage: incoming.baggage.clone(),
    };
    let sent: Vec<(&str, String)> = out.headers().collect();
    let again = Incoming::read(sent.iter().map(|(name, value)| (*name, value.as_str())));
    assert_eq!(again.parent, Some(out.context));
    assert_eq!(again.state, incoming.state);
    assert_eq!(again.baggage, incoming.baggage);
});
