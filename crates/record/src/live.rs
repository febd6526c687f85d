//! A request while it runs: what can be seen of it before it has a record.

use crate::{ContextPool, Endpoint, SpanId, TraceId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A request that runs. Whoever reads its answer marks it; any thread may look. A mark is one
/// atomic store.
#[derive(Debug)]
pub struct LiveRequest {
    /// The trace that the request belongs to.
    pub trace_id: TraceId,
    /// The request's own span.
    pub span_id: SpanId,
    /// Where it went.
    pub endpoint: Endpoint,
    /// When it was sent.
    pub sent: Instant,
    /// Bytes of its prompt as it was sent, all messages together; `None` where nobody counted.
    pub prompt_bytes: Option<u64>,
    /// How its server lays out its context, which decides what slots can work on at one go.
    pub context: ContextPool,
    /// Nanoseconds after `sent`, plus one; zero while it has not happened.
    slot_started: AtomicU64,
    /// The slot's number, plus one; zero while it is not known.
    slot: AtomicU64,
    first_delta: AtomicU64,
    last_delta: AtomicU64,
    deltas: AtomicU64,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveProgress {
    /// When a slot began to work on it.
    pub slot_started: Option<Instant>,
    /// Which slot that is.
    pub slot: Option<u32>,
    /// When the first delta came.
    pub first_delta: Option<Instant>,
    /// When the latest delta came.
    pub last_delta: Option<Instant>,
    /// Deltas so far: about as many as tokens generated.
    pub deltas: u64,
}

impl LiveRequest {
    /// A request that is being sent.
    pub fn new(trace_id: TraceId, span_id: SpanId, endpoint: Endpoint, sent: Instant) -> Self {
        Self {
            trace_id,
            span_id,
            endpoint,
            sent,
            prompt_bytes: None,
            context: ContextPool::Unknown,
            slot_started: AtomicU64::new(0),
            slot: AtomicU64::new(0),
            first_delta: AtomicU64::new(0),
            last_delta: AtomicU64::new(0),
            deltas: AtomicU64::new(0),
        }
    }

    /// The same with a prompt of so many bytes.
    #[must_use]
    pub fn with_prompt_bytes(mut self, bytes: u64) -> Self {
        self.prompt_bytes = Some(bytes);
        self
    }

    /// The same at a server with this layout of its context.
    #[must_use]
    pub fn with_context(mut self, context: ContextPool) -> Self {
        self.context = context;
        self
    }

    /// This slot works on it.
    pub fn mark_slot(&self, slot: u32) {
        self.slot.store(u64::from(slot) + 1, Ordering::Relaxed);
    }

    /// A slot began to work on it. Only the first call counts.
    pub fn mark_slot_started(&self, at: Instant) {
        self.mark_once(&self.slot_started, at);
    }

    /// A delta came.
    pub fn mark_delta(&self, at: Instant) {
        self.mark_once(&self.first_delta, at);
        self.last_delta.store(self.after(at), Ordering::Relaxed);
        self.deltas.fetch_add(1, Ordering::Relaxed);
    }

    /// How far it has come.
    pub fn progress(&self) -> LiveProgress {
        LiveProgress {
            slot_started: self.instant(&self.slot_started),
            slot: self.slot(),
            first_delta: self.instant(&self.first_delta),
            last_delta: self.instant(&self.last_delta),
            deltas: self.deltas.load(Ordering::Relaxed),
        }
    }

    fn slot(&self) -> Option<u32> {
        let number = self.slot.load(Ordering::Relaxed).checked_sub(1)?;
        u32::try_from(number).ok()
    }

    fn mark_once(&self, mark: &AtomicU64, at: Instant) {
        // Losing this race means that it is marked.
        mark.compare_exchange(0, self.after(at), Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    fn after(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.sent).as_nanos();
        u64::try_from(nanos)
            .unwrap_or(u64::MAX - 1)
            .saturating_add(1)
    }

    fn instant(&self, mark: &AtomicU64) -> Option<Instant> {
        let after = mark.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.sent + Duration::from_nanos(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_seen_and_the_first_counts() {
        let sent = Instant::now();
        let live = LiveRequest::new(
            TraceId([1; 16]),
            SpanId([1; 8]),
            Endpoint::ChatCompletions,
            sent,
        );
        assert_eq!(live.progress().slot_started, None);
        assert_eq!(live.progress().slot, None);
        let at = |millis| sent + Duration::from_millis(millis);
        live.mark_slot_started(sent);
        live.mark_slot_started(at(9));
        live.mark_delta(at(5));
        live.mark_delta(at(7));
        live.mark_slot(3);
        let seen = live.progress();
        assert_eq!(seen.slot, Some(3));
        assert_eq!(seen.slot_started, Some(sent));
        assert_eq!(seen.first_delta, Some(at(5)));
        assert_eq!(seen.last_delta, Some(at(7)));
        assert_eq!(seen.deltas, 2);
    }
}
