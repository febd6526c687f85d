//! A registry with a bit of everything, for the tests of the encoders.

use super::aggregate::Origin;
use super::attributes::Attributes;
use super::names::Id;
use super::registry::{Layout, Registry};
use llamatelemetry_record::{SpanId, TraceId};

/// Nanoseconds since 1970 at which everything here began.
pub(super) const BEGAN: u64 = 1_795_000_000_000_000_000;

/// A second.
pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) fn origin(after: u64) -> Origin {
    Origin {
        at: BEGAN + after,
        trace_id: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()),
        span_id: SpanId(0xb7ad_6b71_6920_3331_u64.to_be_bytes()),
    }
}

pub(super) fn model() -> Attributes {
    Attributes::default().with("gen_ai.request.model", "a \"quoted\"\\\nname")
}

/// One request's decode of 4 ms after one second.
pub(super) fn decode(registry: &mut Registry) {
    let series = registry.series(Id::DecodeDuration, &model(), BEGAN);
    registry.record(series, 0.004, Some(origin(SECOND)));
}

pub(super) fn registry(exponential: bool) -> Registry {
    let mut registry = Registry::new(Layout {
        exponential,
        ..Layout::default()
    });
    decode(&mut registry);
    let wasted = registry.series(Id::WastedTokens, &model(), BEGAN);
    registry.record(wasted, 12.0, Some(origin(SECOND)));
    registry.set(Id::EnergyIdle, &Attributes::default(), BEGAN, 1234.5);
    registry.set(Id::KvUtilization, &model(), BEGAN, 0.25);
    let slot = model().with("llamacpp.slot.id", 3);
    registry.set(Id::SlotTokens, &slot, BEGAN, 77.0);
    registry
}
