//! One served model and what was read of it.

use super::carried::Carried;
use super::exposition;
use super::slots::{self, Slot};
use crate::metrics::attributes::{Attributes, Value};
use crate::metrics::names::Id;
use crate::metrics::registry::Registry;
use crate::metrics::{Metrics, now};
use llamatelemetry_record::{ContextPool, ServedModel};
use serde::Deserialize;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// `/slots` is asked no more often: polled faster, the server does not notice clients that left.
const SLOTS_APART: Duration = Duration::from_secs(2);

/// States of a server, not known while it is not there.
const STATES: &[Id] = &[
    Id::ServerLongest,
    Id::ServerBusySlots,
    Id::ServerProcessing,
    Id::ServerDeferred,
    Id::ServerSleeping,
];
/// States of its context, gone while it sleeps.
const CONTEXT: &[Id] = &[
    Id::ServerSlots,
    Id::SlotTokens,
    Id::KvTokens,
    Id::KvLimit,
    Id::KvUtilization,
];
const MODEL: &str = "gen_ai.request.model";

#[derive(Debug, Deserialize)]
struct Props {
    /// Builds that cannot sleep do not say it.
    #[serde(default)]
    is_sleeping: bool,
}

/// One served model.
pub(super) struct Watched {
    served: Weak<dyn ServedModel>,
    model: String,
    carried: Carried,
    /// Something was counted since the slots were last asked.
    moved: bool,
    slots_at: Option<Instant>,
}

/// What became of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The server works, or did since the last look.
    Busy,
    /// It did not, or sleeps, or is not there.
    Quiet,
    /// Nobody holds the model any more.
    Gone,
}

impl Watched {
    pub(super) fn new(served: &Arc<dyn ServedModel>) -> Self {
        Self {
            model: served.model().to_owned(),
            served: Arc::downgrade(served),
            carried: Carried::default(),
            moved: true,
            slots_at: None,
        }
    }

    /// Reads what can be read without waking the model.
    pub(super) fn look(&mut self, metrics: &Metrics) -> Look {
        let Some(served) = self.served.upgrade() else {
            self.forget(metrics, &[STATES, CONTEXT]);
            return Look::Gone;
        };
        // Neither of the two wakes a model; `/slots` does, and keeps one awake.
        let run = served.run();
        let props = run.and_then(|_| served.get("/props").ok());
        let props = props.and_then(|body| serde_json::from_slice::<Props>(&body).ok());
        let (Some(run), Some(props)) = (run, props) else {
            self.forget(metrics, &[STATES, CONTEXT]);
            return Look::Quiet;
        };
        let sleeping = f64::from(u8::from(props.is_sleeping));
        let attributes = self.attributes();
        metrics.change(|registry| registry.set(Id::ServerSleeping, &attributes, now(), sleeping));
        let mut moved = std::mem::take(&mut self.moved);
        let processing = served
            .get("/metrics")
            .ok()
            .and_then(|body| String::from_utf8(body).ok())
            // It may have ended and begun anew meanwhile: then its counters are the next run's.
            .filter(|_| served.run() == Some(run))
            .map(|text| self.counters(metrics, run, &text));
        let worked = std::mem::take(&mut self.moved);
        moved |= worked;
        if props.is_sleeping {
            self.forget(metrics, &[CONTEXT]);
            self.moved = true;
            return Look::Quiet;
        }
        let busy = processing.is_some_and(|processing| processing > 0.0);
        // A server that works cannot fall asleep within the moment until it is asked: that takes
        // a second of idleness at least.
        let safe = busy || !served.may_sleep();
        let due = self.slots_at.is_none_or(|at| at.elapsed() >= SLOTS_APART);
        self.moved = moved;
        if safe && due && (busy || moved) {
            self.slots_at = Some(Instant::now());
            let slots = served.get("/slots").ok();
            if let Some(slots) = slots.and_then(|body| slots::parse(&body)) {
                self.moved = busy;
                self.slots(metrics, &slots, served.context());
            }
        }
        if busy || worked {
            Look::Busy
        } else {
            Look::Quiet
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes::default().with(MODEL, self.model.as_str())
    }

    /// Takes over what `/metrics` says, and returns how many requests are worked on.
    fn counters(&mut self, metrics: &Metrics, run: u64, text: &str) -> f64 {
        let attributes = self.attributes();
        let mut processing = 0.0;
        self.carried.enter(run);
        metrics.change(|registry| {
            for sample in exposition::samples(text) {
                if let Some(id) = exposition::counter(sample.name) {
                    let (total, moved) = self.carried.total(id, sample.position, sample.value);
                    self.moved |= moved;
                    let attributes =
                        attributes.with_some("llamacpp.draft.position", sample.position);
                    registry.set(id, &attributes, now(), total);
                } else if let Some(id) = exposition::state(sample.name) {
                    registry.set(id, &attributes, now(), sample.value);
                    if id == Id::ServerProcessing {
                        processing = sample.value;
                    }
                }
            }
        });
        processing
    }

    fn slots(&self, metrics: &Metrics, slots: &[Slot], pool: ContextPool) {
        let attributes = self.attributes();
        let busy = slots.iter().filter(|slot| slot.is_processing).count();
        let used: u64 = slots.iter().map(|slot| slot.tokens).sum();
        let room = slots::room(slots, pool);
        self.forget(metrics, &[CONTEXT]);
        metrics.change(|registry| {
            let mut set = |id, attributes: &Attributes, value: f64| {
                registry.set(id, attributes, now(), value);
            };
            for (state, count) in [("busy", busy), ("idle", slots.len() - busy)] {
                let attributes = attributes.with("llamacpp.slot.state", state);
                set(Id::ServerSlots, &attributes, count as f64);
            }
            for slot in slots {
                let attributes = attributes.with("llamacpp.slot.id", slot.id);
                set(Id::SlotTokens, &attributes, slot.tokens as f64);
            }
            set(Id::KvTokens, &attributes, used as f64);
            if let Some(room) = room.filter(|room| *room > 0) {
                set(Id::KvLimit, &attributes, room as f64);
                // Shared prefixes count for each slot: never more than all of it.
                let share = (used as f64 / room as f64).min(1.0);
                set(Id::KvUtilization, &attributes, share);
            }
        });
    }

    /// What is not known any more is not told any more.
    fn forget(&self, metrics: &Metrics, groups: &[&[Id]]) {
        let model = Value::from(self.model.as_str());
        metrics.change(|registry: &mut Registry| {
            for id in groups.iter().copied().flatten() {
                registry.remove(*id, (MODEL, &model));
            }
        });
    }
}
