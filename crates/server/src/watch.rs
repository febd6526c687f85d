//! What is known of a running child, shared by the threads that watch it and those that wait.

use crate::exit::{Circumstances, Fault};
use crate::log_line::{LogLevel, LogLine, SlotLaunch};
use crate::ownership::Ending;
use crate::{Exit, SlotEvent, SlotLine, protocol};
use llamatelemetry_api::Address;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Log lines that are kept.
const LINES_KEPT: usize = 200;
/// Launch lines that are kept: more than there are slots, several times over.
const LAUNCHES_KEPT: usize = 1024;

/// What is known of a running child.
#[derive(Debug)]
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    /// The last log lines, oldest first.
    pub(crate) lines: VecDeque<LogLine>,
    /// The last slot launches, oldest first.
    pub(crate) launches: VecDeque<SlotLaunch>,
    /// Whether the child reports its own state.
    pub(crate) child_mode: bool,
    /// What is being loaded, and how much of everything, 0 to 1.
    pub(crate) loading: Option<(String, f64)>,
    /// When it became ready, and what it told of its model.
    pub(crate) ready: Option<(Instant, serde_json::Value)>,
    /// Where the log says that it listens.
    pub(crate) listening: Option<Address>,
    /// When the server's own clock began, by the line that lagged least.
    clock_began: Option<Instant>,
    /// The server's own clock at its last line, microseconds.
    pub(crate) server_micros: Option<u64>,
    /// Config files that the log says are used.
    pub(crate) config_files: Vec<PathBuf>,
    /// When it last said anything.
    pub(crate) last_sign: Instant,
    /// Its owner stops it.
    pub(crate) stop_asked: bool,
    /// Its owner killed it, for this.
    pub(crate) killed_for: Option<Fault>,
    /// How it ended.
    pub(crate) exit: Option<Exit>,
    /// Output streams that are not at their end yet.
    streams: u8,
}

impl Watch {
    /// Nothing is known yet; so many output streams will be read.
    pub(crate) fn new(streams: u8) -> Self {
        Self {
            state: Mutex::new(State {
                lines: VecDeque::new(),
                launches: VecDeque::new(),
                child_mode: false,
                loading: None,
                ready: None,
                listening: None,
                clock_began: None,
                server_micros: None,
                config_files: Vec::new(),
                last_sign: Instant::now(),
                stop_asked: false,
                killed_for: None,
                exit: None,
                streams,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most so long.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, limit)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Waits until the child has ended, at most so long.
    pub(crate) fn wait_exit(&self, limit: Duration) -> Option<Exit> {
        let state = self.lock();
        self.changed
            .wait_timeout_while(state, limit, |state| state.exit.is_none())
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .exit
            .clone()
    }

    /// The child reported its state.
    pub(crate) fn state_reported(&self, reported: protocol::State) {
        let mut state = self.lock();
        let now = Instant::now();
        state.child_mode = true;
        state.last_sign = now;
        match reported {
            protocol::State::Loading { part, done } => state.loading = Some((part, done)),
            protocol::State::Ready(model) => {
                state.ready.get_or_insert((now, model));
            }
            protocol::State::Other => {}
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The child answers as a ready server does, without having said so.
    pub(crate) fn found_ready(&self) {
        let now = Instant::now();
        self.lock()
            .ready
            .get_or_insert((now, serde_json::Value::Null));
        self.changed.notify_all();
    }

    /// A line of the log arrived. Returns when it was written, as nearly as is known.
    pub(crate) fn line_arrived(&self, line: LogLine) -> Instant {
        let mut notable = false;
        let mut state = self.lock();
        state.last_sign = line.at;
        if let Some(micros) = line.server_micros {
            state.server_micros = Some(micros);
            let began = line.at.checked_sub(Duration::from_micros(micros));
            state.clock_began = match (state.clock_began, began) {
                (Some(known), Some(began)) => Some(known.min(began)),
                (known, began) => known.or(began),
            };
        }
        let at = state.by_servers_clock(line.at, line.server_micros);
        if let Some(SlotLine {
            slot,
            task: Some(task),
            event: Some(SlotEvent::Launched),
        }) = SlotLine::read(&line.text)
        {
            keep(
                &mut state.launches,
                LAUNCHES_KEPT,
                SlotLaunch {
                    at: line.at,
                    server_micros: line.server_micros,
                    slot,
                    task,
                },
            );
            notable = true;
        } else if state.ready.is_none() || state.listening.is_none() {
            // Later lines may quote what clients sent.
            if let Some(address) = protocol::listening(&line.text) {
                state.listening = Some(address);
                notable = true;
            } else if let Some(file) = protocol::config_file(&line.text) {
                state.config_files.push(file);
            }
        }
        keep(&mut state.lines, LINES_KEPT, line);
        drop(state);
        if notable {
            self.changed.notify_all();
        }
        at
    }

    /// The slot launches at this moment or later, waiting for the first of them at most so long.
    pub(crate) fn launches_since(&self, since: Instant, patience: Duration) -> Vec<SlotLaunch> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let launches: Vec<SlotLaunch> = state
                .launches
                .iter()
                .map(|launch| SlotLaunch {
                    at: state.by_servers_clock(launch.at, launch.server_micros),
                    ..*launch
                })
                .filter(|launch| launch.at >= since)
                .collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if !launches.is_empty() || left.is_zero() || state.exit.is_some() {
                return launches;
            }
            state = self.wait(state, left);
        }
    }

    /// An output stream is at its end.
    pub(crate) fn stream_ended(&self) {
        let mut state = self.lock();
        state.streams = state.streams.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    /// The child has ended. Waits a moment for the last lines it wrote.
    pub(crate) fn ended(&self, ending: Ending, memory_kill: bool, last_lines: Duration) {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_timeout_while(state, last_lines, |state| state.streams > 0)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        let circumstances = Circumstances {
            stop_asked: state.stop_asked,
            killed_for: state.killed_for,
            memory_kill,
            was_ready: state.ready.is_some(),
        };
        state.exit = Some(Exit::classify(ending, circumstances, state.lines.iter()));
        drop(state);
        self.changed.notify_all();
    }

    /// The last log lines as text, oldest first.
    pub(crate) fn log_text(&self) -> Vec<String> {
        let state = self.lock();
        state.lines.iter().map(|line| line.text.clone()).collect()
    }
}

impl State {
    /// When a line was written that arrived at this moment with this reading of the server's clock.
    fn by_servers_clock(&self, arrived: Instant, micros: Option<u64>) -> Instant {
        let told = self.clock_began.zip(micros);
        told.map_or(arrived, |(began, micros)| {
            began + Duration::from_micros(micros)
        })
    }
}

fn keep<T>(ring: &mut VecDeque<T>, most: usize, item: T) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(item);
}

/// Passes a line on to whoever listens to this program's own log.
pub(crate) fn trace(pid: u32, line: &LogLine) {
    let text = line.text.as_str();
    match line.level {
        LogLevel::Debug => tracing::debug!(target: "llama_server", pid, "{text}"),
        LogLevel::Info => tracing::info!(target: "llama_server", pid, "{text}"),
        LogLevel::Warn => tracing::warn!(target: "llama_server", pid, "{text}"),
        LogLevel::Error => tracing::error!(target: "llama_server", pid, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: Instant, micros: u64, text: &str) -> LogLine {
        LogLine {
            at,
            server_micros: Some(micros),
            level: LogLevel::Info,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_launch_is_dated_by_the_servers_clock_where_its_line_lags() {
        let watch = Watch::new(1);
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        watch.line_arrived(line(after(10), 10_000, "in time"));
        let launch = "slot launch_slot_: id  1 | task 7 | processing task, is_child = 0";
        watch.line_arrived(line(after(90), 30_000, launch));
        let launches = watch.launches_since(after(20), Duration::ZERO);
        assert_eq!(launches.len(), 1);
        assert_eq!((launches[0].slot, launches[0].task), (1, 7));
        assert_eq!(launches[0].at, after(30));
        assert!(watch.launches_since(after(31), Duration::ZERO).is_empty());
    }

    #[test]
    fn the_rings_keep_the_last() {
        let watch = Watch::new(1);
        for number in 0..LINES_KEPT + 5 {
            watch.line_arrived(line(Instant::now(), 0, &number.to_string()));
        }
        let lines = watch.log_text();
        assert_eq!(lines.len(), LINES_KEPT);
        assert_eq!(lines[0], "5");
    }
}
