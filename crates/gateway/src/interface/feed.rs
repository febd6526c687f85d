//! What happens now: the requests that run, and events for whoever listens.

use llamatelemetry_record::{
    Energy, FinishReason, Happening, LiveRequest, LoggedLine, RequestRecord, ServedModel, Severity,
    Sink, SpanId, TraceContext, TraceId, What,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Notify, broadcast};

/// Events that wait for the slowest listener; it is told how many more it has missed.
const WAITING: usize = 1_024;

/// One event: its name and its JSON.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) json: Arc<str>,
}

/// A sink in front of another: it sees what passes and hands it on.
pub(crate) struct Feed {
    inner: Arc<dyn Sink>,
    state: Mutex<State>,
    /// Told when the last request that ran has left its record.
    told: Notify,
}

struct State {
    live: BTreeMap<[u8; 8], Weak<LiveRequest>>,
    /// Records that are being handed on.
    passing: usize,
    /// `None` once there will be no more.
    events: Option<broadcast::Sender<Event>>,
}

/// A request that ended, as listeners are told.
#[derive(Serialize)]
struct Ended<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    operation: &'static str,
    model: &'a str,
    streamed: bool,
    queue_seconds: Option<f64>,
    ttft_seconds: Option<f64>,
    duration_seconds: f64,
    input_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    output_tokens: Option<u64>,
    finish_reason: Option<&'a str>,
    error: Option<&'a str>,
}

impl State {
    /// Nothing runs whose record is still to come.
    fn is_quiet(&self) -> bool {
        self.live.is_empty() && self.passing == 0
    }
}

impl Feed {
    /// In front of this sink.
    pub(crate) fn new(inner: Arc<dyn Sink>) -> Self {
        Self {
            inner,
            state: Mutex::new(State {
                live: BTreeMap::new(),
                passing: 0,
                events: Some(broadcast::Sender::new(WAITING)),
            }),
            told: Notify::new(),
        }
    }

    /// The requests that run, the oldest first.
    pub(super) fn live(&self) -> Vec<Arc<LiveRequest>> {
        let mut state = self.lock();
        state.live.retain(|_, live| live.strong_count() > 0);
        let mut live: Vec<_> = state.live.values().filter_map(Weak::upgrade).collect();
        live.sort_by_key(|live| live.sent);
        live
    }

    /// Events from now on; `None` where there will be no more.
    pub(super) fn listen(&self) -> Option<broadcast::Receiver<Event>> {
        let state = self.lock();
        state.events.as_ref().map(broadcast::Sender::subscribe)
    }

    /// Ends the streams of all listeners.
    pub(crate) fn close(&self) {
        self.lock().events = None;
    }

    /// Waits until every request that was sent has left its record.
    pub(crate) async fn all_told(&self) {
        loop {
            let mut told = std::pin::pin!(self.told.notified());
            // Before looking, so that nothing is missed between.
            told.as_mut().enable();
            if self.lock().is_quiet() {
                return;
            }
            told.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells listeners; without any nothing is made.
    fn tell(&self, name: &'static str, data: impl FnOnce() -> Value) {
        let events = self.lock().events.clone();
        if let Some(events) = events.filter(|events| events.receiver_count() > 0) {
            let json = data().to_string().into();
            // They may have gone meanwhile.
            events.send(Event { name, json }).ok();
        }
    }
}

impl Sink for Feed {
    fn record(&self, record: Arc<RequestRecord>) {
        {
            let mut state = self.lock();
            state.live.remove(&record.span_id.0);
            state.passing += 1;
        }
        self.tell("request_ended", || {
            let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
            json!(Ended {
                trace_id: record.trace_id,
                span_id: record.span_id,
                operation: record.endpoint.operation().as_str(),
                model: &record.model,
                streamed: record.streamed,
                queue_seconds: seconds(record.phases.queue),
                ttft_seconds: seconds(record.phases.ttft()),
                duration_seconds: record.phases.total.as_secs_f64(),
                input_tokens: record.usage.prompt_tokens,
                cached_tokens: record.usage.cached_tokens,
                output_tokens: record.usage.completion_tokens,
                finish_reason: record.finish_reason.as_ref().map(FinishReason::as_str),
                error: record.failure.as_ref().map(|failure| failure.kind.as_str()),
            })
        });
        self.inner.record(record);
        let mut state = self.lock();
        state.passing -= 1;
        if state.is_quiet() {
            self.told.notify_waiters();
        }
    }

    fn samples(&self, trace_id: TraceId, parent: Option<&TraceContext>) -> bool {
        self.inner.samples(trace_id, parent)
    }

    fn started(&self, live: &Arc<LiveRequest>) {
        self.lock()
            .live
            .insert(live.span_id.0, Arc::downgrade(live));
        self.tell("request_started", || {
            json!({
                "trace_id": live.trace_id,
                "span_id": live.span_id,
                "operation": live.endpoint.operation().as_str(),
            })
        });
        self.inner.started(live);
    }

    fn serves(&self, served: &Arc<dyn ServedModel>) {
        self.inner.serves(served);
    }

    fn happened(&self, happening: Happening) {
        self.tell("happened", || {
            let (what, model) = match &happening.what {
                What::ModelLoad { model, .. } => ("model_load", Some(model)),
                What::ModelUnload { model, .. } => ("model_unload", Some(model)),
                What::Restart { model, .. } => ("restart", Some(model)),
                _ => ("other", None),
            };
            json!({
                "what": what,
                "model": model,
                "trace_id": happening.trace_id,
                "duration_seconds": happening.duration.as_secs_f64(),
                "error": happening.failure.as_ref().map(|failure| &failure.kind),
            })
        });
        self.inner.happened(happening);
    }

    fn logged(&self, line: LoggedLine) {
        self.tell("log", || {
            let level = match line.severity {
                Severity::Trace => "TRACE",
                Severity::Debug => "DEBUG",
                Severity::Info => "INFO",
                Severity::Warn => "WARN",
                Severity::Error => "ERROR",
            };
            json!({
                "level": level,
                "source": line.source,
                "text": line.text,
                "trace_id": line.context.map(|context| context.trace_id),
            })
        });
        self.inner.logged(line);
    }

    fn energy(&self, record: &RequestRecord) -> Option<Energy> {
        self.inner.energy(record)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Feed").finish_non_exhaustive()
    }
}
