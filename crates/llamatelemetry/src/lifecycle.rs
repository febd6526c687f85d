//! What happens to the server, told to the sink: loads, restarts, lines of its log.

use crate::failure::{exit_failure, start_failure, told};
use crate::moment::Moment;
use crate::tasks::Tasks;
use llamatelemetry_models::LocalModel;
use llamatelemetry_record::{
    Failure, Happening, LoggedLine, ServerExit, Severity, Sink, SpanId, TraceContext, TraceId,
    UnloadReason, Wait, WaitCause, What,
};
use llamatelemetry_server::{
    Exit, Listener, LogLevel, LogLine, ServerError, ServerProcess, SlotLine,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Runs that are remembered, for requests that waited for them.
const RUNS_KEPT: usize = 16;
/// What is known of the model that is served.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) model: String,
    pub(crate) sha256: Option<String>,
    pub(crate) quantization: Option<String>,
    pub(crate) build: String,
}

/// Hears what happens to the server and tells the sink.
pub(crate) struct Lifecycle {
    sink: Arc<dyn Sink>,
    served: Served,
    tasks: Tasks,
    runs: Mutex<Runs>,
    /// Told whenever the server is another, or will be none.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Runs {
    /// The last run ended, and the next is not ready yet.
    down: Option<Down>,
    /// Runs that followed on such an end, oldest first.
    restarted: VecDeque<Restarted>,
}

/// The time between two runs.
#[derive(Debug, Clone)]
struct Down {
    since: Moment,
    exit: ServerExit,
    span: TraceContext,
    /// The requests that it left without an answer.
    left: Vec<TraceContext>,
    restarts: u32,
}

#[derive(Debug, Clone)]
struct Restarted {
    pid: u32,
    down: Down,
    load: TraceContext,
    launched_at: Instant,
}

impl Served {
    /// Reads the quantization from the file itself; a file that does not tell leaves it unknown.
    pub(crate) fn new(model: &LocalModel, build: &str) -> Self {
        let facts = llamatelemetry_gguf::Gguf::open(&model.path).and_then(|file| file.facts());
        let file_type = facts.ok().and_then(|facts| facts.file_type);
        Self {
            model: model.name.clone(),
            sha256: model.sha256.clone(),
            quantization: file_type
                .and_then(llamatelemetry_gguf::FileType::name)
                .map(str::to_owned),
            build: build.to_owned(),
        }
    }

    fn load(&self) -> What {
        What::ModelLoad {
            model: self.model.clone(),
            model_sha256: self.sha256.clone(),
            quantization: self.quantization.clone(),
            llama_build: Some(self.build.clone()),
        }
    }
}

impl Lifecycle {
    pub(crate) fn new(sink: Arc<dyn Sink>, served: Served) -> Self {
        Self {
            sink,
            served,
            tasks: Tasks::default(),
            runs: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Tells of changes: each time the server is another, or will be none.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Passes log lines on.
    pub(crate) fn pass_on(&self, lines: Vec<LoggedLine>) {
        for line in lines {
            self.sink.logged(line);
        }
    }

    /// The first load ended, well or not; `parent` is the span that asked for it. Returns its own
    /// span.
    pub(crate) fn loaded(
        &self,
        since: Instant,
        parent: Option<TraceContext>,
        outcome: Result<&ServerProcess, &ServerError>,
    ) -> TraceContext {
        let (from, to, failure) = match outcome {
            Ok(server) => (server.launched_at(), server.ready_at(), None),
            Err(error) => (since, Instant::now(), Some(start_failure(error))),
        };
        let trace_id = parent.map_or_else(TraceId::random, |parent| parent.trace_id);
        let span = TraceContext {
            trace_id,
            span_id: SpanId::random(),
            sampled: self.sink.samples(trace_id, parent.as_ref()),
        };
        self.sink.happened(Happening {
            trace_id,
            span_id: span.span_id,
            parent,
            links: Vec::new(),
            started_at: Moment::now().wall(from),
            duration: to - from,
            what: self.served.load(),
            failure,
        });
        span
    }

    /// The model was unloaded, for this reason, which took so long and freed so many bytes.
    pub(crate) fn unloaded(&self, since: Moment, reason: UnloadReason, freed: Option<u64>) {
        self.sink.happened(Happening {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            parent: None,
            links: Vec::new(),
            started_at: since.wall(since.instant),
            duration: since.instant.elapsed(),
            what: What::ModelUnload {
                model: self.served.model.clone(),
                reason,
                freed_bytes: freed,
            },
            failure: None,
        });
    }

    /// What a request had to wait for that was called at one instant and sent at the other, to
    /// the run of this process: first the time until its launch, then its load.
    pub(crate) fn waits(&self, pid: u32, called: Moment, sent: Instant) -> Vec<Wait> {
        let runs = self.lock();
        let mut restarted = runs.restarted.iter().rev();
        let Some(run) = restarted.find(|run| run.pid == pid) else {
            return Vec::new();
        };
        let launched_at = run.launched_at.clamp(called.instant, sent);
        let wait = |cause, from: Instant, to: Instant, span| Wait {
            cause,
            started_at: called.wall(from),
            duration: to - from,
            exit: Some(run.down.exit.clone()),
            span: Some(span),
        };
        [
            wait(
                WaitCause::Restart,
                called.instant,
                launched_at,
                run.down.span,
            ),
            wait(WaitCause::ModelLoad, launched_at, sent, run.load),
        ]
        .into_iter()
        .filter(|wait| !wait.duration.is_zero())
        .collect()
    }

    /// The wait of a request that was called then and never sent.
    pub(crate) fn vain_wait(&self, called: Moment) -> Wait {
        let runs = self.lock();
        let down = runs.down.as_ref();
        Wait {
            cause: WaitCause::Restart,
            started_at: called.wall(called.instant),
            duration: called.instant.elapsed(),
            exit: down.map(|down| down.exit.clone()),
            span: down.map(|down| down.span),
        }
    }

    fn restart(&self, down: &Down, until: Instant, failure: Option<Failure>) {
        self.sink.happened(Happening {
            trace_id: down.span.trace_id,
            span_id: down.span.span_id,
            parent: None,
            links: down.left.clone(),
            started_at: down.since.wall(down.since.instant),
            duration: until.saturating_duration_since(down.since.instant),
            what: What::Restart {
                model: self.served.model.clone(),
                exit: down.exit.clone(),
                restarts: down.restarts,
            },
            failure,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Lifecycle {
    fn logged(&self, pid: u32, at: Instant, line: &LogLine) {
        let slot = SlotLine::read(&line.text);
        let slot_fields = slot.into_iter().flat_map(|slot| {
            let task = slot.task.map(|task| ("llamacpp.task.id", task.to_string()));
            [Some(("llamacpp.slot.id", slot.slot.to_string())), task]
        });
        let fields = [Some(("pid", pid.to_string()))]
            .into_iter()
            .chain(slot_fields);
        let logged = LoggedLine {
            at: Moment::now().wall(at),
            severity: severity(line.level),
            source: "llama_server".into(),
            text: line.text.clone(),
            context: None,
            fields: fields
                .flatten()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        self.pass_on(self.tasks.logged(pid, at, &line.text, logged));
    }

    fn ended(&self, pid: u32, exit: &Exit) {
        let left = self.tasks.run_ended(pid);
        let trace_id = TraceId::random();
        let mut runs = self.lock();
        let restarts = runs.restarted.back().map_or(0, |run| run.down.restarts);
        runs.down = Some(Down {
            since: Moment::now(),
            exit: told(exit),
            span: TraceContext {
                trace_id,
                span_id: SpanId::random(),
                sampled: self.sink.samples(trace_id, None),
            },
            left,
            restarts,
        });
    }

    fn restarted(&self, server: &ServerProcess, restarts: u32) {
        let Some(mut down) = self.lock().down.take() else {
            return;
        };
        down.restarts = restarts;
        let load = TraceContext {
            span_id: SpanId::random(),
            ..down.span
        };
        self.sink.happened(Happening {
            trace_id: load.trace_id,
            span_id: load.span_id,
            parent: Some(down.span),
            links: Vec::new(),
            started_at: down.since.wall(server.launched_at()),
            duration: server.ready_at() - server.launched_at(),
            what: self.served.load(),
            failure: None,
        });
        self.restart(&down, server.ready_at(), None);
        let mut runs = self.lock();
        if runs.restarted.len() == RUNS_KEPT {
            runs.restarted.pop_front();
        }
        runs.restarted.push_back(Restarted {
            pid: server.pid(),
            down,
            load,
            launched_at: server.launched_at(),
        });
    }

    fn changed(&self) {
        self.changed.send_replace(());
    }

    fn given_up(&self, error: Option<&ServerError>) {
        // It stays down: whoever asks from now on waits in vain for this.
        let Some(down) = self.lock().down.clone() else {
            return;
        };
        let failure = error.map_or_else(|| exit_failure(&down.exit), start_failure);
        self.restart(&down, Instant::now(), Some(failure));
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}

fn severity(level: LogLevel) -> Severity {
    match level {
        LogLevel::Debug => Severity::Debug,
        LogLevel::Info => Severity::Info,
        LogLevel::Warn => Severity::Warn,
        LogLevel::Error => Severity::Error,
    }
}
