//! What waits for the pipeline's thread: bounded, and what is too much is counted.

use llamatelemetry_record::{Happening, LoggedLine, RequestRecord};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether a record waits for its energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    ForEnergy,
    ForNothing,
}

/// Something to turn into signals.
#[derive(Debug)]
pub(super) enum Item {
    /// A record, and whether it waits for its energy: then it comes again.
    Record(Arc<RequestRecord>, Waits),
    /// A record that was held back for its energy, which is known now or known not to be.
    Settled(Arc<RequestRecord>),
    Happening(Box<Happening>),
    Line(Box<LoggedLine>),
}

/// How many may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Records and happenings; as many again that come for the second time.
    pub(super) spans: usize,
    /// Lines of logs, which must not push out the others.
    pub(super) lines: usize,
}

/// The queue between whoever records and the pipeline's thread.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    /// Work came, or the end.
    work: Condvar,
    /// The thread has nothing to do.
    idle: Condvar,
    overflowed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    lines: usize,
    settled: usize,
    /// The thread works on what it took last, or has not come yet.
    busy: bool,
    closed: bool,
    /// The thread has told the last of what it held back.
    ended: bool,
}

/// What the thread is to do next.
#[derive(Debug)]
pub(super) enum Work {
    /// These, in order.
    Items(VecDeque<Item>),
    /// The time waited for has come.
    Tick,
    /// Nothing more, ever.
    End,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::new(State {
                busy: true,
                ..State::default()
            }),
            work: Condvar::new(),
            idle: Condvar::new(),
            overflowed: AtomicU64::new(0),
        }
    }

    /// Takes an item if there is room.
    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        let line = matches!(item, Item::Line(_));
        let settled = matches!(item, Item::Settled(_));
        let full = match &item {
            Item::Line(_) => state.lines >= self.bounds.lines,
            // It had its place among the others when it came first.
            Item::Settled(_) => state.settled >= self.bounds.spans,
            Item::Record(..) | Item::Happening(_) => {
                state.items.len() - state.lines - state.settled >= self.bounds.spans
            }
        };
        if full || state.closed {
            drop(state);
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.lines += usize::from(line);
        state.settled += usize::from(settled);
        state.items.push_back(item);
        // The thread takes all there is at once: only the first one has to wake it.
        let wake = state.items.len() == 1;
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// All that waits, or what else is to be done by `tick`.
    pub(super) fn take(&self, tick: Option<Instant>) -> Work {
        let mut state = self.lock();
        state.busy = false;
        if state.items.is_empty() {
            self.idle.notify_all();
        }
        let nothing = |state: &mut State| state.items.is_empty() && !state.closed;
        state = match tick {
            None => self.work.wait_while(state, nothing),
            Some(tick) => {
                let time = tick.saturating_duration_since(Instant::now());
                match self.work.wait_timeout_while(state, time, nothing) {
                    Ok((state, _)) => Ok(state),
                    Err(poison) => Ok(poison.into_inner().0),
                }
            }
        }
        .unwrap_or_else(PoisonError::into_inner);
        if !state.items.is_empty() {
            state.busy = true;
            state.lines = 0;
            state.settled = 0;
            return Work::Items(std::mem::take(&mut state.items));
        }
        if state.closed { Work::End } else { Work::Tick }
    }

    /// Waits until the thread is there and all that was pushed is worked off; once it is closed,
    /// until the thread has ended. Returns whether it was, within this time.
    pub(super) fn settle(&self, limit: Duration) -> bool {
        let busy = |state: &mut State| {
            state.busy || !state.items.is_empty() || (state.closed && !state.ended)
        };
        let waited = self.idle.wait_timeout_while(self.lock(), limit, busy);
        let (_state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    /// Takes nothing more; the thread ends when it has worked off the rest.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// The thread has nothing more to tell.
    pub(super) fn ended(&self) {
        self.lock().ended = true;
        self.idle.notify_all();
    }

    /// Items for which there was no room.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::{Endpoint, Severity, SpanId, TraceId};
    use std::time::SystemTime;

    fn record() -> Arc<RequestRecord> {
        Arc::new(RequestRecord::new(
            TraceId([1; 16]),
            SpanId([2; 8]),
            Endpoint::ChatCompletions,
            SystemTime::UNIX_EPOCH,
        ))
    }

    #[test]
    fn a_request_that_comes_twice_takes_one_place() {
        let queue = Queue::new(Bounds { spans: 1, lines: 0 });
        queue.push(Item::Record(record(), Waits::ForEnergy));
        queue.push(Item::Settled(record()));
        assert_eq!(queue.overflowed(), 0);
        queue.push(Item::Record(record(), Waits::ForEnergy));
        queue.push(Item::Settled(record()));
        assert_eq!(queue.overflowed(), 2, "neither is without bound");
        assert!(matches!(queue.take(None), Work::Items(items) if items.len() == 2));
        queue.push(Item::Settled(record()));
        assert_eq!(queue.overflowed(), 2);
    }

    fn line() -> Item {
        Item::Line(Box::new(LoggedLine {
            at: SystemTime::UNIX_EPOCH,
            severity: Severity::Info,
            source: String::new(),
            text: String::new(),
            context: None,
            fields: Vec::new(),
        }))
    }

    #[test]
    fn what_is_too_much_is_counted_and_what_fits_is_kept() {
        let queue = Queue::new(Bounds { spans: 1, lines: 2 });
        for _ in 0..5 {
            queue.push(line());
        }
        assert_eq!(queue.overflowed(), 3);
        assert!(!queue.settle(Duration::ZERO));
        assert!(matches!(queue.take(None), Work::Items(items) if items.len() == 2));
        assert!(!queue.settle(Duration::ZERO), "they are being worked on");
        assert!(matches!(queue.take(Some(Instant::now())), Work::Tick));
        assert!(queue.settle(Duration::ZERO));
        queue.push(line());
        queue.close();
        queue.push(line());
        assert_eq!(queue.overflowed(), 4);
        assert!(matches!(queue.take(None), Work::Items(items) if items.len() == 1));
        assert!(matches!(queue.take(None), Work::End));
        assert!(
            !queue.settle(Duration::ZERO),
            "it may still tell what it held back"
        );
        queue.ended();
        assert!(queue.settle(Duration::ZERO));
    }
}
