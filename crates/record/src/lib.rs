//! One request's record: what was asked, what came back, and where the time went.
//!
//! Whoever speaks to a model server (the SDK's client, the gateway) keeps a [`PhaseClock`] while
//! the answer streams and ends with one [`RequestRecord`], which goes to a [`Sink`]. Telemetry and
//! the store consume records; neither knows who made them. No I/O and no async live here.

mod clock;
mod dialect;
mod identity;
mod request;
mod scanner;
mod sources;
mod sse;

pub use clock::{PhaseClock, Phases, TimingSource};
pub use identity::{InvalidTraceparent, SpanId, TraceContext, TraceId};
pub use request::{
    Content, Endpoint, Failure, FinishReason, Message, Operation, RequestParameters, RequestRecord,
    ServerTimings, Usage,
};
pub use scanner::{Observed, StreamScanner};
pub use sources::{Delivery, PHASE_SOURCES, PhaseRow, PhaseSource, Shown, phase_sources};
pub use sse::{SseDecoder, SseError};

use std::sync::Arc;

/// Where finished records go.
pub trait Sink: Send + Sync {
    /// Takes one finished record. Must return at once: a sink that needs time has its own queue.
    fn record(&self, record: Arc<RequestRecord>);
}

/// Nobody wants the records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Sink for Discard {
    fn record(&self, _record: Arc<RequestRecord>) {}
}
