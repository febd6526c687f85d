//! The server behind an engine, for those who want it without one.

use crate::error::Cause;
use crate::lifecycle::{Lifecycle, Served};
use crate::moment::Moment;
use crate::served::ServedServer;
use crate::{Error, LoadOptions};
use llamatelemetry_api::Client;
use llamatelemetry_models::{LocalModel, UseMark};
use llamatelemetry_record::{ContextPool, ServedModel, TraceContext, UnloadReason};
use llamatelemetry_runtime::Runtime;
use llamatelemetry_server::{
    Exit, LaunchSpec, RestartPolicy, ServerProcess, Supervisor, SupervisorState,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a server may take to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long a request waits for a server that is being restarted.
const RESTART_PATIENCE: Duration = Duration::from_secs(60);

/// Keeps one `llama-server` with its model running. A server that crashes is restarted, with a
/// growing pause; one that would fail the same way again is not. Dropping it stops the server.
#[derive(Debug)]
pub struct ServerManager {
    supervisor: Supervisor,
    lifecycle: Arc<Lifecycle>,
    /// The span of the first load.
    load: TraceContext,
    /// What the sink was shown: it looks for as long as this is here.
    shown: Arc<dyn ServedModel>,
    live: Mutex<Arc<LiveServer>>,
    runtime: Runtime,
    model: LocalModel,
    /// Keeps the model's files from being pruned while the server has them open.
    _in_use: UseMark,
}

/// One run of the server, with a client of its own: each run has a new address.
#[derive(Debug)]
pub struct LiveServer {
    process: Arc<ServerProcess>,
    client: Client,
}

impl ServerManager {
    /// Finds or builds llama.cpp and fetches the model, side by side, then starts the server and
    /// returns once the model is loaded.
    pub async fn start_server(model: &str, options: &LoadOptions) -> Result<Self, Error> {
        let runtime = {
            let (settings, progress) = (options.settings.clone(), options.progress.clone());
            blocking(move || Ok(llamatelemetry_runtime::bootstrap(&settings, &progress)?))
        };
        let model = {
            let (name, settings, progress) = (
                model.to_owned(),
                options.settings.clone(),
                options.progress.clone(),
            );
            blocking(move || Ok(llamatelemetry_models::hold(&name, &settings, &progress)?))
        };
        // Whichever fails first ends the wait: a wrong name must not sit out a build.
        let (runtime, (model, in_use)) = tokio::try_join!(runtime, model)?;
        let (settings, progress) = (options.settings.clone(), options.progress.clone());
        let (sink, parent) = (options.sink.clone(), options.parent);
        let alias = options.alias.clone();
        let load_for = options.load_for;
        let shown_to = sink.clone();
        blocking(move || {
            let mut spec = LaunchSpec::new(&runtime.server, &model.path, &settings);
            spec.library_dirs.clone_from(&runtime.library_dirs);
            spec.projector.clone_from(&model.projector);
            spec.purpose = load_for.purpose(&model.path);
            spec.alias = alias.or_else(|| Some(model.name.clone()));
            let served = Served::new(&model, &runtime.build.text);
            let lifecycle = Arc::new(Lifecycle::new(sink, served));
            spec.listener = lifecycle.clone();
            let began = Instant::now();
            let started = Supervisor::start(spec, RestartPolicy::default(), &progress).and_then(
                |supervisor| {
                    let process = supervisor.wait_running(RESTART_PATIENCE)?;
                    Ok((supervisor, process))
                },
            );
            let outcome = started.as_ref().map(|(_, process)| &**process);
            let load = lifecycle.loaded(began, parent, outcome);
            let (supervisor, process) = started?;
            let shown: Arc<dyn ServedModel> = Arc::new(ServedServer::new(
                &model.name,
                &supervisor,
                &settings.server,
            ));
            shown_to.serves(&shown);
            if let Some(warning) = process.config_files().warning() {
                progress.note(&warning);
            }
            let live = Mutex::new(Arc::new(LiveServer::new(process)));
            Ok(Self {
                supervisor,
                lifecycle,
                load,
                shown,
                live,
                runtime,
                model,
                _in_use: in_use,
            })
        })
        .await
    }

    /// The server that runs now, waiting for a restart that is under way.
    pub async fn live(self: &Arc<Self>) -> Result<Arc<LiveServer>, Error> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let server = Arc::clone(self);
        let waiting = move || Ok(server.supervisor.wait_running(RESTART_PATIENCE)?);
        Ok(self.run_of(blocking(waiting).await?))
    }

    /// The run that there is now, if there is one.
    pub fn current(&self) -> Option<Arc<LiveServer>> {
        Some(self.run_of(self.supervisor.current()?))
    }

    fn run_of(&self, process: Arc<ServerProcess>) -> Arc<LiveServer> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&live.process, &process) {
            *live = Arc::new(LiveServer::new(process));
        }
        live.clone()
    }

    /// What the server does.
    pub fn state(&self) -> SupervisorState {
        self.supervisor.state()
    }

    /// How it ended last, if it did.
    pub fn last_exit(&self) -> Option<Exit> {
        self.supervisor.last_exit()
    }

    /// Tells each time there is another run, or will be none.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.lifecycle.changes()
    }

    /// The span of the first load.
    pub fn load_span(&self) -> TraceContext {
        self.load
    }

    /// This run has answered a request: what ends it from now on is no crash loop.
    pub fn was_of_use(&self, run: &LiveServer) {
        self.supervisor.was_of_use(run.process.pid());
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// How the server's slots share its context.
    pub(crate) fn context(&self) -> ContextPool {
        self.shown.context()
    }

    /// The llama.cpp that runs.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The model that is loaded.
    pub fn model(&self) -> &LocalModel {
        &self.model
    }

    /// How often the server was restarted.
    pub fn restarts(&self) -> u32 {
        self.supervisor.restarts()
    }

    /// Stops the server: it may finish what it does for a moment, then it is killed.
    pub async fn stop_server(self) {
        // A blocking thread that cannot be had leaves the stop to `Drop`.
        drop(tokio::task::spawn_blocking(move || self.stop()).await);
    }

    /// The same for a server that others may still hold. Blocks until it is gone.
    pub fn stop(&self) {
        self.supervisor.stop(STOP_GRACE);
    }

    /// The same for a server that others may still hold, told to the sink as an unload that frees
    /// so many bytes.
    pub async fn unload(self: Arc<Self>, reason: UnloadReason, freed: Option<u64>) {
        let since = Moment::now();
        let stopped = tokio::task::spawn_blocking(move || {
            self.supervisor.stop(STOP_GRACE);
            self.lifecycle.unloaded(since, reason, freed);
        });
        // A blocking thread that cannot be had leaves the stop to `Drop`.
        drop(stopped.await);
    }
}

impl LiveServer {
    fn new(process: Arc<ServerProcess>) -> Self {
        let client = Client::new(process.address().clone(), process.key().cloned());
        Self { process, client }
    }

    /// A client of this run.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The child process.
    pub fn process(&self) -> &Arc<ServerProcess> {
        &self.process
    }
}

/// Runs domain code, which is synchronous, beside the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Cause::Task)?
}
