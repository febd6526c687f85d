//! Kills a server that has requests and makes no progress, or that cannot be reached.
//!
//! Progress is whatever comes of a request, and what the slots tell: prompt tokens evaluated,
//! tokens generated. `/health` tells nothing: a wedged server may well answer it. `/slots` is asked
//! only while requests are in flight and nothing came of them, at most every two seconds, because
//! a server that is asked more often does not notice that clients are gone.
//!
//! A server may do well and yet have lost one request: [`lost`] finds those. Only they are cut off
//! then, as if their connection had broken.

mod lost;

use super::lease::has_socket;
use super::pulse::Pulse;
use super::replica::Replica;
use llamatelemetry::LiveServer;
use llamatelemetry::server::Fault;
use llamatelemetry_api::{Endpoints as _, Slot};
use lost::Sightings;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Slots are asked so often at the most.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// While its processor time grows a server has so many times as long: a batch of a long prompt
/// shows nothing until it is done.
const COMPUTING_FACTOR: u32 = 5;
/// Less processor time than this share of one processor is no computing.
const COMPUTING_SHARE: f64 = 0.2;

/// Watches one server until it is unloaded.
pub(super) async fn guard(replica: Weak<Replica>, limit: Duration) {
    let mut watch = Watch::new(limit);
    let mut pid = None;
    loop {
        tokio::time::sleep(ASK_EVERY.min(limit)).await;
        let Some(replica) = replica.upgrade() else {
            return;
        };
        let run = replica.run();
        lose_former(&replica, run.as_deref());
        let Some(run) = run else {
            continue;
        };
        if pid != Some(run.process().pid()) {
            pid = Some(run.process().pid());
            watch = Watch::new(limit);
        }
        if !has_socket(run.client().address()) {
            kill(&replica, &run, Fault::Unreachable);
            continue;
        }
        let silent = replica.silent(limit);
        let since = replica.last_progress();
        let all_silent = replica.in_flight() > 0 && since.elapsed() >= ASK_EVERY.min(limit);
        if !all_silent {
            watch.progressed();
        }
        if silent.is_empty() {
            watch.sightings = Sightings::default();
        }
        if !all_silent && silent.is_empty() || !watch.may_ask() {
            continue;
        }
        let seen = Seen {
            slots: slots(&run).await,
            processor_time: processor_time(&run).await,
        };
        for pulse in watch.find_lost(Instant::now(), &silent, &seen) {
            lose(&replica, pulse);
        }
        // Something may have come meanwhile.
        if all_silent
            && replica.in_flight() > 0
            && watch.look(Instant::now(), replica.last_progress(), &seen) == Verdict::Stalled
        {
            kill(&replica, &run, Fault::Stalled);
        }
    }
}

/// Requests to a run that has ended get no answer. Their connections say so, as a rule; where they
/// have not until the next look, it is said here.
fn lose_former(replica: &Replica, run: Option<&LiveServer>) {
    let pid = run.map(|run| run.process().pid());
    for pulse in replica.silent(ASK_EVERY) {
        if Some(pulse.pid()) != pid && pulse.orphan() {
            lose(replica, &pulse);
        }
    }
}

fn lose(replica: &Replica, pulse: &Pulse) {
    let (pid, model) = (pulse.pid(), &replica.server.model().name);
    tracing::warn!(pid, model, "llama-server has lost a request: giving it up");
    pulse.lose();
}

fn kill(replica: &Replica, run: &LiveServer, fault: Fault) {
    let (pid, model) = (run.process().pid(), &replica.server.model().name);
    match fault {
        Fault::Stalled => tracing::warn!(pid, model, "llama-server makes no progress: killing it"),
        Fault::Unreachable => {
            tracing::warn!(pid, model, "llama-server's socket is gone: killing it");
        }
    }
    run.process().kill_for(fault);
}

/// What the slots do; `None` where the server does not answer in time.
async fn slots(run: &LiveServer) -> Option<Vec<SlotState>> {
    let slots = tokio::time::timeout(ASK_EVERY, run.client().slots()).await;
    let slots = slots.ok()?.ok()?;
    Some(slots.iter().map(SlotState::of).collect())
}

async fn processor_time(run: &LiveServer) -> Option<Duration> {
    let process = run.process().clone();
    let footprint = tokio::task::spawn_blocking(move || process.footprint());
    Some(footprint.await.ok()??.processor_time)
}

/// What is seen of a server at one moment.
#[derive(Debug, Clone, Default)]
struct Seen {
    slots: Option<Vec<SlotState>>,
    processor_time: Option<Duration>,
}

/// How far one slot is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SlotState {
    busy: bool,
    task: Option<i64>,
    evaluated: Option<u64>,
    generated: Option<u64>,
}

impl SlotState {
    fn of(slot: &Slot) -> Self {
        let next = slot.extra.get("next_token");
        Self {
            busy: slot.is_processing,
            task: slot.id_task,
            evaluated: slot.n_prompt_tokens_processed,
            generated: next.and_then(|next| next.get(0)?.get("n_decoded")?.as_u64()),
        }
    }
}

/// What is thought of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    Stalled,
}

/// What was seen so far of one run.
#[derive(Debug)]
struct Watch {
    limit: Duration,
    last: Option<Seen>,
    asked: Option<Instant>,
    /// When the slots showed progress last.
    slots_moved: Option<Instant>,
    /// The processor time at the look before.
    computed: Option<Duration>,
    /// What the slots worked on, while single requests are silent.
    sightings: Sightings,
}

impl Watch {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            last: None,
            asked: None,
            slots_moved: None,
            computed: None,
            sightings: Sightings::default(),
        }
    }

    /// Something came of a request: nothing needs to be asked.
    fn progressed(&mut self) {
        self.last = None;
        self.slots_moved = None;
    }

    fn may_ask(&mut self) -> bool {
        let now = Instant::now();
        // A timer may fire a little early.
        let due = self
            .asked
            .is_none_or(|asked| now.duration_since(asked) + Duration::from_millis(20) >= ASK_EVERY);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// The requests among the silent ones that the server has lost.
    fn find_lost<'a>(
        &mut self,
        now: Instant,
        silent: &'a [Arc<Pulse>],
        seen: &Seen,
    ) -> Vec<&'a Arc<Pulse>> {
        let before = std::mem::replace(&mut self.computed, seen.processor_time);
        let computes = computes(before, seen.processor_time);
        let slots = seen.slots.as_deref();
        self.sightings
            .look(now, slots, silent, self.limit, computes)
    }

    /// Looks at a server with requests of which nothing came since `progressed`.
    fn look(&mut self, now: Instant, progressed: Instant, seen: &Seen) -> Verdict {
        let last = self.last.replace(seen.clone());
        let moved = match (
            &seen.slots,
            last.as_ref().and_then(|last| last.slots.as_ref()),
        ) {
            // It answers and works on nothing: what it does is none of its slots' work.
            (Some(slots), _) if !slots.iter().any(|slot| slot.busy) => true,
            (Some(slots), Some(before)) => slots != before,
            // The first look, or the first answer for long.
            (Some(_), None) => true,
            (None, _) => false,
        };
        if moved {
            self.slots_moved = Some(now);
            return Verdict::Fine;
        }
        let since = self
            .slots_moved
            .map_or(progressed, |moved| moved.max(progressed));
        let computes = last.is_some_and(|last| computes(last.processor_time, seen.processor_time));
        let limit = if computes {
            self.limit.saturating_mul(COMPUTING_FACTOR)
        } else {
            self.limit
        };
        if now.saturating_duration_since(since) >= limit {
            Verdict::Stalled
        } else {
            Verdict::Fine
        }
    }
}

/// Whether a server computed between two looks, which lie two seconds apart at the least.
fn computes(before: Option<Duration>, after: Option<Duration>) -> bool {
    let Some((before, after)) = before.zip(after) else {
        return false;
    };
    after.saturating_sub(before) >= ASK_EVERY.mul_f64(COMPUTING_SHARE)
}

#[cfg(test)]
mod tests;
