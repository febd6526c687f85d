//! One request from the call to its record: every request leaves exactly one, however it ends.

use crate::ServerManager;
use crate::failure::{exit_failure, told};
use crate::lifecycle::Lifecycle;
use crate::manager::LiveServer;
use crate::moment::Moment;
use llamatelemetry_api::{Address, ApiError};
use llamatelemetry_record::{
    Baggage, Content, Endpoint, Failure, FinishReason, LiveRequest, Mark, MarkKind, Message,
    Observed, PhaseClock, Propagation, RequestParameters, RequestRecord, ServerExit, Sink, SpanId,
    StreamScanner, TraceContext, TraceId, TraceState, Wait, WaitCause,
};
use llamatelemetry_server::Exit;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// When a connection breaks, the child's exit is waited for so long to say why.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);
/// Deltas after which the log is still asked for a request's slot.
const LOOKS_FOR_SLOT: u64 = 16;

/// What is asked, and by whom, as far as a record tells it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The model as the caller named it; the record of a request that was sent names the model
    /// that was asked.
    pub model: Option<String>,
    /// The span that causes the request: its trace is joined.
    pub parent: Option<TraceContext>,
    /// The caller's `tracestate`.
    pub trace_state: Option<TraceState>,
    /// W3C baggage.
    pub baggage: Baggage,
    /// What the caller set.
    pub parameters: RequestParameters,
    /// The conversation that the request belongs to.
    pub conversation_id: Option<String>,
    /// Earlier attempts of the same request.
    pub retries_of: Vec<TraceContext>,
    /// Bytes of what the model is to read, all messages together, as nearly as is known.
    pub prompt_bytes: Option<u64>,
    /// What was said so far, if it is captured.
    pub content: Option<Content>,
}

/// One request, from the call to its record. Whoever speaks to a server tells it what happens, in
/// this order: [`sent_to`](Self::sent_to), [`opened`](Self::opened), [`delta`](Self::delta) and at
/// last [`end`](Self::end) or [`fail`](Self::fail). Dropped before, it leaves the record of a
/// request that was cancelled.
pub struct Exchange {
    sink: Arc<dyn Sink>,
    endpoint: Endpoint,
    called: Moment,
    model: Option<String>,
    parent: Option<TraceContext>,
    propagation: Propagation,
    parameters: RequestParameters,
    conversation_id: Option<String>,
    retries_of: Vec<TraceContext>,
    prompt_bytes: Option<u64>,
    content: Option<Content>,
    streamed: bool,
    /// What it waited for beside the server's restarts.
    waits: Vec<Wait>,
    /// What it waits for now, and since when.
    waiting: Option<(WaitCause, Moment)>,
    /// Who is to answer, once that is known.
    server: Option<Arc<ServerManager>>,
    /// `None` until it is sent.
    sent: Option<Sent>,
    /// How it failed, while the reason is still being looked for.
    failing: Option<(Observed, Failure)>,
    recorded: bool,
    /// What this program logs within it belongs to the request.
    span: tracing::Span,
}

/// A request that was sent.
struct Sent {
    /// The run of the server that was asked; `None` for a server that is not ours.
    run: Option<Arc<LiveServer>>,
    address: Address,
    live: Arc<LiveRequest>,
    clock: PhaseClock,
    resends: u32,
}

/// How a request ended.
#[derive(Debug)]
pub struct End {
    /// What the answer said.
    pub observed: Observed,
    /// How it failed, if it did.
    pub failure: Option<Failure>,
    /// How the server ended, if that is why.
    pub exit: Option<ServerExit>,
    /// What came of the answer, if content is captured.
    pub output: Option<Message>,
}

impl Exchange {
    /// A request that was called now.
    pub fn begin(sink: Arc<dyn Sink>, endpoint: Endpoint, asked: Asked) -> Self {
        let parent = asked.parent;
        let trace_id = parent.map_or_else(TraceId::random, |parent| parent.trace_id);
        let sampled = sink.samples(trace_id, parent.as_ref());
        let span_id = SpanId::random();
        Self {
            sink,
            endpoint,
            called: Moment::now(),
            model: asked.model,
            parent,
            propagation: Propagation {
                context: TraceContext {
                    trace_id,
                    span_id,
                    sampled,
                },
                state: asked.trace_state.filter(|_| parent.is_some()),
                baggage: asked.baggage,
            },
            parameters: asked.parameters,
            conversation_id: asked.conversation_id,
            retries_of: asked.retries_of,
            prompt_bytes: asked.prompt_bytes,
            content: asked.content,
            streamed: true,
            waits: Vec::new(),
            waiting: None,
            server: None,
            sent: None,
            failing: None,
            recorded: false,
            span: tracing::info_span!("request", %trace_id, %span_id),
        }
    }

    /// The request's own span: the parent of whatever the server does for it.
    pub fn context(&self) -> TraceContext {
        self.propagation.context
    }

    /// The `tracing` span of what is done for it: lines logged within carry its trace and span id.
    pub fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// What the server is told of the trace.
    pub fn propagation(&self) -> &Propagation {
        &self.propagation
    }

    /// Where it goes.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Whether its record was left.
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    /// Whether the record is to have what was said.
    pub fn captures_content(&self) -> bool {
        self.content.is_some()
    }

    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.sink
    }

    /// Whether it failed and the reason is still being looked for.
    pub(crate) fn failing(&self) -> bool {
        self.failing.is_some()
    }

    /// From now on it waits for this, until [`waited`](Self::waited) tells of the wait or
    /// [`waits_no_more`](Self::waits_no_more) that it was none. A request that ends before has
    /// waited in vain, and its record tells how long.
    pub fn waits_for(&mut self, cause: WaitCause) {
        self.waiting = Some((cause, Moment::now()));
    }

    /// What it waited for is there; the wait is told elsewhere, or not worth telling.
    pub fn waits_no_more(&mut self) {
        self.waiting = None;
    }

    /// It had to wait for this before it could be sent. Waits for a restart of its server are
    /// known without being told.
    pub fn waited(&mut self, wait: Wait) {
        self.waiting = None;
        self.waits.push(wait);
    }

    /// The wait that it gives up by ending.
    fn close_wait(&mut self) {
        if let Some((cause, since)) = self.waiting.take() {
            self.waits.push(Wait {
                cause,
                started_at: since.wall(since.instant),
                duration: since.instant.elapsed(),
                exit: None,
                span: None,
            });
        }
    }

    /// This server is to answer.
    pub fn served_by(&mut self, server: &Arc<ServerManager>) {
        self.server = Some(server.clone());
    }

    /// It is being sent to a run of its server now. Sent to another run, it counts as sent again.
    pub fn sent_to(&mut self, run: &Arc<LiveServer>) -> PhaseClock {
        let address = run.client().address().clone();
        self.sending(Some(run.clone()), address)
    }

    /// It is being sent now, to a server that is not ours.
    pub fn sent_elsewhere(&mut self, address: Address) -> PhaseClock {
        self.sending(None, address)
    }

    fn sending(&mut self, run: Option<Arc<LiveServer>>, address: Address) -> PhaseClock {
        let context = self.context();
        let clock = PhaseClock::start();
        let before = self.sent.take();
        if let Some(before) = &before
            && let Some(server) = &self.server
        {
            // What the log told of the attempt in vain belongs to nobody.
            let tasks = server.lifecycle().tasks();
            let (_, lines) = tasks.end(context.span_id, &before.clock, None, self.called);
            server.lifecycle().pass_on(lines);
        }
        let live = Arc::new(self.live(&clock));
        if let Some((run, server)) = run.as_ref().zip(self.server.as_ref()) {
            let pid = run.process().pid();
            server.lifecycle().tasks().begin(pid, context);
        }
        self.sink.started(&live);
        self.sent = Some(Sent {
            run,
            address,
            live,
            clock: clock.clone(),
            resends: before.map_or(0, |before| before.resends + 1),
        });
        clock
    }

    /// What can be seen of it while it runs.
    fn live(&self, clock: &PhaseClock) -> LiveRequest {
        let context = self.context();
        let mut live = LiveRequest::new(
            context.trace_id,
            context.span_id,
            self.endpoint,
            clock.sent(),
        );
        if let Some(bytes) = self.prompt_bytes {
            live = live.with_prompt_bytes(bytes);
        }
        match &self.server {
            Some(server) => live.with_context(server.context()),
            None => live,
        }
    }

    /// The response headers came, after so many more attempts on a fresh connection: a slot works
    /// on it, if the answer is streamed.
    pub fn opened(&mut self, clock: &PhaseClock, streamed: bool, resends: u32) {
        self.streamed = streamed;
        if let Some(sent) = &mut self.sent {
            sent.clock = clock.clone();
            sent.resends += resends;
            if let Some(at) = clock.headers_at().filter(|_| streamed) {
                sent.live.mark_slot_started(at);
            }
        }
    }

    /// A delta came.
    pub fn delta(&mut self, clock: &PhaseClock) {
        let Some((sent, at)) = self.sent.as_mut().zip(clock.last_delta()) else {
            return;
        };
        sent.live.mark_delta(at);
        if sent.clock.first_delta().is_none() {
            sent.clock = clock.clone();
            if let Some(server) = &self.server {
                let lifecycle = server.lifecycle();
                let span_id = self.propagation.context.span_id;
                lifecycle.pass_on(lifecycle.tasks().first_delta(span_id, clock));
            }
        }
        let seen = sent.live.progress();
        if seen.slot.is_none()
            && seen.deltas <= LOOKS_FOR_SLOT
            && let Some(server) = &self.server
        {
            let span_id = self.propagation.context.span_id;
            if let Some(slot) = server.lifecycle().tasks().slot(span_id, clock) {
                sent.live.mark_slot(slot);
            }
        }
    }

    /// The clock moved on: what it shows at the end is what the record tells.
    pub fn clock(&mut self, clock: &PhaseClock) {
        if let Some(sent) = &mut self.sent {
            sent.clock = clock.clone();
        }
    }

    /// Whether nothing more is to be learned of the slot by waiting for a log line.
    pub fn knows_slot(&self) -> bool {
        let (Some(server), Some(sent)) = (&self.server, &self.sent) else {
            return true;
        };
        let tasks = server.lifecycle().tasks();
        tasks.is_known(self.context().span_id, &sent.clock)
    }

    /// Waits for the log line that names the slot, where it is not here yet.
    pub async fn await_slot(&self, patience: Duration) {
        if self.knows_slot() {
            return;
        }
        let (Some(server), Some(sent)) = (self.server.clone(), &self.sent) else {
            return;
        };
        let (clock, span_id) = (sent.clock.clone(), self.context().span_id);
        let waiting = move || server.lifecycle().tasks().wait(span_id, &clock, patience);
        // Without a thread to wait on, what is known now is what there is.
        drop(tokio::task::spawn_blocking(waiting).await);
    }

    /// The client has gone: waits until the slot is free again, so that the record tells when that
    /// was and what was generated in vain.
    pub async fn await_release(&self, patience: Duration) {
        let (Some(server), Some(sent)) = (self.server.clone(), &self.sent) else {
            return;
        };
        if sent.run.is_none() || sent.clock.headers_at().is_none() {
            return;
        }
        let (clock, span_id) = (sent.clock.clone(), self.context().span_id);
        let waiting = move || {
            let tasks = server.lifecycle().tasks();
            tasks.wait_released(span_id, &clock, patience);
        };
        drop(tokio::task::spawn_blocking(waiting).await);
    }

    /// It failed: finds out why, leaves the record and gives how the server ended, if it did. A
    /// broken connection says little; the child's exit and its last lines say why.
    pub async fn fail(
        &mut self,
        error: &ApiError,
        observed: Observed,
        output: Option<Message>,
    ) -> Option<Exit> {
        let failure = self.failure(error);
        // For a caller that goes away meanwhile.
        self.failing = Some((observed.clone(), failure.clone()));
        let exit = if error.is_disconnect() {
            self.exit().await
        } else {
            None
        };
        let told = exit.as_ref().map(told);
        self.end(End {
            observed,
            failure: Some(told.as_ref().map_or(failure, exit_failure)),
            exit: told,
            output,
        });
        exit
    }

    /// A failed call as the record tells it: where content is not captured, nobody is quoted.
    pub fn failure(&self, error: &ApiError) -> Failure {
        Failure {
            kind: error.kind(),
            message: if self.captures_content() {
                error.to_string()
            } else {
                error.summary()
            },
        }
    }

    /// How the server that was asked ended, waiting a little for it.
    pub async fn exit(&self) -> Option<Exit> {
        let process = self.sent.as_ref()?.run.as_ref()?.process().clone();
        let waiting = move || process.wait_exit(EXIT_PATIENCE);
        tokio::task::spawn_blocking(waiting).await.ok()?
    }

    /// The end of a request that got no answer.
    pub fn unanswered(&self, failure: Option<Failure>) -> End {
        let clock = self.sent.as_ref().map(|sent| sent.clock.clone());
        let scanner = StreamScanner::new(self.endpoint, clock.unwrap_or_else(PhaseClock::start));
        End {
            observed: scanner.finish(Instant::now()),
            failure,
            exit: None,
            output: None,
        }
    }

    /// It ended: leaves its one record.
    pub fn end(&mut self, end: End) -> Arc<RequestRecord> {
        let _entered = self.span.clone().entered();
        self.recorded = true;
        self.failing = None;
        let record = Arc::new(self.record(end));
        tracing::debug!(
            endpoint = record.endpoint.path(),
            total_ms = record.phases.total.as_secs_f64() * 1e3,
            error = record.failure.as_ref().map(|failure| failure.kind.as_str()),
            "the request ended"
        );
        self.sink.record(record.clone());
        record
    }

    fn record(&mut self, end: End) -> RequestRecord {
        let End {
            observed,
            failure,
            exit,
            output,
        } = end;
        self.close_wait();
        let context = self.propagation.context;
        let mut record = RequestRecord {
            parent: self.parent,
            streamed: self.streamed,
            phases: observed.phases,
            gaps: observed.gaps,
            server_timings: observed.timings,
            model: self.model.take().unwrap_or_default(),
            response_id: observed.response_id,
            response_model: observed.model,
            conversation_id: self.conversation_id.take(),
            slot: observed.slot,
            parameters: std::mem::take(&mut self.parameters),
            usage: observed.usage,
            finish_reason: observed.finish_reason,
            failure,
            content: self.content.take().map(|content| Content {
                output: output.into_iter().collect(),
                ..content
            }),
            waits: std::mem::take(&mut self.waits),
            retries_of: std::mem::take(&mut self.retries_of),
            baggage: self
                .propagation
                .baggage
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            trace_state: self.propagation.state.clone(),
            ..RequestRecord::new(
                context.trace_id,
                context.span_id,
                self.endpoint,
                self.called.wall(Instant::now()),
            )
        };
        let lifecycle = self.server.as_ref().map(|server| server.lifecycle());
        if let Some(served) = lifecycle.map(Lifecycle::served) {
            record.model.clone_from(&served.model);
            record.model_sha256.clone_from(&served.sha256);
            record.quantization.clone_from(&served.quantization);
            record.llama_build = Some(served.build.clone());
        }
        let Some(sent) = &self.sent else {
            if let Some(lifecycle) = lifecycle.filter(|_| record.waits.is_empty()) {
                record.waits = vec![lifecycle.vain_wait(self.called)];
            }
            return record;
        };
        // One clock dates waits and phases, so that they meet without a gap.
        record.started_at = self.called.wall(sent.clock.sent());
        record.resends = sent.resends;
        record.deltas = sent.live.progress().deltas;
        record.server = match &sent.address {
            Address::Tcp(address) => Some((address.ip().to_string(), address.port())),
            Address::Unix(_) => None,
        };
        if let Some((run, lifecycle)) = sent.run.as_ref().zip(lifecycle) {
            self.complete_from_log(&mut record, sent, run, lifecycle);
        }
        let ended_at = record.started_at + record.phases.total;
        let slot_started = sent.clock.headers_at().filter(|_| self.streamed);
        complete_slot(&mut record, slot_started.map(|at| self.called.wall(at)));
        complete_draft(&mut record, ended_at);
        if let Some(exit) = exit {
            record.marks.push(Mark {
                at: ended_at,
                kind: MarkKind::ServerEnded(exit),
            });
        }
        record
    }

    /// What the child's log and its restarts tell of the request.
    fn complete_from_log(
        &self,
        record: &mut RequestRecord,
        sent: &Sent,
        run: &LiveServer,
        lifecycle: &Lifecycle,
    ) {
        let process = run.process();
        if process.ready_at() > self.called.instant {
            let waits = lifecycle.waits(process.pid(), self.called, sent.clock.sent());
            record.waits.extend(waits);
        }
        // The head of an answer that came in one piece tells nothing of the slot's start.
        let whole = (!self.streamed).then(|| {
            let mut clock = sent.clock.started_like();
            if let Some(queue) = record.phases.queue {
                clock.headers(clock.sent() + queue);
            }
            clock
        });
        let clock = whole.as_ref().unwrap_or(&sent.clock);
        let span_id = self.propagation.context.span_id;
        let (told, lines) = lifecycle
            .tasks()
            .end(span_id, clock, record.slot, self.called);
        lifecycle.pass_on(lines);
        record.slot = record.slot.or(told.slot);
        record.marks = told.marks;
        let cancelled = record.finish_reason == Some(FinishReason::Cancelled);
        if let Some((at, tokens)) = told.released.filter(|_| cancelled) {
            let kind = MarkKind::SlotReleased {
                tokens,
                wasted: wasted(record, tokens),
            };
            let at = self.called.wall(at);
            record.marks.push(Mark { at, kind });
        }
    }
}

impl Drop for Exchange {
    /// A request that is dropped while it waits leaves its record too.
    fn drop(&mut self) {
        if self.recorded {
            return;
        }
        let end = if let Some((observed, failure)) = self.failing.take() {
            End {
                observed,
                failure: Some(failure),
                exit: None,
                output: None,
            }
        } else {
            let mut end = self.unanswered(None);
            end.observed.finish_reason = Some(FinishReason::Cancelled);
            end
        };
        self.end(end);
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("endpoint", &self.endpoint)
            .field("trace_id", &self.propagation.context.trace_id)
            .finish_non_exhaustive()
    }
}

/// Tokens of a cancelled answer that nobody got: those that the context held, and the last one,
/// which never gets there, less the prompt's and those that came.
fn wasted(record: &RequestRecord, tokens: Option<u64>) -> Option<u64> {
    let generated = (tokens? + 1).checked_sub(record.usage.prompt_tokens?)?;
    Some(generated.saturating_sub(record.deltas))
}

/// The response headers leave the server when the slot begins: they stand in for a log line that
/// is not here yet.
fn complete_slot(record: &mut RequestRecord, headers_at: Option<SystemTime>) {
    let known = |mark: &Mark| matches!(mark.kind, MarkKind::SlotAcquired { .. });
    if let Some((slot, at)) = record.slot.zip(headers_at)
        && !record.marks.iter().any(known)
    {
        let kind = MarkKind::SlotAcquired { slot };
        record.marks.insert(0, Mark { at, kind });
    }
}

/// The answer's own account of its drafts stands in for a log line that is not here yet.
fn complete_draft(record: &mut RequestRecord, at: SystemTime) {
    let known = |mark: &Mark| matches!(mark.kind, MarkKind::DraftAcceptance { .. });
    let counts = record.server_timings.and_then(|timings| {
        let drafted = timings.draft_n.filter(|drafted| *drafted > 0)?;
        Some((drafted, timings.draft_n_accepted?))
    });
    if let Some((drafted, accepted)) = counts
        && !record.marks.iter().any(known)
    {
        record.marks.push(Mark {
            at,
            kind: MarkKind::DraftAcceptance { drafted, accepted },
        });
    }
}
