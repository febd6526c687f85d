//! The models that are served: loaded when they are asked for, unloaded when they are not or when
//! their memory is needed, started again when they make no progress.
//!
//! One lock holds what all models do; nothing is waited for under it. Whoever waits (a request for
//! its model, a load for memory) looks again each time something changed.
//!
//! | module | its one job |
//! |---|---|
//! | [`plan`] | from names and settings to what is launched |
//! | [`member`] | one model and what it does now |
//! | [`bring`] | one load: files, memory, launch, and the ladder down when memory is short |
//! | [`budget`], [`ladder`] | pure: who goes for whom; what is given up |
//! | [`lease`] | the right to use a server |
//! | [`pulse`] | the progress of one request |
//! | [`watchdog`] | kills what makes no progress, gives up requests that were lost |
//! | [`keeper`] | unloads what is idle or too much |
//! | [`listing`] | `/v1/models` |

mod bring;
mod budget;
mod error;
mod keeper;
mod ladder;
mod lease;
mod listing;
mod member;
mod memory;
mod plan;
mod progress;
mod pulse;
mod replica;
mod watchdog;

pub(crate) use error::FleetError;
pub(crate) use lease::Lease;
pub(crate) use listing::{ModelView, routes};

use crate::GatewayError;
use lease::Terms;
use llamatelemetry::server::{ExitClass, SupervisorState};
use llamatelemetry::{LoadOptions, TraceContext, UnloadReason};
use llamatelemetry_record::{Wait, WaitCause};
use member::{Loading, Member, Phase, Ready};
use memory::Meter;
use progress::LoadProgress;
use replica::Replica;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The models of one gateway.
#[derive(Debug)]
pub(crate) struct Fleet {
    options: LoadOptions,
    meter: Meter,
    runtime: Handle,
    state: Mutex<State>,
    /// Told whenever somebody who waits might go on.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Member>,
    /// Models that wait for memory, in the order in which they came.
    queue: VecDeque<usize>,
    tasks: JoinSet<()>,
    closing: bool,
}

/// What a request finds.
enum Found {
    /// A server, and the request is counted in.
    Seat(Lease),
    /// It has to wait.
    Nothing,
}

impl Fleet {
    /// Plans the models and loads those that are to be there from the start. Fails where none of
    /// these could be loaded.
    pub(crate) async fn start(
        models: &[String],
        options: &LoadOptions,
    ) -> Result<Arc<Self>, GatewayError> {
        let plans = plan::plans(models, &options.settings)?;
        let meter = tokio::task::spawn_blocking(Meter::open).await;
        let fleet = Arc::new(Self {
            options: options.clone(),
            meter: meter.unwrap_or_else(|_| Meter::none()),
            runtime: Handle::current(),
            state: Mutex::new(State {
                members: plans.into_iter().map(Member::new).collect(),
                ..State::default()
            }),
            changed: watch::Sender::new(()),
        });
        fleet.spawn(keeper::keep(Arc::downgrade(&fleet)));
        fleet.preload().await?;
        Ok(fleet)
    }

    async fn preload(self: &Arc<Self>) -> Result<(), GatewayError> {
        let mut changes = self.changed.subscribe();
        let wanted: Vec<usize> = {
            let mut state = self.lock();
            let places = 0..state.members.len();
            let wanted = places.filter(|place| state.members[*place].plan.preload);
            let wanted: Vec<usize> = wanted.collect();
            for member in &wanted {
                self.begin_load(&mut state, *member, None, true);
            }
            wanted
        };
        loop {
            changes.borrow_and_update();
            {
                let state = self.lock();
                let phases = || wanted.iter().map(|member| &state.members[*member]);
                if !phases().any(|member| matches!(member.phase, Phase::Loading(_))) {
                    let failed = phases().find_map(|member| match &member.phase {
                        Phase::Failed { reason, .. } => Some((&member.plan.name, reason)),
                        _ => None,
                    });
                    let loaded = phases().any(|member| matches!(member.phase, Phase::Ready(_)));
                    return match failed {
                        Some((model, reason)) if !loaded => Err(GatewayError::Model {
                            model: model.clone(),
                            reason: reason.clone(),
                        }),
                        _ => Ok(()),
                    };
                }
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// A lease on the model that a request names, waiting until `deadline` for its load or
    /// restart. Where one model is served it answers to every name, as llama-server does. A load
    /// that the request causes is part of the trace of its span, `by`.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        model: Option<&str>,
        deadline: Instant,
        by: Option<TraceContext>,
    ) -> Result<Lease, FleetError> {
        let member = self.lock().find(model)?;
        self.seat(Terms {
            member,
            deadline,
            by,
        })
        .await
    }

    async fn seat(self: &Arc<Self>, terms: Terms) -> Result<Lease, FleetError> {
        let mut changes = self.changed.subscribe();
        let called = (Instant::now(), SystemTime::now());
        let patience = self.options.settings.serve.wait_for_load;
        let mut waiting = None;
        let mut loaded = false;
        loop {
            changes.borrow_and_update();
            let waited = waiting.is_some() && loaded;
            if let Found::Seat(lease) = self.look(terms, waited.then_some(called))? {
                return Ok(lease);
            }
            waiting.get_or_insert_with(|| Waiting::new(self.clone(), terms.member));
            let loading = self.lock().load_of(terms.member).is_some();
            loaded |= loading;
            let patience = patience.filter(|_| loading);
            let until = patience.map_or(terms.deadline, |time| terms.deadline.min(called.0 + time));
            if tokio::time::timeout_at(until.into(), changes.changed())
                .await
                .is_err()
            {
                return Err(self.lock().why_not(terms.member));
            }
        }
    }

    /// Looks for a server of the model, and has one started where there is none. `waited` is since
    /// when the request waits for a load.
    fn look(
        self: &Arc<Self>,
        terms: Terms,
        waited: Option<(Instant, SystemTime)>,
    ) -> Result<Found, FleetError> {
        let mut state = self.lock();
        if state.closing {
            return Err(FleetError::Closing);
        }
        let member = &mut state.members[terms.member];
        let model = &member.plan.name;
        match &mut member.phase {
            Phase::Loading(_) | Phase::Unloading { .. } => Ok(Found::Nothing),
            Phase::Failed { reason, until } if Instant::now() < *until => Err(FleetError::Failed {
                model: model.clone(),
                reason: reason.clone(),
                retry_after: until.saturating_duration_since(Instant::now()),
            }),
            Phase::Unloaded | Phase::Failed { .. } => {
                self.begin_load(&mut state, terms.member, terms.by, false);
                Ok(Found::Nothing)
            }
            Phase::Ready(ready) if ready.draining.is_some() => Ok(Found::Nothing),
            Phase::Ready(ready) => {
                let Some((replica, run)) = ready.choose() else {
                    if let Some(reason) = ready.all_given_up() {
                        self.give_up(&mut state, terms.member, reason);
                        drop(state);
                        return self.look(terms, waited);
                    }
                    return Ok(Found::Nothing);
                };
                member.in_flight += 1;
                member.last_used = Instant::now();
                let pulse = replica.enter(&run);
                let waits = waited.into_iter().map(|(called, started_at)| Wait {
                    cause: WaitCause::ModelLoad,
                    started_at,
                    duration: called.elapsed(),
                    exit: None,
                    span: Some(replica.server.load_span()),
                });
                let waits = waits.collect();
                drop(state);
                let lease = Lease::new(self.clone(), terms, replica, (run, pulse), waits);
                Ok(Found::Seat(lease))
            }
        }
    }

    /// A request has ended; whether something came of it.
    fn release(self: &Arc<Self>, member: usize, of_use: bool) {
        let mut state = self.lock();
        let others_wait = !state.queue.is_empty();
        let member_state = &mut state.members[member];
        member_state.in_flight = member_state.in_flight.saturating_sub(1);
        member_state.last_used = Instant::now();
        if of_use {
            member_state.failures = 0;
        }
        let idle = member_state.in_flight == 0;
        let leaving = match &member_state.phase {
            Phase::Ready(ready) => ready.draining,
            _ => None,
        };
        if let Some(reason) = leaving.filter(|_| idle) {
            self.begin_unload(&mut state, member, reason);
        }
        drop(state);
        if idle && others_wait {
            self.tell();
        }
    }

    fn begin_load(
        self: &Arc<Self>,
        state: &mut State,
        member: usize,
        by: Option<TraceContext>,
        wanted: bool,
    ) {
        let progress = Arc::new(LoadProgress::new(self.options.progress.clone()));
        state.members[member].phase = Phase::Loading(Loading {
            progress: progress.clone(),
            granted: None,
            wanted,
        });
        let load = bring::bring(self.clone(), member, by, progress);
        state.spawn(load, &self.runtime);
    }

    /// The model goes, whose requests are all done. What its servers take is measured before.
    fn begin_unload(self: &Arc<Self>, state: &mut State, member: usize, reason: UnloadReason) {
        let model = &mut state.members[member];
        if !matches!(model.phase, Phase::Ready(_)) {
            return;
        }
        let bytes = model.measured.unwrap_or(0);
        let before = std::mem::replace(&mut model.phase, Phase::Unloading { bytes });
        let Phase::Ready(ready) = before else {
            return;
        };
        tracing::info!(
            model = model.plan.name,
            reason = reason.as_str(),
            "unloading"
        );
        let freed = model.measured;
        let fleet = self.clone();
        let unload = async move {
            let alone = ready.replicas.len() == 1;
            for replica in ready.replicas {
                let freed = freed.filter(|_| alone);
                replica.server.clone().unload(reason, freed).await;
            }
            fleet.lock().members[member].phase = Phase::Unloaded;
            fleet.tell();
        };
        state.spawn(unload, &self.runtime);
    }

    /// Its servers are not started again.
    fn give_up(self: &Arc<Self>, state: &mut State, member: usize, reason: String) {
        let model = &mut state.members[member];
        let before = std::mem::replace(&mut model.phase, Phase::Unloaded);
        let Phase::Ready(ready) = before else {
            return;
        };
        let exits = ready
            .replicas
            .iter()
            .filter_map(|replica| replica.server.last_exit());
        let short = exits
            .into_iter()
            .any(|exit| exit.class == ExitClass::OutOfMemory);
        if short {
            model.rungs += 1;
        }
        tracing::warn!(
            model = model.plan.name,
            reason,
            "a model is not started again"
        );
        model.failed(reason, !short);
        let end = async move {
            for replica in ready.replicas {
                let server = replica.server.clone();
                server.unload(UnloadReason::GivenUp, None).await;
            }
        };
        state.spawn(end, &self.runtime);
        self.tell();
    }

    /// The name under which the model is served that a request names.
    pub(crate) fn name_of(&self, model: Option<&str>) -> Result<String, FleetError> {
        let state = self.lock();
        let member = state.find(model)?;
        Ok(state.members[member].plan.name.clone())
    }

    /// What a request for this model has to wait for now; `None` where it is seated, or refused, at
    /// once.
    pub(crate) fn wait_for(&self, model: &str) -> Option<WaitCause> {
        let state = self.lock();
        let member = state.find(Some(model)).ok()?;
        match &state.members[member].phase {
            Phase::Failed { until, .. } if Instant::now() < *until => None,
            Phase::Ready(ready) if ready.draining.is_none() => {
                let mut servers = ready.replicas.iter();
                let runs = servers.any(|replica| replica.run().is_some());
                (!runs).then_some(WaitCause::Restart)
            }
            _ => Some(WaitCause::ModelLoad),
        }
    }

    /// Has a model unloaded once its requests are done; those that come meanwhile have it loaded
    /// again. Returns whether it is the only one that is served.
    pub(crate) fn unload(self: &Arc<Self>, model: &str) -> Result<bool, FleetError> {
        let mut state = self.lock();
        let names = || state.members.iter().map(|member| member.plan.name.as_str());
        let known = names().collect::<Vec<_>>().join(", ");
        let place = state
            .members
            .iter()
            .position(|member| member.plan.answers_to(model));
        let place = place.ok_or_else(|| FleetError::Unknown {
            model: model.to_owned(),
            known,
        })?;
        let only = state.members.len() == 1;
        if !only {
            self.make_go(&mut state, place, UnloadReason::Asked);
        }
        Ok(only)
    }

    /// The names of the models.
    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.lock();
        let names = state.members.iter().map(|member| member.plan.name.clone());
        names.collect()
    }

    /// Lets nobody in any more and stops all servers, whoever still uses them.
    pub(crate) async fn stop(self: Arc<Self>) {
        let (replicas, mut tasks) = {
            let mut state = self.lock();
            state.closing = true;
            let mut replicas = Vec::new();
            for member in &mut state.members {
                let freed = member.measured;
                let phase = std::mem::replace(&mut member.phase, Phase::Unloaded);
                if let Phase::Ready(ready) = phase {
                    let alone = ready.replicas.len() == 1;
                    let freed = freed.filter(|_| alone);
                    replicas.extend(ready.replicas.into_iter().map(|replica| (replica, freed)));
                }
            }
            (replicas, std::mem::take(&mut state.tasks))
        };
        self.tell();
        let mut stops = JoinSet::new();
        for (replica, freed) in replicas {
            stops.spawn(replica.server.clone().unload(UnloadReason::Shutdown, freed));
        }
        while stops.join_next().await.is_some() {}
        tasks.shutdown().await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.lock().spawn(task, &self.runtime);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits is to look again.
    fn tell(&self) {
        self.changed.send_replace(());
    }
}

impl State {
    /// The place of the model of this name.
    fn find(&self, model: Option<&str>) -> Result<usize, FleetError> {
        let known = || {
            let names = self.members.iter().map(|member| member.plan.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        match (self.members.len(), model) {
            (0, _) => Err(FleetError::Empty),
            (1, _) => Ok(0),
            (_, None) => {
                // Requests that name none mean the one that is there.
                let ready = |member: &Member| matches!(member.phase, Phase::Ready(_));
                let mut there =
                    (0..self.members.len()).filter(|place| ready(&self.members[*place]));
                match (there.next(), there.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(FleetError::Unnamed { known: known() }),
                }
            }
            (_, Some(model)) => {
                let named = |name: &str| {
                    let mut members = self.members.iter();
                    members.position(|member| member.plan.answers_to(name))
                };
                // Clients of Ollama's API add a tag to every name.
                named(model)
                    .or_else(|| named(model.strip_suffix(":latest")?))
                    .ok_or_else(|| FleetError::Unknown {
                        model: model.to_owned(),
                        known: known(),
                    })
            }
        }
    }

    fn load_of(&self, member: usize) -> Option<&Loading> {
        match &self.members[member].phase {
            Phase::Loading(loading) => Some(loading),
            _ => None,
        }
    }

    /// Why a request that may wait no longer has no server.
    fn why_not(&self, member: usize) -> FleetError {
        let member = &self.members[member];
        let model = member.plan.name.clone();
        match &member.phase {
            Phase::Loading(loading) => FleetError::Loading {
                model,
                state: loading.progress.state(),
                retry_after: loading.progress.retry_after(),
            },
            Phase::Failed { reason, until } => FleetError::Failed {
                model,
                reason: reason.clone(),
                retry_after: until.saturating_duration_since(Instant::now()),
            },
            Phase::Ready(ready) if ready.draining.is_none() => FleetError::Restarting {
                model,
                reason: ready.why_down(),
            },
            _ => FleetError::Restarting {
                model,
                reason: "it makes room for another model".into(),
            },
        }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static, runtime: &Handle) {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn_on(task, runtime);
    }
}

impl Ready {
    /// The server with the least to do among those that run; equals take turns.
    fn choose(&mut self) -> Option<(Arc<Replica>, Arc<llamatelemetry::LiveServer>)> {
        let count = self.replicas.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let running = turns.filter_map(|place| Some((place, self.replicas[place].run()?)));
        let (place, run) = running.min_by_key(|(place, _)| self.replicas[*place].in_flight())?;
        self.turn = (place + 1) % count;
        Some((self.replicas[place].clone(), run))
    }

    /// Why none of its servers is started again, if that is so.
    fn all_given_up(&self) -> Option<String> {
        let reasons = self
            .replicas
            .iter()
            .map(|replica| match replica.server.state() {
                SupervisorState::GaveUp { reason } => Some(reason),
                SupervisorState::Stopped => Some("it was stopped".to_owned()),
                _ => None,
            });
        reasons.collect::<Option<Vec<_>>>()?.pop()
    }

    fn why_down(&self) -> String {
        let mut reasons = self
            .replicas
            .iter()
            .filter_map(|replica| match replica.server.state() {
                SupervisorState::Restarting { reason, .. } => Some(reason),
                _ => None,
            });
        reasons.next().unwrap_or_else(|| "it has just ended".into())
    }
}

/// A request that waits for a model: it keeps the load from being given up.
struct Waiting {
    fleet: Arc<Fleet>,
    member: usize,
}

impl Waiting {
    fn new(fleet: Arc<Fleet>, member: usize) -> Self {
        fleet.lock().members[member].waiting += 1;
        Self { fleet, member }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.fleet.lock();
        let member = &mut state.members[self.member];
        member.waiting = member.waiting.saturating_sub(1);
        let last = member.waiting == 0;
        drop(state);
        if last {
            self.fleet.tell();
        }
    }
}
