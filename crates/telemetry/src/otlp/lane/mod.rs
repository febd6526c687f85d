//! The way of one signal to its collector: a spool, and a thread that sends from it.

mod sender;

use super::spool::{Batch, Spool};
use super::transport::Transport;
use crate::TelemetryError;
use crate::config::{BatchConfig, Endpoint, OtlpConfig};
use crate::signal::{Frame, Signal};
use llamatelemetry_settings::Environment;
use sender::Sender;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What became of the items of one signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Taken by the collector.
    pub(super) delivered: u64,
    /// On disk, to be sent by this process or a later one.
    pub(super) kept: u64,
    /// Refused, dropped, or still in memory.
    pub(super) lost: u64,
    /// Those of the lost that dead processes had kept for other addresses.
    expired: u64,
}

/// The way of one signal to its collector.
#[derive(Debug)]
pub(super) struct Lane {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    signal: Signal,
    endpoint: Endpoint,
    batch: BatchConfig,
    /// For one request, and for one flush.
    timeout: Duration,
    accepted: AtomicU64,
    delivered: AtomicU64,
    /// What waits outlives this process.
    outlives: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    spool: Spool,
    /// Since when the oldest item waits.
    waiting_since: Option<Instant>,
    /// The collector found larger batches too large: no more items in one for now.
    most: Option<u64>,
    /// After a failure: no attempt before.
    not_before: Option<Instant>,
    /// Somebody wants everything sent, by then.
    flush: Option<Instant>,
    /// The end is asked for, by then.
    stop: Option<Instant>,
    ended: bool,
    /// Why the latest attempt that failed did.
    failure: Option<String>,
}

impl Lane {
    pub(super) fn start(
        signal: Signal,
        config: OtlpConfig,
        batch: BatchConfig,
        mut spool: Spool,
        environment: &Environment,
    ) -> Result<Self, TelemetryError> {
        if let Some(search) = spool.search() {
            spool.adopt(search.find());
        }
        let name = match signal {
            Signal::Traces => "telemetry-traces",
            Signal::Metrics => "telemetry-metrics",
            Signal::Logs => "telemetry-logs",
        };
        let shared = Arc::new(Shared {
            signal,
            endpoint: config.endpoint.clone(),
            batch,
            timeout: config.timeout,
            accepted: AtomicU64::new(spool.items()),
            delivered: AtomicU64::new(0),
            outlives: spool.outlives(),
            state: Mutex::new(State {
                waiting_since: (spool.items() > 0).then(Instant::now),
                spool,
                most: None,
                not_before: None,
                flush: None,
                stop: None,
                ended: false,
                failure: None,
            }),
            changed: Condvar::new(),
        });
        let mut sender = Sender::new(Transport::new(config, environment)?, shared.clone());
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || sender.run())
            .map_err(|source| TelemetryError::Thread { name, source })?;
        Ok(Self { shared })
    }

    /// Takes items to be sent.
    pub(super) fn push(&self, frame: Frame) {
        let items = u64::from(frame.items);
        self.shared.accepted.fetch_add(items, Ordering::Relaxed);
        let mut state = self.shared.lock();
        if state.ended {
            return;
        }
        if let Err(reason) = state.spool.push(frame) {
            state.failure = Some(reason);
            return;
        }
        state.waiting_since.get_or_insert_with(Instant::now);
        let full = state.spool.items() >= self.shared.batch.batch as u64;
        // Below a full batch the sender only has to learn of the first one.
        let wake = full || state.spool.items() == items;
        drop(state);
        if wake {
            self.shared.changed.notify_all();
        }
    }

    /// Asks for what waits to be sent, until then at most, a request's timeout at most.
    pub(super) fn hurry(&self, until: Instant) {
        let until = until.min(Instant::now() + self.shared.timeout);
        let mut state = self.shared.lock();
        state.flush = Some(state.flush.map_or(until, |other| other.max(until)));
        state.not_before = None;
        self.shared.changed.notify_all();
    }

    /// Waits until that is done or given up. Returns whether all was sent.
    pub(super) fn wait_sent(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let waiting = |state: &mut State| state.flush.is_some() && !state.ended;
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, left, waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.spool.items() == 0
    }

    /// Tells the sender to send what waits, once, and to end by then.
    pub(super) fn stop(&self, until: Instant) {
        self.shared.lock().stop.get_or_insert(until);
        self.shared.changed.notify_all();
    }

    /// Waits for that end.
    pub(super) fn join(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let running = |state: &mut State| !state.ended;
        let state = self.shared.lock();
        drop(self.shared.changed.wait_timeout_while(state, left, running));
    }

    pub(super) fn counts(&self) -> Counts {
        let (waiting, expired) = {
            let state = self.shared.lock();
            (state.spool.items(), state.spool.expired())
        };
        let delivered = self.shared.delivered.load(Ordering::Relaxed);
        let accepted = self.shared.accepted.load(Ordering::Relaxed);
        let kept = if self.shared.outlives { waiting } else { 0 };
        Counts {
            delivered,
            kept,
            lost: accepted.saturating_sub(delivered + kept) + expired,
            expired,
        }
    }

    /// What was not delivered so far and why, in sentences without anything secret.
    pub(super) fn loss(&self) -> Option<String> {
        let counts = self.counts();
        let reason = self.shared.lock().failure.clone();
        let reason = reason.as_deref().unwrap_or("no answer in time");
        let (items, endpoint) = (self.shared.signal.items(), &self.shared.endpoint);
        let own = counts.lost - counts.expired;
        let all = counts.delivered + counts.kept + own;
        let lost =
            (own > 0).then(|| format!("{own} of {all} {items} were lost: {reason}: {endpoint}"));
        let expired = (counts.expired > 0).then(|| {
            format!(
                "{} {items} that were kept for other addresses were dropped: nobody sent them",
                counts.expired
            )
        });
        let kept = (counts.kept > 0).then(|| {
            format!(
                "{} of {all} {items} wait on disk and are sent later: {reason}: {endpoint}",
                counts.kept
            )
        });
        let all: Vec<String> = [lost, kept, expired].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Drop for Lane {
    /// Lets the thread end.
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done next, before `until`.
    fn next(&self, until: Instant) -> Next {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.spool.items() == 0 {
                state.waiting_since = None;
                if state.flush.take().is_some() {
                    self.changed.notify_all();
                }
            }
            let urgent = match (state.stop, state.flush) {
                (Some(stop), _) if stop <= now || state.spool.items() == 0 => return Next::End,
                (Some(by), _) | (None, Some(by)) => Some(by),
                (None, None) => None,
            };
            let whole = self.batch.batch as u64;
            let full = state.spool.items() >= whole;
            let most = state.most.unwrap_or(whole);
            let due = match state.waiting_since {
                Some(_) if full || urgent.is_some() => Some(now),
                Some(since) => Some(since + self.batch.delay),
                None => None,
            };
            let due = match (due, state.not_before) {
                (Some(due), Some(other)) if state.stop.is_none() => Some(due.max(other)),
                (due, _) => due,
            };
            if due.is_some_and(|due| due <= now)
                && let Some(batch) = state.spool.batch(most)
            {
                let by = now + self.timeout;
                return Next::Send(batch, urgent.map_or(by, |urgent| urgent.min(by)));
            }
            if until <= now {
                return Next::Adopt;
            }
            // A batch that was due and is not there could not be read, and is gone by now.
            let wait = due.map_or(until, |due| due.min(until));
            let wait = wait.saturating_duration_since(now);
            state = match self.changed.wait_timeout(state, wait) {
                Ok((state, _)) => state,
                Err(poison) => poison.into_inner().0,
            };
        }
    }
}

/// What the sender is to do.
#[derive(Debug)]
enum Next {
    /// Send this by then.
    Send(Batch, Instant),
    /// Look for what dead processes left.
    Adopt,
    /// Nothing more.
    End,
}
