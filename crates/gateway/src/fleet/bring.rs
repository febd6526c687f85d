//! One load of a model: its files, memory for it, its servers; smaller ones where memory is short.

use super::budget::{self, Decision, Holding};
use super::member::{Phase, Ready};
use super::plan::ModelPlan;
use super::progress::LoadProgress;
use super::replica::Replica;
use super::{Fleet, State, ladder, watchdog};
use llamatelemetry::server::{ExitClass, ServerError};
use llamatelemetry::settings::ServerSettings;
use llamatelemetry::{Error, LoadOptions, ServerManager, TraceContext, UnloadReason, models};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A server that has just started tells what its model is within this time, or it stays unknown:
/// one that wedges now must not keep the load from its end.
const TELL_LIMIT: Duration = Duration::from_secs(5);

/// Why a load came to nothing.
#[derive(Debug)]
enum Setback {
    /// Nobody wants it any more.
    Abandoned,
    Failed {
        reason: String,
        /// Another try would fail the same way.
        would_repeat: bool,
    },
}

/// Loads a model, and says in the fleet how it went.
pub(super) async fn bring(
    fleet: Arc<Fleet>,
    member: usize,
    by: Option<TraceContext>,
    progress: Arc<LoadProgress>,
) {
    let outcome = attempt(&fleet, member, by, &progress).await;
    if let Some(too_late) = settle(&fleet, member, outcome) {
        unload(too_late.replicas, UnloadReason::Shutdown, None).await;
    }
    fleet.tell();
}

/// Says in the fleet how a load went. Gives back what came of it where the fleet closes.
fn settle(fleet: &Fleet, member: usize, outcome: Result<Ready, Setback>) -> Option<Ready> {
    let mut state = fleet.lock();
    if state.closing {
        return outcome.ok();
    }
    let model = &mut state.members[member];
    match outcome {
        Ok(ready) => {
            model.last_used = std::time::Instant::now();
            model.phase = Phase::Ready(ready);
        }
        Err(Setback::Abandoned) => model.phase = Phase::Unloaded,
        Err(Setback::Failed {
            reason,
            would_repeat,
        }) => {
            tracing::warn!(model = model.plan.name, reason, "a model did not load");
            model.failed(reason, would_repeat);
        }
    }
    None
}

async fn attempt(
    fleet: &Arc<Fleet>,
    member: usize,
    by: Option<TraceContext>,
    progress: &Arc<LoadProgress>,
) -> Result<Ready, Setback> {
    let (plan, measured) = {
        let state = fleet.lock();
        let model = &state.members[member];
        (model.plan.clone(), model.measured)
    };
    progress.stage("looking for the model");
    let size = files(fleet, &plan, progress).await?;
    let need = measured.unwrap_or(size.saturating_mul(plan.replicas.len() as u64));
    progress.stage("waiting for memory");
    room(fleet, member, need, Place::Last).await?;
    progress.stage("starting llama-server");
    let (replicas, given_up) = launch(fleet, member, &plan, by, progress).await?;
    let measured = measure(fleet, &replicas).await;
    if let Some(bytes) = measured {
        fleet.lock().members[member].measured = Some(bytes);
        if fleet.options.settings.serve.memory_budget.is_some() {
            // The others share more with each other now.
            fleet.measure_loaded().await;
        }
        if let Err(setback) = room(fleet, member, bytes, Place::First).await {
            unload(replicas, UnloadReason::Room, measured).await;
            return Err(setback);
        }
    }
    let told = match replicas.first().and_then(|replica| replica.run()) {
        Some(run) => tokio::time::timeout(TELL_LIMIT, run.client().get("/v1/models"))
            .await
            .ok()
            .and_then(Result::ok),
        None => None,
    };
    let told = told.and_then(|body| serde_json::from_slice(&body).ok());
    let limit = fleet.options.settings.serve.stall_limit;
    for replica in &replicas {
        let changes = replica.server.changes();
        fleet.spawn(pass_changes_on(Arc::downgrade(fleet), changes));
        fleet.spawn(watchdog::guard(Arc::downgrade(replica), limit));
    }
    Ok(Ready {
        replicas,
        told: told.unwrap_or(Value::Null),
        given_up,
        draining: None,
        turn: 0,
    })
}

/// Brings the model's files here and tells their size in bytes.
async fn files(
    fleet: &Fleet,
    plan: &ModelPlan,
    progress: &Arc<LoadProgress>,
) -> Result<u64, Setback> {
    let (name, settings) = (plan.model.clone(), fleet.options.settings.clone());
    let progress = progress.clone();
    let failed = |reason| Setback::Failed {
        reason,
        would_repeat: false,
    };
    let looking = tokio::task::spawn_blocking(move || {
        let model = models::ensure(&name, &settings, &progress).map_err(|error| chain(&error))?;
        let projector = model.projector.as_deref().map(std::fs::metadata);
        let projector = projector.and_then(Result::ok).map_or(0, |file| file.len());
        Ok(model.size.saturating_add(projector))
    });
    let found = looking.await.unwrap_or_else(|error| Err(chain(&error)));
    found.map_err(failed)
}

/// Starts the servers. Where they find no memory, models that nobody uses are unloaded first; then
/// less is asked for, step by step.
async fn launch(
    fleet: &Arc<Fleet>,
    member: usize,
    plan: &ModelPlan,
    by: Option<TraceContext>,
    progress: &Arc<LoadProgress>,
) -> Result<(Vec<Arc<Replica>>, Vec<String>), Setback> {
    let mut given_up = Vec::new();
    let mut replicas = plan.replicas.clone();
    let rungs = fleet.lock().members[member].rungs;
    for _ in 0..rungs {
        given_up.extend(step_down(&mut replicas));
    }
    loop {
        let error = match start(fleet, plan, &replicas, by, progress).await {
            Ok(replicas) => return Ok((replicas, given_up)),
            Err(error) => error,
        };
        let (reason, would_repeat) = judge(&error);
        if !is_out_of_memory(&error) {
            return Err(Setback::Failed {
                reason,
                would_repeat,
            });
        }
        if unload_idle(fleet, member).await {
            continue;
        }
        let Some(told) = step_down(&mut replicas) else {
            return Err(Setback::Failed {
                reason: format!("{reason}; nothing more can be given up"),
                would_repeat: true,
            });
        };
        tracing::warn!(
            model = plan.name,
            "out of memory: loading again with {told}"
        );
        fleet.lock().members[member].rungs += 1;
        given_up.push(told);
    }
}

/// All servers of the model, with so much less; `None` where there is nothing to give up.
fn step_down(replicas: &mut [ServerSettings]) -> Option<String> {
    let mut told = None;
    for replica in replicas {
        let (next, step) = ladder::step(replica)?;
        *replica = next;
        told = Some(step);
    }
    told
}

async fn start(
    fleet: &Fleet,
    plan: &ModelPlan,
    replicas: &[ServerSettings],
    by: Option<TraceContext>,
    progress: &Arc<LoadProgress>,
) -> Result<Vec<Arc<Replica>>, Error> {
    let mut started = Vec::new();
    for server in replicas {
        let mut settings = fleet.options.settings.clone();
        settings.server = server.clone();
        let options = LoadOptions {
            settings,
            progress: progress.clone(),
            parent: by,
            alias: Some(plan.name.clone()),
            ..fleet.options.clone()
        };
        match ServerManager::start_server(&plan.model, &options).await {
            Ok(server) => started.push(Arc::new(Replica::new(server))),
            Err(error) => {
                unload(started, UnloadReason::GivenUp, None).await;
                return Err(error);
            }
        }
    }
    Ok(started)
}

/// Stops servers that nobody has asked anything yet. Dropping them would do so too, and hold up all
/// else that this thread has to do.
async fn unload(replicas: Vec<Arc<Replica>>, reason: UnloadReason, freed: Option<u64>) {
    for replica in replicas {
        replica.server.clone().unload(reason, freed).await;
    }
}

/// What its servers take, in bytes.
async fn measure(fleet: &Fleet, replicas: &[Arc<Replica>]) -> Option<u64> {
    let (meter, replicas) = (fleet.meter.clone(), replicas.to_vec());
    let measuring = tokio::task::spawn_blocking(move || meter.measure(&replicas));
    measuring.await.ok()?
}

/// Where a load stands in the queue for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Last,
}

/// Waits until the model may take so many bytes. Models get them in the order in which they ask.
async fn room(fleet: &Arc<Fleet>, member: usize, need: u64, place: Place) -> Result<(), Setback> {
    let budget = fleet.options.settings.serve.memory_budget;
    let budget = budget.map(|bytes| bytes.0);
    let mut changes = fleet.changed.subscribe();
    let _queued = Queued::new(fleet, member, place);
    loop {
        changes.borrow_and_update();
        {
            let mut state = fleet.lock();
            while state.queue.front() == Some(&member) {
                match budget::decide(budget, need, &state.holdings(member)) {
                    Decision::Go => {
                        state.grant(member, need);
                        return Ok(());
                    }
                    Decision::Unload(other) => {
                        fleet.make_go(&mut state, other, UnloadReason::Room);
                    }
                    Decision::Wait => break,
                    Decision::Never { reason } => {
                        return Err(Setback::Failed {
                            reason,
                            would_repeat: true,
                        });
                    }
                }
            }
            let wanted = state.load_of(member).is_some_and(|load| load.wanted);
            if state.closing || (!wanted && state.members[member].waiting == 0) {
                return Err(Setback::Abandoned);
            }
        }
        if changes.changed().await.is_err() {
            return Err(Setback::Abandoned);
        }
    }
}

/// A load in the queue for memory.
struct Queued<'a> {
    fleet: &'a Fleet,
    member: usize,
}

impl<'a> Queued<'a> {
    fn new(fleet: &'a Fleet, member: usize, place: Place) -> Self {
        let mut state = fleet.lock();
        match place {
            Place::First => state.queue.push_front(member),
            Place::Last => state.queue.push_back(member),
        }
        Self { fleet, member }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut state = self.fleet.lock();
        let member = self.member;
        state.queue.retain(|queued| *queued != member);
        // Who was to go for it may stay, unless the next in the queue needs it as well.
        for model in &mut state.members {
            if let Phase::Ready(ready) = &mut model.phase {
                ready
                    .draining
                    .take_if(|reason| *reason == UnloadReason::Room);
            }
        }
        drop(state);
        self.fleet.tell();
    }
}

impl State {
    /// What all others hold of the budget.
    fn holdings(&self, but: usize) -> Vec<Holding> {
        let members = self.members.iter().enumerate();
        members
            .filter(|(place, _)| *place != but)
            .filter_map(|(place, member)| member.holding(place))
            .collect()
    }

    fn grant(&mut self, member: usize, bytes: u64) {
        if let Phase::Loading(loading) = &mut self.members[member].phase {
            loading.granted = Some(bytes);
        }
    }
}

impl Fleet {
    /// A loaded model goes: now, or when its last request is done.
    pub(super) fn make_go(
        self: &Arc<Self>,
        state: &mut State,
        member: usize,
        reason: UnloadReason,
    ) {
        if !matches!(state.members[member].phase, Phase::Ready(_)) {
            return;
        }
        if state.members[member].in_flight == 0 {
            self.begin_unload(state, member, reason);
        } else if let Phase::Ready(ready) = &mut state.members[member].phase {
            ready.draining = Some(reason);
        }
    }
}

/// Unloads all that nobody uses, for one that found no memory. Returns whether there was any.
async fn unload_idle(fleet: &Arc<Fleet>, but: usize) -> bool {
    let mut changes = fleet.changed.subscribe();
    let mut going = Vec::new();
    {
        let mut state = fleet.lock();
        for member in (0..state.members.len()).filter(|member| *member != but) {
            let model = &state.members[member];
            let idle = model.in_flight == 0 && model.waiting == 0 && !model.plan.pin;
            if idle && matches!(model.phase, Phase::Ready(_)) {
                fleet.begin_unload(&mut state, member, UnloadReason::Room);
                going.push(member);
            }
        }
    }
    loop {
        changes.borrow_and_update();
        let leaving = |member: &usize| {
            let state = fleet.lock();
            matches!(state.members[*member].phase, Phase::Unloading { .. })
        };
        if !going.iter().any(leaving) || changes.changed().await.is_err() {
            return !going.is_empty();
        }
    }
}

/// Whoever waits in the fleet looks again when a server changes.
async fn pass_changes_on(
    fleet: std::sync::Weak<Fleet>,
    mut changes: tokio::sync::watch::Receiver<()>,
) {
    while changes.changed().await.is_ok() {
        match fleet.upgrade() {
            Some(fleet) => fleet.tell(),
            None => return,
        }
    }
}

fn is_out_of_memory(error: &Error) -> bool {
    let exit = error.server_error().and_then(|error| error.exit());
    exit.is_some_and(|exit| exit.class == ExitClass::OutOfMemory)
}

fn judge(error: &Error) -> (String, bool) {
    let would_repeat = error.server_error().is_some_and(ServerError::would_repeat);
    (chain(error), would_repeat)
}

/// What failed and why, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
