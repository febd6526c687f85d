//! Ids, flags and status of spans.

use llamatelemetry_record::{Failure, RequestRecord, SpanId, TraceContext};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{SpanFlags, Status};

/// The trace is kept: spans of traces that are not are never made.
const SAMPLED: u32 = 1;

/// The flags of a span: sampled, and whether its parent is in another process.
pub(super) fn flags(parent_is_remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = SpanFlags::ContextIsRemoteMask as u32;
    SAMPLED | known | if parent_is_remote { remote } else { 0 }
}

/// The flags of a link to a span.
pub(super) fn of_context(context: TraceContext) -> u32 {
    u32::from(context.sampled)
}

/// What the caller's `tracestate` says.
pub(super) fn state(record: &RequestRecord) -> String {
    record
        .trace_state
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The status of a span that failed.
pub(super) fn error(failure: &Failure) -> Status {
    Status {
        message: failure.message.clone(),
        code: StatusCode::Error.into(),
    }
}

/// A phase's id follows from its request's, so that the same record sent twice is the same spans:
/// one step of the splitmix64 generator, seeded with both.
pub(super) fn child(parent: SpanId, index: u64) -> SpanId {
    let step = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bits = u64::from_be_bytes(parent.0).wrapping_add(step);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // All zero is no id.
    SpanId(bits.max(1).to_be_bytes())
}
