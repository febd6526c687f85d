//! Ids and flags of spans.

use llamatelemetry_record::SpanId;
use opentelemetry_proto::tonic::trace::v1::SpanFlags;

/// The trace is kept: spans of traces that are not are never made.
const SAMPLED: u32 = 1;

/// The flags of a span: sampled, and whether its parent is in another process.
pub(super) fn flags(parent_is_remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = SpanFlags::ContextIsRemoteMask as u32;
    SAMPLED | known | if parent_is_remote { remote } else { 0 }
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
