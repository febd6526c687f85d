//! Signals in the store of this machine. A thread of its own writes them: nobody waits for a disk.

use crate::TelemetryError;
use crate::output::Output;
use crate::signal::{Frame, OwnOrigin, Signal, points};
use llamatelemetry_settings::Settings;
use llamatelemetry_store::{Retention, StoreError, Writer, compact};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes that may wait to be written; what comes beyond is dropped and counted.
const WAITING_LIMIT: usize = 16 << 20;

/// How often the store is made small again and what is too old goes.
const TIDY: Duration = Duration::from_secs(600);

/// Where the store lies, how much is kept there and for how long.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The store's folder.
    pub folder: PathBuf,
    /// Bytes that it may take.
    pub limit: u64,
    /// How long rows are kept.
    pub age: Duration,
}

impl StoreConfig {
    /// As the settings say; `None` if nothing is to be stored.
    pub fn read(settings: &Settings) -> Option<Self> {
        settings.telemetry.store.then(|| Self {
            folder: settings.home.store(),
            limit: settings.telemetry.store_limit.0,
            age: settings.telemetry.store_age,
        })
    }

    /// What may stay, as of now.
    pub fn retention(&self) -> Retention {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let oldest = now.ok().and_then(|now| now.checked_sub(self.age));
        Retention {
            oldest: oldest.and_then(|oldest| u64::try_from(oldest.as_nanos()).ok()),
            bytes: Some(self.limit),
        }
    }
}

/// Where signals of this program are stored.
#[derive(Debug)]
pub(crate) struct StoreOutput {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Signal, Frame)>,
    bytes: usize,
    writing: bool,
    closed: bool,
    /// Items that are not in the store and will not be, and why.
    lost: u64,
    reason: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits, once something does; `None` at the end.
    fn next(&self) -> Option<Vec<(Signal, Frame)>> {
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self
            .changed
            .wait_while(state, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.writing = !state.waiting.is_empty();
        state.bytes = 0;
        state.writing.then(|| std::mem::take(&mut state.waiting))
    }

    fn lost(&self, items: u64, error: &StoreError) {
        let mut state = self.lock();
        state.lost += items;
        state.reason = Some(error.to_string());
    }
}

impl StoreOutput {
    pub(crate) fn start(config: StoreConfig, origin: OwnOrigin) -> Result<Self, TelemetryError> {
        const NAME: &str = "telemetry-store";
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || write_all(&theirs, &config, &origin))
            .map_err(|source| TelemetryError::Thread { name: NAME, source })?;
        Ok(Self { shared })
    }

    fn push(&self, signal: Signal, frame: Frame) {
        if frame.items == 0 {
            return;
        }
        let mut state = self.shared.lock();
        if state.closed || state.bytes > WAITING_LIMIT {
            state.lost += u64::from(frame.items);
            state
                .reason
                .get_or_insert_with(|| "the disk is too slow".to_owned());
            return;
        }
        state.bytes += frame.bytes.len();
        state.waiting.push((signal, frame));
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Output for StoreOutput {
    fn spans(&self, spans: &[Span]) {
        self.push(Signal::Traces, Frame::of(spans, |_| 1));
    }

    fn logs(&self, logs: &[LogRecord]) {
        self.push(Signal::Logs, Frame::of(logs, |_| 1));
    }

    fn metrics(&self, metrics: &[Metric]) {
        self.push(Signal::Metrics, Frame::of(metrics, points));
    }

    fn flush(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), left, busy);
        let (_state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    fn shutdown(&self, until: Instant) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        self.flush(until);
    }

    fn loss(&self) -> Option<String> {
        let state = self.shared.lock();
        let reason = state.reason.as_deref().unwrap_or_default();
        (state.lost > 0).then(|| {
            format!(
                "{} spans, log records or metric points were not stored: {reason}",
                state.lost
            )
        })
    }
}

impl Drop for StoreOutput {
    /// Lets the thread end.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

/// The thread: opens the store once there is something to write, then writes all that waits with
/// one sync.
fn write_all(shared: &Shared, config: &StoreConfig, origin: &OwnOrigin) {
    let mut writer = None;
    let mut tidied: Option<Instant> = None;
    while let Some(frames) = shared.next() {
        for signal in Signal::ALL {
            let mut items = 0;
            let mut bytes = Vec::new();
            for (_, frame) in frames.iter().filter(|(of, _)| *of == signal) {
                items += u64::from(frame.items);
                bytes.extend_from_slice(&frame.bytes);
            }
            if items == 0 {
                continue;
            }
            let written = open(&mut writer, &config.folder)
                .and_then(|writer| writer.append(signal.stored(), origin.get().request(&bytes)));
            if let Err(error) = written {
                shared.lost(items, &error);
            }
        }
        if tidied.is_none_or(|at| at.elapsed() > TIDY) {
            tidied = Some(Instant::now());
            tidy(config);
        }
    }
    drop(writer);
}

/// Keeps the store small, on a thread of its own: what comes meanwhile is not held up. A program
/// that ends before it is done leaves the rest to the next.
fn tidy(config: &StoreConfig) {
    let (folder, retention) = (config.folder.clone(), config.retention());
    let tidying = thread::Builder::new()
        .name("telemetry-tidy".to_owned())
        .spawn(move || {
            if let Err(error) = compact(&folder, retention) {
                tracing::debug!(%error, "the store was not compacted");
            }
        });
    if let Err(error) = tidying {
        tracing::debug!(%error, "the store was not compacted");
    }
}

fn open<'a>(writer: &'a mut Option<Writer>, folder: &Path) -> Result<&'a Writer, StoreError> {
    match writer {
        Some(writer) => Ok(writer),
        none => Ok(none.insert(Writer::open(folder)?)),
    }
}
