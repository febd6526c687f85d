//! Spans on a console: a thread of its own writes them, so that a slow terminal holds up nobody.

mod render;

use crate::TelemetryError;
use crate::output::Output;
use opentelemetry_proto::tonic::trace::v1::Span;
pub use render::{Detail, SpanTree};
use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Requests that wait to be printed at most; more are dropped and counted.
const QUEUE: usize = 1024;

/// Where span trees are printed.
pub(crate) struct Console {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<Span>>,
    /// A tree is being written now.
    writing: bool,
    dropped: u64,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next tree to write; `None` once closed and empty.
    fn next(&self) -> Option<Vec<Span>> {
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self
            .changed
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.pop_front();
        state.writing = next.is_some();
        next
    }
}

impl Console {
    pub(crate) fn start(mut to: Box<dyn Write + Send>) -> Result<Self, TelemetryError> {
        const NAME: &str = "telemetry-console";
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                while let Some(spans) = theirs.next() {
                    let text = SpanTree::new(&spans, Detail::Roots).to_string();
                    // A reader that went away is no failure of ours.
                    if to
                        .write_all(text.as_bytes())
                        .and_then(|()| to.flush())
                        .is_err()
                    {
                        let mut state = theirs.lock();
                        state.dropped += 1;
                    }
                }
            })
            .map_err(|source| TelemetryError::Thread { name: NAME, source })?;
        Ok(Self { shared })
    }

    fn dropped(&self) -> u64 {
        let state = self.shared.lock();
        state.dropped + state.waiting.len() as u64 + u64::from(state.writing)
    }
}

impl Output for Console {
    /// Takes the spans of one request, the request's own first.
    fn spans(&self, spans: &[Span]) {
        let mut state = self.shared.lock();
        if state.closed || state.waiting.len() >= QUEUE {
            state.dropped += 1;
        } else {
            state.waiting.push_back(spans.to_vec());
            self.shared.changed.notify_all();
        }
    }

    fn flush(&self, until: Instant) -> bool {
        let limit = until.saturating_duration_since(Instant::now());
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, busy);
        let (_state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    fn shutdown(&self, until: Instant) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        self.flush(until);
        let unprinted = self.dropped();
        if unprinted > 0 {
            tracing::warn!(requests = unprinted, "spans were not printed");
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Drop for Console {
    /// Lets the thread end.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}
