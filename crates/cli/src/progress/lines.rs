//! Plain lines: where a step begins, now and then where it is, and how long it took.

use super::{beginning, ending, position};
use llamatelemetry::progress::{Task, TaskHandle};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No step says where it is more often than this.
const EVERY: Duration = Duration::from_secs(10);

/// The lines of a running step.
pub(super) struct Lines {
    task: Task,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    done: u64,
    total: Option<u64>,
    told: Instant,
}

impl Lines {
    pub(super) fn new(task: Task) -> Self {
        say(&beginning(&task));
        let now = Instant::now();
        let total = task.total;
        Self {
            task,
            started: now,
            state: Mutex::new(State {
                done: 0,
                total,
                told: now,
            }),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if state.told.elapsed() >= EVERY {
            state.told = Instant::now();
            let time = self.started.elapsed();
            let place = position(self.task.unit, state.done, state.total, time);
            say(&format!("{}: {place}", self.task.title));
        }
    }
}

impl TaskHandle for Lines {
    fn at(&self, done: u64) {
        self.change(|state| state.done = done);
    }

    fn total(&self, total: u64) {
        self.change(|state| state.total = Some(total));
    }

    fn detail(&self, _message: &str) {
        self.change(|_| ());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let line = ending(&self.task, state.done, state.total, self.started.elapsed());
        if let Some(line) = line {
            say(&line);
        }
    }
}

/// A reader of stderr that is gone must not stop the work.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap_or_default();
}
