//! When a request may go on to its model: limits of its key, a place in a bounded queue that is
//! fair between keys, a deadline for the wait.
//!
//! As many requests of a model are passed on as it has slots; the others wait here and not in
//! llama-server, whose queue is unbounded and knows no keys. What takes no slot (tokenising,
//! health) is passed on at once.

mod body;
mod limits;
mod permit;
mod queue;
mod runs;

pub(crate) use permit::Permit;

use crate::guard::{Key, Principal};
use crate::refusal::Refusal;
use axum::body::Body;
use body::{BodyLimits, Held};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use limits::Limits;
use llamatelemetry::LiveServer;
use llamatelemetry_api::Endpoints as _;
use llamatelemetry_settings::ServeSettings;
use permit::Holds;
use queue::{Flow, Queue};
use runs::Runs;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a client wants to wait at most: seconds, or with a unit as settings have it.
const TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");
/// Bytes of a request's JSON that make a token, about.
const BYTES_A_TOKEN: usize = 4;
/// Nobody is sent away for longer, whatever the estimate says.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// A server tells its slots within this time, or they stay unknown.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// Lets requests in. Cloning is cheap and shares the queues.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: RwLock<Rules>,
    held: Arc<Held>,
    limits: Mutex<Limits>,
    queues: Mutex<Queues>,
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    /// Requests that may wait, of all models.
    queue: usize,
    deadline: Duration,
    bodies: BodyLimits,
}

#[derive(Debug, Default)]
struct Queues {
    of_models: BTreeMap<String, Model>,
    waiting: usize,
    numbers: u64,
}

#[derive(Debug, Default)]
struct Model {
    queue: Queue<Waiting>,
    runs: Runs<LiveServer>,
    /// How long a request holds its slot, s, on average; 0: not known yet.
    pace: f64,
}

impl Model {
    /// Counts the slots anew, of the runs that have not ended.
    fn count_slots(&mut self) {
        if let Some(slots) = self.runs.slots() {
            self.queue.set_slots(slots);
        }
    }

    /// Counts the slots anew where a run has ended.
    fn forget_ended(&mut self) {
        if self.runs.forget_ended() {
            self.count_slots();
        }
    }
}

/// A request that waits.
#[derive(Debug)]
struct Waiting {
    wake: oneshot::Sender<Permit>,
    flow: Flow,
    /// Tokens that it was thought to take.
    thought: u64,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost<'a> {
    /// The name that its model is served under.
    pub(crate) model: &'a str,
    pub(crate) work: Work,
    /// Tokens that it will take, as well as can be told before.
    tokens: u64,
}

/// Whether a request takes a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It generates, embeds or ranks.
    Slot,
    /// It is answered beside the slots.
    Light,
}

impl<'a> Cost<'a> {
    /// The cost of a request with this body.
    pub(crate) fn new(model: &'a str, work: Work, body: &[u8]) -> Self {
        Self::of_length(model, work, body.len())
    }

    /// The cost of a request with so many bytes of text.
    pub(crate) fn of_length(model: &'a str, work: Work, bytes: usize) -> Self {
        Self {
            model,
            work,
            tokens: u64::try_from(bytes / BYTES_A_TOKEN).unwrap_or(u64::MAX),
        }
    }
}

/// What one model's requests do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Requests that wait for a slot.
    pub(crate) waiting: usize,
    /// Requests that have one.
    pub(crate) running: usize,
    /// Slots; `None` if not known.
    pub(crate) slots: Option<usize>,
}

impl Admission {
    pub(crate) fn new(settings: &ServeSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                rules: RwLock::new(Rules::new(settings)),
                held: Arc::default(),
                limits: Mutex::default(),
                queues: Mutex::default(),
            }),
        }
    }

    /// Takes new rules; who waits already, waits on by the old ones.
    pub(crate) fn reload(&self, settings: &ServeSettings) {
        *self
            .shared
            .rules
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Rules::new(settings);
    }

    /// The moment until which a request waits: the setting's, or an earlier one that the client
    /// asked for.
    pub(crate) fn deadline(&self, headers: &HeaderMap) -> Result<Instant, Refusal> {
        let mut time = self.rules().deadline;
        if let Some(asked) = headers.get(TIMEOUT) {
            let asked = asked
                .to_str()
                .ok()
                .and_then(llamatelemetry_settings::duration)
                .filter(|asked| !asked.is_zero())
                .ok_or_else(|| {
                    Refusal::new(
                        StatusCode::BAD_REQUEST,
                        "invalid_request_error",
                        "X-Request-Timeout must be a time such as `30`, `30s` or `500ms`",
                    )
                })?;
            time = time.min(asked);
        }
        Ok(Instant::now() + time)
    }

    /// Reads a request's body, within the limits. It weighs until its last clone is dropped.
    pub(crate) async fn read(&self, body: Body, deadline: Instant) -> Result<Bytes, Refusal> {
        body::read(body, self.rules().bodies, &self.shared.held, deadline).await
    }

    /// Bytes of all bodies that are held now.
    #[cfg_attr(not(test), expect(dead_code, reason = "`llt ps` will show it"))]
    pub(crate) fn held_bytes(&self) -> u64 {
        self.shared.held.bytes()
    }

    /// Asks a server for its slots, once a run. Those of all runs that live are a model's slots.
    pub(crate) fn learn_slots(&self, model: &str, run: &Arc<LiveServer>) {
        {
            let mut queues = self.queues();
            let Some(found) = queues.of_models.get_mut(model) else {
                return;
            };
            found.forget_ended();
            if !found.runs.add(run) {
                return;
            }
        }
        let (admission, model, run) = (self.clone(), model.to_owned(), run.clone());
        let asking = async move {
            match tokio::time::timeout(ASK_LIMIT, run.client().props()).await {
                Ok(Ok(props)) => admission.call(&model, |model| {
                    let slots = usize::try_from(props.total_slots).unwrap_or(usize::MAX);
                    model.runs.told(&run, slots);
                    model.forget_ended();
                    model.count_slots();
                }),
                Ok(Err(error)) => tracing::debug!(%error, model, "its slots are not known"),
                Err(_elapsed) => tracing::debug!(model, "it does not tell its slots"),
            }
        };
        // It ends by itself, as the request that asks does.
        drop(Handle::current().spawn(asking));
    }

    /// Says how many requests a model works on at a time. Without it any number is passed on.
    #[cfg(test)]
    fn set_slots(&self, model: &str, slots: usize) {
        self.queues().of_models.entry(model.to_owned()).or_default();
        self.call(model, |model| model.queue.set_slots(slots));
    }

    /// What the requests of each model do.
    pub(crate) fn loads(&self) -> Vec<(String, Load)> {
        let queues = self.queues();
        let of = |model: &Model| Load {
            waiting: model.queue.waiting(),
            running: model.queue.running(),
            slots: model.queue.slots(),
        };
        queues
            .of_models
            .iter()
            .map(|(name, model)| (name.clone(), of(model)))
            .collect()
    }

    /// Lets a request in once its key's limits allow it and it has a slot, until the deadline.
    pub(crate) async fn enter(
        &self,
        principal: &Principal,
        cost: Cost<'_>,
        deadline: Instant,
    ) -> Result<Permit, Refusal> {
        let flow = principal.key().map_or(0, |key| key.id);
        if let Some(key) = principal.key() {
            self.charge(key, cost.tokens)?;
        }
        if cost.work == Work::Light {
            return Ok(Permit::new(self.clone(), flow, cost, Holds::Nothing));
        }
        let (place, called) = match self.line_up(flow, cost) {
            Turn::Now => return Ok(Permit::new(self.clone(), flow, cost, Holds::Slot)),
            Turn::Waits(place, called) => (place, called),
            Turn::Full(pause) => {
                self.refund(flow, cost.tokens);
                return Err(full(pause));
            }
        };
        let outcome = tokio::time::timeout_at(deadline.into(), called).await;
        drop(place);
        match outcome {
            Ok(Ok(permit)) => Ok(permit),
            // Sent away for somebody who has fewer requests here.
            Ok(Err(_)) => {
                self.refund(flow, cost.tokens);
                Err(full(self.queues().pause(cost.model)))
            }
            Err(_) => Err(overloaded(
                "no slot came free in the time that this request may wait",
                self.queues().pause(cost.model),
            )),
        }
    }

    fn charge(&self, key: &Key, tokens: u64) -> Result<(), Refusal> {
        let taken = lock(&self.shared.limits).take(key, tokens, Instant::now());
        taken.map_err(|reached| {
            let message = format!(
                "the limit of this key is reached: {} {} a minute",
                reached.per_minute, reached.what
            );
            Refusal {
                retry_after: Some(reached.pause),
                ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
            }
        })
    }

    /// Gives tokens back that were not used.
    fn refund(&self, flow: Flow, tokens: u64) {
        lock(&self.shared.limits).settle(flow, tokens, 0);
    }

    /// Takes a slot, or a place in the queue. A full one lets in who has fewer in it than somebody
    /// else: the newest of whoever has most is sent away then.
    fn line_up<'a>(&'a self, flow: Flow, cost: Cost<'a>) -> Turn<'a> {
        let limit = self.rules().queue;
        let mut queues = self.queues();
        let queues = &mut *queues;
        // A model's name is copied only once.
        if !queues.of_models.contains_key(cost.model) {
            let name = cost.model.to_owned();
            queues.of_models.insert(name, Model::default());
        }
        if queues.waiting >= limit && !queues.make_room(flow, cost.model) {
            // A free slot is free, however full the queues of other models are.
            let free = queues.of_models.get_mut(cost.model);
            if free.is_some_and(|model| model.queue.take(flow, cost.tokens)) {
                return Turn::Now;
            }
            return Turn::Full(queues.pause(cost.model));
        }
        let number = queues.numbers;
        queues.numbers += 1;
        let Some(model) = queues.of_models.get_mut(cost.model) else {
            return Turn::Full(Duration::ZERO);
        };
        if model.queue.take(flow, cost.tokens) {
            return Turn::Now;
        }
        let (wake, called) = oneshot::channel();
        let waiting = Waiting {
            wake,
            flow,
            thought: cost.tokens,
        };
        model.queue.wait(flow, cost.tokens, number, waiting);
        queues.waiting += 1;
        let place = Place {
            admission: self,
            cost,
            flow,
            number,
        };
        Turn::Waits(place, called)
    }

    /// Calls those whose turn it is, after something changed.
    fn call(&self, model: &str, change: impl FnOnce(&mut Model)) {
        // Permits that nobody waits for any more are dropped, and so given back, where the lock is
        // not held.
        let mut unwanted = Vec::new();
        let mut queues = self.queues();
        let all = &mut *queues;
        let Some(found) = all.of_models.get_mut(model) else {
            return;
        };
        change(found);
        while let Some(Waiting {
            wake,
            flow,
            thought,
        }) = found.queue.next()
        {
            all.waiting -= 1;
            let cost = Cost {
                model,
                work: Work::Slot,
                tokens: thought,
            };
            let permit = Permit::new(self.clone(), flow, cost, Holds::Slot);
            unwanted.extend(wake.send(permit).err());
        }
        drop(queues);
        drop(unwanted);
    }

    fn rules(&self) -> Rules {
        *self
            .shared
            .rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        lock(&self.shared.queues)
    }
}

/// What becomes of a request that wants a slot.
enum Turn<'a> {
    Now,
    Waits(Place<'a>, oneshot::Receiver<Permit>),
    /// It cannot wait either; when asking again is worth it.
    Full(Duration),
}

/// A place in a queue. Dropping it gives the place up.
struct Place<'a> {
    admission: &'a Admission,
    cost: Cost<'a>,
    flow: Flow,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queues = self.admission.queues();
        let model = queues.of_models.get_mut(self.cost.model);
        let left = model.is_some_and(|model| model.queue.leave(self.flow, self.number));
        if left {
            queues.waiting -= 1;
            drop(queues);
            self.admission.refund(self.flow, self.cost.tokens);
        }
    }
}

impl Queues {
    /// Makes room for a request of this key, if another key has more than its share of the queue.
    fn make_room(&mut self, flow: Flow, model: &str) -> bool {
        let own = self
            .of_models
            .get(model)
            .map_or(0, |model| model.queue.waiting_of(flow));
        let longest = self.of_models.values_mut().filter_map(|model| {
            let (flow, length) = model.queue.longest()?;
            Some((length, flow, model))
        });
        let Some((length, other, model)) = longest.max_by_key(|(length, ..)| *length) else {
            return false;
        };
        if other == flow || length <= own + 1 || model.queue.give_up(other).is_none() {
            return false;
        }
        self.waiting -= 1;
        true
    }

    /// When a slot will be free for somebody who asks again, about.
    fn pause(&self, model: &str) -> Duration {
        let Some(model) = self.of_models.get(model) else {
            return Duration::ZERO;
        };
        let slots = model.queue.slots().unwrap_or(1).max(1);
        let before = model.queue.waiting() + 1;
        let seconds = model.pace * before as f64 / slots as f64;
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(LONGEST_PAUSE)
            .min(LONGEST_PAUSE)
    }
}

impl Rules {
    fn new(settings: &ServeSettings) -> Self {
        Self {
            queue: settings.queue,
            deadline: settings.deadline,
            bodies: BodyLimits {
                one: settings.body_limit.0,
                all: settings.body_memory.0,
                patience: settings.patience,
            },
        }
    }
}

fn full(pause: Duration) -> Refusal {
    overloaded("too many requests wait already", pause)
}

fn overloaded(message: &str, pause: Duration) -> Refusal {
    Refusal {
        // Sooner than in a second nobody need ask again.
        retry_after: Some(pause.max(SHORTEST_PAUSE)),
        ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", message)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
