//! Which of the server's tasks is which of our requests.
//!
//! llama-server numbers its tasks and tells nobody but its log. A request's task is the one whose
//! launch line falls between sending the request and its first delta and beside no other such
//! line; where several do, the one launched when the response headers came. A doubt is left a
//! doubt: then slot, marks and log lines of the request stay unknown.

use crate::moment::Moment;
use llamatelemetry_record::{LoggedLine, Mark, MarkKind, PhaseClock, SpanId, TraceContext};
use llamatelemetry_server::{SlotEvent, SlotLine};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Launches that are remembered: more than there are slots, several times over.
const LAUNCHES_KEPT: usize = 1024;
/// Marks of one task at most.
const MARKS_KEPT: usize = 128;
/// Requests that ended before their launch was told, at most.
const ENDED_KEPT: usize = 32;
/// Lines that wait for their request to be known, at most.
const LINES_HELD: usize = 256;
/// A slot's launch line and the response headers leave the server together; so far apart they may
/// arrive here.
const LAUNCH_LINE_SKEW: Duration = Duration::from_millis(2);

/// Which of the server's tasks is which of our requests.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Requests in flight.
    requests: Vec<InFlight>,
    /// Requests that ended before their launch was told, oldest first: their lines may still come.
    ended: VecDeque<(InFlight, PhaseClock, Option<u32>)>,
    /// The last launches, oldest first.
    launches: VecDeque<Launch>,
    /// Lines of tasks whose request is not known yet, oldest first.
    held: VecDeque<(TaskId, LoggedLine)>,
}

/// A task of one run of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TaskId {
    pid: u32,
    task: i64,
}

#[derive(Debug)]
struct InFlight {
    pid: u32,
    context: TraceContext,
    claimed: bool,
}

#[derive(Debug)]
struct Launch {
    id: TaskId,
    slot: u32,
    at: Instant,
    /// The request whose task it is, once that is known.
    request: Option<TraceContext>,
    marks: Vec<(Instant, MarkKind)>,
    /// When its slot was free again, and how many tokens its context held.
    released: Option<(Instant, Option<u64>)>,
}

/// What the log told of a request.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) slot: Option<u32>,
    pub(crate) marks: Vec<Mark>,
    /// When its slot was free again, and how many tokens its context held.
    pub(crate) released: Option<(Instant, Option<u64>)>,
}

impl Tasks {
    /// A request is sent to the run of this process.
    pub(crate) fn begin(&self, pid: u32, context: TraceContext) {
        self.lock().requests.push(InFlight {
            pid,
            context,
            claimed: false,
        });
    }

    /// A line arrived; it was written at this moment. Returns the lines that can be passed on.
    pub(crate) fn logged(
        &self,
        pid: u32,
        at: Instant,
        text: &str,
        line: LoggedLine,
    ) -> Vec<LoggedLine> {
        let Some(SlotLine {
            slot,
            task: Some(task),
            event,
        }) = SlotLine::read(text)
        else {
            return vec![line];
        };
        let id = TaskId { pid, task };
        let mut state = self.lock();
        match event {
            Some(SlotEvent::Launched) => {
                let launch = Launch {
                    id,
                    slot,
                    at,
                    request: None,
                    marks: vec![(at, MarkKind::SlotAcquired { slot })],
                    released: None,
                };
                state.remember(launch);
                state.claim_late();
                self.changed.notify_all();
            }
            Some(SlotEvent::Released { tokens }) => {
                state.release_slot(id, at, tokens);
                self.changed.notify_all();
            }
            Some(event) => state.mark(id, at, event),
            None => {}
        }
        state.pass_on(id, line)
    }

    /// The first delta of a request came: by now its launch is told, as a rule. Returns the lines
    /// that waited for it.
    pub(crate) fn first_delta(&self, request: SpanId, clock: &PhaseClock) -> Vec<LoggedLine> {
        let mut state = self.lock();
        state.claim(request, clock, None);
        state.release()
    }

    /// Whether the task of a request is known, or will never be.
    pub(crate) fn is_known(&self, request: SpanId, clock: &PhaseClock) -> bool {
        self.lock().claim(request, clock, None)
    }

    /// The slot that works on a request, once its launch is told.
    pub(crate) fn slot(&self, request: SpanId, clock: &PhaseClock) -> Option<u32> {
        let mut state = self.lock();
        state.claim(request, clock, None);
        let mut launches = state.launches.iter().rev();
        Some(launches.find(|launch| launch.is_of(request))?.slot)
    }

    /// Waits for the launch line of a request that is not known yet, at most so long.
    pub(crate) fn wait(&self, request: SpanId, clock: &PhaseClock, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.claim(request, clock, None) || left.is_zero() {
                return;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the slot of a request is free again, at most so long.
    pub(crate) fn wait_released(&self, request: SpanId, clock: &PhaseClock, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            state.claim(request, clock, None);
            let mut launches = state.launches.iter();
            let free = launches.any(|launch| launch.is_of(request) && launch.released.is_some());
            if free || left.is_zero() {
                return;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// A request ended. `slot` is what the answer says of its slot, if it does.
    pub(crate) fn end(
        &self,
        request: SpanId,
        clock: &PhaseClock,
        slot: Option<u32>,
        sent: Moment,
    ) -> (Told, Vec<LoggedLine>) {
        let mut state = self.lock();
        if let Some(slot) = slot {
            state.contradict(request, slot);
        }
        state.claim(request, clock, slot);
        let mut launches = state.launches.iter().rev();
        let launch = launches.find(|launch| launch.is_of(request));
        let told = launch.map_or(Told::default(), |launch| Told {
            slot: Some(launch.slot),
            released: launch.released,
            marks: launch
                .marks
                .iter()
                .map(|(at, kind)| Mark {
                    at: sent.wall(*at),
                    kind: kind.clone(),
                })
                .collect(),
        });
        state.leave(request, clock, slot);
        (told, state.release())
    }

    /// The run of this process ended. Returns the requests that it leaves without an answer.
    pub(crate) fn run_ended(&self, pid: u32) -> Vec<TraceContext> {
        let state = self.lock();
        let left = state.requests.iter().filter(|request| request.pid == pid);
        left.map(|request| request.context).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// Finds its task among the launches. `true` once it is known.
    fn claim(
        &mut self,
        launches: &mut VecDeque<Launch>,
        clock: &PhaseClock,
        slot: Option<u32>,
    ) -> bool {
        let Some(headers) = clock.headers_at() else {
            return false;
        };
        if self.claimed {
            return true;
        }
        let until = clock.first_delta().unwrap_or(headers + LAUNCH_LINE_SKEW);
        let pid = self.pid;
        let mut candidates: Vec<&mut Launch> = launches
            .iter_mut()
            .filter(|launch| launch.id.pid == pid && launch.request.is_none())
            .filter(|launch| (clock.sent()..=until).contains(&launch.at))
            .filter(|launch| slot.is_none_or(|slot| slot == launch.slot))
            .collect();
        if candidates.len() > 1 {
            candidates.retain(|launch| {
                let apart = launch.at.max(headers) - launch.at.min(headers);
                apart <= LAUNCH_LINE_SKEW
            });
        }
        if let [launch] = &mut candidates[..] {
            launch.request = Some(self.context);
            self.claimed = true;
        }
        self.claimed
    }
}

impl Launch {
    fn is_of(&self, request: SpanId) -> bool {
        self.request.is_some_and(|owner| owner.span_id == request)
    }
}

impl State {
    fn remember(&mut self, launch: Launch) {
        if self.launches.len() == LAUNCHES_KEPT {
            self.launches.pop_front();
        }
        self.launches.push_back(launch);
    }

    fn launch(&self, id: TaskId) -> Option<&Launch> {
        self.launches.iter().rev().find(|launch| launch.id == id)
    }

    fn release_slot(&mut self, id: TaskId, at: Instant, tokens: Option<u64>) {
        let mut launches = self.launches.iter_mut().rev();
        if let Some(launch) = launches.find(|launch| launch.id == id) {
            launch.released = Some((at, tokens));
        }
    }

    fn mark(&mut self, id: TaskId, at: Instant, event: SlotEvent) {
        let kind = match event {
            SlotEvent::ContextShift { discarded } => MarkKind::ContextShift { discarded },
            SlotEvent::CheckpointRestored => MarkKind::CheckpointRestored,
            SlotEvent::DraftAcceptance { drafted, accepted } => {
                MarkKind::DraftAcceptance { drafted, accepted }
            }
            _ => return,
        };
        let mut launches = self.launches.iter_mut().rev();
        if let Some(launch) = launches.find(|launch| launch.id == id)
            && launch.marks.len() < MARKS_KEPT
        {
            launch.marks.push((at, kind));
        }
    }

    /// Finds the task of a request. `true` once it is known.
    fn claim(&mut self, request: SpanId, clock: &PhaseClock, slot: Option<u32>) -> bool {
        let mut requests = self.requests.iter_mut();
        let Some(in_flight) = requests.find(|of| of.context.span_id == request) else {
            return true;
        };
        in_flight.claim(&mut self.launches, clock, slot)
    }

    /// A request ended; if its launch is not told yet, its lines may still come.
    fn leave(&mut self, request: SpanId, clock: &PhaseClock, slot: Option<u32>) {
        let mut requests = self.requests.iter();
        let Some(index) = requests.position(|of| of.context.span_id == request) else {
            return;
        };
        let in_flight = self.requests.swap_remove(index);
        if !in_flight.claimed && clock.headers_at().is_some() {
            if self.ended.len() == ENDED_KEPT {
                self.ended.pop_front();
            }
            self.ended.push_back((in_flight, clock.clone(), slot));
        }
    }

    /// Finds the tasks of requests that ended before their launch was told.
    fn claim_late(&mut self) {
        let launches = &mut self.launches;
        self.ended
            .retain_mut(|(request, clock, slot)| !request.claim(launches, clock, *slot));
    }

    /// The answer names its slot: a task in another one was another request's.
    fn contradict(&mut self, request: SpanId, slot: u32) {
        let mut launches = self.launches.iter_mut();
        if let Some(launch) = launches.find(|launch| launch.is_of(request) && launch.slot != slot) {
            launch.request = None;
            let mut requests = self.requests.iter_mut();
            if let Some(of) = requests.find(|of| of.context.span_id == request) {
                of.claimed = false;
            }
        }
    }

    /// Gives a task's line back if its request is known or will not become known.
    fn pass_on(&mut self, id: TaskId, mut line: LoggedLine) -> Vec<LoggedLine> {
        line.context = self.launch(id).and_then(|launch| launch.request);
        if line.context.is_some() || !self.may_become_known(id) {
            return vec![line];
        }
        self.held.push_back((id, line));
        let too_many = self.held.len().saturating_sub(LINES_HELD);
        self.held.drain(..too_many).map(|(_, line)| line).collect()
    }

    /// The lines that wait no longer.
    fn release(&mut self) -> Vec<LoggedLine> {
        let held = std::mem::take(&mut self.held);
        let (mut released, mut still) = (Vec::new(), VecDeque::new());
        for (id, mut line) in held {
            line.context = self.launch(id).and_then(|launch| launch.request);
            if line.context.is_none() && self.may_become_known(id) {
                still.push_back((id, line));
            } else {
                released.push(line);
            }
        }
        self.held = still;
        released
    }

    /// Whether some request of this run still looks for its task.
    fn may_become_known(&self, id: TaskId) -> bool {
        let mut requests = self.requests.iter();
        requests.any(|request| request.pid == id.pid && !request.claimed)
    }
}

#[cfg(test)]
mod tests;
