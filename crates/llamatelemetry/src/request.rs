//! One request from the call to its record: every request leaves exactly one, however it ends.

use crate::body::Body;
use crate::error::Cause;
use crate::failure::{exit_failure, no_server, told};
use crate::lifecycle::Lifecycle;
use crate::manager::LiveServer;
use crate::moment::Moment;
use crate::stream::AnswerStream;
use crate::{Error, GenerateOptions, ServerManager};
use llamatelemetry_api::{Address, AnswerStream as ApiStream, ApiError};
use llamatelemetry_record::{
    Content, Endpoint, Failure, FinishReason, LiveRequest, Mark, MarkKind, Message, Observed,
    PhaseClock, Propagation, RequestParameters, RequestRecord, ServerExit, Sink, SpanId,
    StreamScanner, TraceContext, TraceId,
};
use llamatelemetry_server::Exit;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// When a connection breaks, the child's exit is waited for so long to say why.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// Deltas after which the log is still asked for a request's slot.
const LOOKS_FOR_SLOT: u64 = 16;

/// A request from the call to its record.
pub(crate) struct Request {
    server: Arc<ServerManager>,
    sink: Arc<dyn Sink>,
    endpoint: Endpoint,
    called: Moment,
    parent: Option<TraceContext>,
    propagation: Propagation,
    parameters: RequestParameters,
    conversation_id: Option<String>,
    retries_of: Vec<TraceContext>,
    /// What was said so far, if it is captured.
    content: Option<Content>,
    /// `None` until it is sent.
    sent: Option<Sent>,
    /// How it failed, while the reason is still being looked for.
    failing: Option<(Observed, Failure)>,
    recorded: bool,
}

/// A request that was sent.
struct Sent {
    /// The run of the server that was asked.
    run: Arc<LiveServer>,
    /// Whether the request had to wait for this run.
    waited: bool,
    live: Arc<LiveRequest>,
    clock: PhaseClock,
    resends: u32,
}

/// How a request ended.
pub(crate) struct End {
    pub(crate) observed: Observed,
    pub(crate) failure: Option<Failure>,
    /// How the server ended, if that is why.
    pub(crate) exit: Option<ServerExit>,
    /// What came of the answer, if content is captured.
    pub(crate) output: Option<Message>,
}

impl Request {
    pub(crate) fn new(
        server: Arc<ServerManager>,
        sink: Arc<dyn Sink>,
        endpoint: Endpoint,
        options: &GenerateOptions,
        content: Option<Content>,
    ) -> Self {
        let parent = options.parent;
        let trace_id = parent.map_or_else(TraceId::random, |parent| parent.trace_id);
        let sampled = sink.samples(trace_id, parent.as_ref());
        Self {
            server,
            sink,
            endpoint,
            called: Moment::now(),
            parent,
            propagation: Propagation {
                context: TraceContext {
                    trace_id,
                    span_id: SpanId::random(),
                    sampled,
                },
                state: options.trace_state.clone().filter(|_| parent.is_some()),
                baggage: options.baggage.clone(),
            },
            parameters: options.parameters(),
            conversation_id: options.conversation_id.clone(),
            retries_of: options.retry_of.clone(),
            content,
            sent: None,
            failing: None,
            recorded: false,
        }
    }

    /// The request's own span: the parent of whatever the server does for it.
    pub(crate) fn context(&self) -> TraceContext {
        self.propagation.context
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(crate) fn recorded(&self) -> bool {
        self.recorded
    }

    pub(crate) fn captures_content(&self) -> bool {
        self.content.is_some()
    }

    /// Whether it failed and the reason is still being looked for.
    pub(crate) fn failing(&self) -> bool {
        self.failing.is_some()
    }

    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.sink
    }

    /// Sends it, once a server runs: either an answer streams, or it failed and that is recorded.
    pub(crate) async fn send(mut self, body: &Body) -> Result<AnswerStream, Error> {
        let context = self.context();
        let (run, waited) = match self.server.running().await {
            Ok(run) => run,
            Err(error) => {
                let end = self.unanswered(Some(no_server(&error)));
                self.leave_record(end);
                return Err(error.of_request(context));
            }
        };
        let clock = PhaseClock::start();
        let live = LiveRequest::new(
            context.trace_id,
            context.span_id,
            self.endpoint,
            clock.sent(),
        )
        .with_prompt_bytes(body.prompt_bytes())
        .with_context(self.server.context());
        let live = Arc::new(live);
        self.lifecycle().tasks().begin(run.process().pid(), context);
        self.sink.started(&live);
        self.sent = Some(Sent {
            run: run.clone(),
            waited,
            live,
            clock,
            resends: 0,
        });
        match body.send(&run, &self.propagation).await {
            Ok(answer) => {
                self.opened(&answer);
                Ok(AnswerStream::new(self, answer))
            }
            Err(error) => {
                let observed = self.unanswered(None).observed;
                Err(self.fail(error, observed, None).await)
            }
        }
    }

    /// The response headers came: a slot works on it.
    fn opened(&mut self, answer: &ApiStream) {
        if let Some(sent) = &mut self.sent {
            sent.clock = answer.clock().clone();
            sent.resends = answer.resends();
            if let Some(at) = answer.clock().headers_at() {
                sent.live.mark_slot_started(at);
            }
        }
    }

    /// A delta came.
    pub(crate) fn delta(&mut self, clock: &PhaseClock) {
        let Some((sent, at)) = self.sent.as_mut().zip(clock.last_delta()) else {
            return;
        };
        sent.live.mark_delta(at);
        if sent.clock.first_delta().is_none() {
            sent.clock = clock.clone();
            let lifecycle = self.server.lifecycle();
            let span_id = self.propagation.context.span_id;
            lifecycle.pass_on(lifecycle.tasks().first_delta(span_id, clock));
        }
        let seen = sent.live.progress();
        if seen.slot.is_none() && seen.deltas <= LOOKS_FOR_SLOT {
            let span_id = self.propagation.context.span_id;
            if let Some(slot) = self.server.lifecycle().tasks().slot(span_id, clock) {
                sent.live.mark_slot(slot);
            }
        }
    }

    /// Waits for the log line that names the slot, where it is not here yet.
    pub(crate) async fn await_slot(&self, clock: &PhaseClock, patience: Duration) {
        let (server, clock) = (self.server.clone(), clock.clone());
        let span_id = self.context().span_id;
        if server.lifecycle().tasks().is_known(span_id, &clock) {
            return;
        }
        let waiting = move || server.lifecycle().tasks().wait(span_id, &clock, patience);
        // Without a thread to wait on, what is known now is what there is.
        drop(tokio::task::spawn_blocking(waiting).await);
    }

    /// It failed: finds out why, leaves the record and gives the error. A broken connection says
    /// little; the child's exit and its last lines say why.
    pub(crate) async fn fail(
        &mut self,
        error: ApiError,
        observed: Observed,
        output: Option<Message>,
    ) -> Error {
        let failure = Failure {
            kind: error.kind(),
            message: if self.captures_content() {
                error.to_string()
            } else {
                error.summary()
            },
        };
        // For a caller that goes away meanwhile.
        self.failing = Some((observed.clone(), failure.clone()));
        let exit = if error.is_disconnect() {
            self.exit().await
        } else {
            None
        };
        let told = exit.as_ref().map(told);
        self.leave_record(End {
            observed,
            failure: Some(told.as_ref().map_or(failure, exit_failure)),
            exit: told,
            output,
        });
        let cause = match exit {
            Some(exit) => Cause::ServerDied {
                exit,
                source: error,
            },
            None => Cause::Request(error),
        };
        Error::from(cause).of_request(self.context())
    }

    /// How the server that was asked ended, waiting a little for it.
    async fn exit(&self) -> Option<Exit> {
        let process = self.sent.as_ref()?.run.process().clone();
        let waiting = move || process.wait_exit(EXIT_PATIENCE);
        tokio::task::spawn_blocking(waiting).await.ok()?
    }

    /// The end of a request that got no answer.
    fn unanswered(&self, failure: Option<Failure>) -> End {
        let clock = self.sent.as_ref().map(|sent| sent.clock.clone());
        let scanner = StreamScanner::new(self.endpoint, clock.unwrap_or_else(PhaseClock::start));
        End {
            observed: scanner.finish(Instant::now()),
            failure,
            exit: None,
            output: None,
        }
    }

    /// Leaves the one record of this request.
    pub(crate) fn leave_record(&mut self, end: End) -> Arc<RequestRecord> {
        self.recorded = true;
        let record = Arc::new(self.record(end));
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
        let lifecycle = self.server.lifecycle();
        let served = lifecycle.served();
        let context = self.propagation.context;
        let mut record = RequestRecord {
            parent: self.parent,
            streamed: true,
            phases: observed.phases,
            server_timings: observed.timings,
            model: served.model.clone(),
            model_sha256: served.sha256.clone(),
            quantization: served.quantization.clone(),
            llama_build: Some(served.build.clone()),
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
        let Some(sent) = &self.sent else {
            record.waits = vec![lifecycle.vain_wait(self.called)];
            return record;
        };
        let pid = sent.run.process().pid();
        // One clock dates waits and phases, so that they meet without a gap.
        record.started_at = self.called.wall(sent.clock.sent());
        if sent.waited {
            record.waits = lifecycle.waits(pid, self.called, sent.clock.sent());
        }
        let (told, lines) =
            lifecycle
                .tasks()
                .end(context.span_id, &sent.clock, record.slot, self.called);
        lifecycle.pass_on(lines);
        record.slot = record.slot.or(told.slot);
        record.marks = told.marks;
        record.resends = sent.resends;
        record.deltas = sent.live.progress().deltas;
        record.server = match sent.run.client().address() {
            Address::Tcp(address) => Some((address.ip().to_string(), address.port())),
            Address::Unix(_) => None,
        };
        let ended_at = record.started_at + record.phases.total;
        complete_slot(
            &mut record,
            sent.clock.headers_at().map(|at| self.called.wall(at)),
        );
        complete_draft(&mut record, ended_at);
        if let Some(exit) = exit {
            record.marks.push(Mark {
                at: ended_at,
                kind: MarkKind::ServerEnded(exit),
            });
        }
        record
    }

    fn lifecycle(&self) -> &Lifecycle {
        self.server.lifecycle()
    }

    /// The clock moved on: what it shows at the end is what the record tells.
    pub(crate) fn clock(&mut self, clock: &PhaseClock) {
        if let Some(sent) = &mut self.sent {
            sent.clock = clock.clone();
        }
    }
}

impl Drop for Request {
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
        self.leave_record(end);
    }
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
