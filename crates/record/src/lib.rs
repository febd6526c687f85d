//! One request's record: what was asked, what came back, and where the time went.
//!
//! Whoever speaks to a model server (the SDK's client, the gateway) keeps a [`PhaseClock`] while
//! the answer streams and ends with one [`RequestRecord`], which goes to a [`Sink`]. Telemetry and
//! the store consume records; neither knows who made them. No I/O and no async live here.

mod baggage;
mod cause;
mod clock;
mod content;
mod dialect;
mod energy;
mod happening;
mod identity;
mod live;
mod propagation;
mod request;
mod scanner;
mod served;
mod sources;
mod sse;
mod trace_state;

pub use baggage::Baggage;
pub use cause::{Mark, MarkKind, ServerExit, Wait, WaitCause};
pub use clock::{PhaseClock, Phases, TimingSource};
pub use content::{Content, Message, Modality, Part};
pub use energy::{Energy, EnergyMethod};
pub use happening::{Happening, LoggedLine, Severity, ToolContent, UnloadReason, What};
pub use identity::{InvalidTraceparent, SpanId, TraceContext, TraceId};
pub use live::{LiveProgress, LiveRequest};
pub use propagation::{Incoming, Propagation};
pub use request::{
    Endpoint, Failure, FinishReason, Operation, OutputType, RequestParameters, RequestRecord,
    ServerTimings, Usage,
};
pub use scanner::{Observed, StreamScanner};
pub use served::{ContextPool, ServedModel};
pub use sources::{Delivery, PHASE_SOURCES, PhaseRow, PhaseSource, Shown, phase_sources};
pub use sse::{SseDecoder, SseError};
pub use trace_state::{InvalidTraceState, TraceState};

use std::sync::Arc;

/// Where records go. Every call must return at once: a sink that needs time has its own queue.
pub trait Sink: Send + Sync {
    /// Takes one finished record.
    fn record(&self, record: Arc<RequestRecord>);

    /// Whether a trace is kept, so that whoever is told of it (a server, a tool) knows too. Without
    /// a say of its own a sink follows the parent.
    fn samples(&self, _trace_id: TraceId, parent: Option<&TraceContext>) -> bool {
        parent.is_none_or(|parent| parent.sampled)
    }

    /// A request was sent; it can be watched until its record comes or it is dropped.
    fn started(&self, _live: &Arc<LiveRequest>) {}

    /// A model is served from now on, for as long as somebody else holds this.
    fn serves(&self, _served: &Arc<dyn ServedModel>) {}

    /// Something that is no request came to its end.
    fn happened(&self, _happening: Happening) {}

    /// A line was logged.
    fn logged(&self, _line: LoggedLine) {}

    /// The energy of a request that has just ended, as well as it is known at once; the record's
    /// span may get a better figure. `None` where nothing measures energy.
    fn energy(&self, _record: &RequestRecord) -> Option<Energy> {
        None
    }
}

/// Nobody wants the records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Sink for Discard {
    fn record(&self, _record: Arc<RequestRecord>) {}
}
