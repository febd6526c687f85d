//! A running server that this process owns.

use crate::config_files::ConfigFiles;
use crate::log_line::{LogLine, SlotLaunch};
use crate::ownership::OwnedProcess;
use crate::place::Place;
use crate::protocol;
use crate::start::{self, Started};
use crate::watch::Watch;
use crate::{Exit, ExitClass, Fault, Footprint, LaunchSpec, ServerError, StartTimes};
use llamatelemetry_api::Address;
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Secret;
use std::fmt;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A server that is dropped has so long to end before it is killed.
const GRACE_OF_DROP: Duration = Duration::from_secs(2);
/// An idle server ends within some 20 ms; freeing a large model takes longer.
const ORDERLY_WITHIN: Duration = Duration::from_millis(500);
/// A killed child is gone within this time, unless the kernel itself is stuck.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A running server that this process owns. Dropping it stops the server.
pub struct ServerProcess {
    /// The process whose child it is.
    owner: u32,
    process: Arc<dyn OwnedProcess>,
    watch: Arc<Watch>,
    watcher: Mutex<Option<JoinHandle<()>>>,
    stdin: Mutex<Option<Box<dyn Write + Send>>>,
    address: Address,
    key: Option<Secret>,
    config_files: ConfigFiles,
    times: StartTimes,
    launched_at: Instant,
    /// Last, so that its files are removed after the server has ended.
    _place: Place,
}

impl ServerProcess {
    /// Starts a server and waits until it is ready.
    pub fn start(spec: &LaunchSpec, progress: &dyn Progress) -> Result<Self, ServerError> {
        Self::start_unless(spec, progress, &AtomicBool::new(false))
    }

    /// The same, given up soon after `cancelled` is set.
    pub fn start_unless(
        spec: &LaunchSpec,
        progress: &dyn Progress,
        cancelled: &AtomicBool,
    ) -> Result<Self, ServerError> {
        let Started {
            process,
            watch,
            watcher,
            stdin,
            place,
            address,
            key,
            config_files,
            times,
            launched_at,
        } = start::start(spec, progress, cancelled)?;
        Ok(Self {
            owner: std::process::id(),
            process,
            watch,
            watcher: Mutex::new(Some(watcher)),
            stdin: Mutex::new(Some(stdin)),
            address,
            key,
            config_files,
            times,
            launched_at,
            _place: place,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The key it asks for, if it listens on TCP.
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it ended; `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.watch.lock().exit.clone()
    }

    /// Waits until it has ended, at most so long.
    pub fn wait_exit(&self, timeout: Duration) -> Option<Exit> {
        self.watch.wait_exit(timeout)
    }

    /// The last 200 lines of its log, oldest first.
    pub fn log_tail(&self) -> Vec<LogLine> {
        self.watch.lock().lines.iter().cloned().collect()
    }

    /// The lines among the last 200 that arrived at this moment or later, oldest first.
    pub fn log_since(&self, moment: Instant) -> Vec<LogLine> {
        let state = self.watch.lock();
        let lines = state.lines.iter();
        lines.filter(|line| line.at >= moment).cloned().collect()
    }

    /// The slots that began to work on a request at this moment or later, oldest first, among the
    /// last 1024. Waits for the first of them at most `patience`: on a busy machine a log line can
    /// lag behind the answer it belongs to.
    pub fn wait_slot_launches(&self, since: Instant, patience: Duration) -> Vec<SlotLaunch> {
        self.watch.launches_since(since, patience)
    }

    /// The same, without waiting.
    pub fn slot_launches(&self, since: Instant) -> Vec<SlotLaunch> {
        self.watch.launches_since(since, Duration::ZERO)
    }

    /// Config files of llama.cpp that it read, and what they changed. Worth a warning to the user
    /// where it is not empty.
    pub fn config_files(&self) -> &ConfigFiles {
        &self.config_files
    }

    /// What it told of its model when it became ready; `Null` from builds that do not tell.
    pub fn model_info(&self) -> serde_json::Value {
        let state = self.watch.lock();
        state
            .ready
            .as_ref()
            .map(|(_, model)| model.clone())
            .unwrap_or_default()
    }

    /// What its start took.
    pub fn start_times(&self) -> StartTimes {
        self.times
    }

    /// When it was launched.
    pub fn launched_at(&self) -> Instant {
        self.launched_at
    }

    /// When it was seen to be ready.
    pub fn ready_at(&self) -> Instant {
        self.launched_at + self.times.launch_to_ready
    }

    /// Kills it, with what it started, for what is wrong with it: its exit says so. A supervised
    /// server is started again.
    pub fn kill_for(&self, fault: Fault) {
        if !self.is_owned() {
            return;
        }
        let mut state = self.watch.lock();
        if state.exit.is_none() && !state.stop_asked {
            state.killed_for.get_or_insert(fault);
            drop(state);
            self.process.kill();
        }
    }

    /// What it takes now; `None` where the system does not tell, or once it has ended.
    pub fn footprint(&self) -> Option<Footprint> {
        self.process.footprint()
    }

    /// Stops it: asks it to end, and kills it with everything it started where it has not ended
    /// within `grace`.
    pub fn stop(self, grace: Duration) -> Exit {
        self.shut_down(grace)
    }

    /// The same for a server that is shared. Further calls return the same. A process that was
    /// forked from the owner stops nothing, and is told so.
    pub fn shut_down(&self, grace: Duration) -> Exit {
        // Before any lock: the thread that held it at the fork is not there to give it up.
        if !self.is_owned() {
            return Exit {
                class: ExitClass::Other,
                code: None,
                signal: None,
                cause: Some("it belongs to the process that this one was forked from".into()),
                log_tail: Vec::new(),
            };
        }
        let asked = Instant::now();
        let child_mode = {
            let mut state = self.watch.lock();
            if let Some(exit) = &state.exit {
                return exit.clone();
            }
            state.stop_asked = true;
            state.child_mode
        };
        // A server ends its work at once and then waits, without a limit, for clients whose
        // answers it cut. Nothing is gained by waiting with it, so it is pressed soon.
        let patience = ORDERLY_WITHIN.min(grace / 4);
        // In child mode it waits for the end of its input even after SIGTERM; the line on its
        // input is the way that ends it at once and in good order.
        if child_mode
            && self.tell_to_end()
            && let Some(exit) = self.wait_exit(patience)
        {
            return self.ended(exit);
        }
        // A second SIGTERM ends it wherever it is.
        for _ in 0..2 {
            self.process.ask_to_end();
            self.stdin().take();
            if let Some(exit) = self.wait_exit(patience) {
                return self.ended(exit);
            }
        }
        if let Some(exit) = self.wait_exit(grace.saturating_sub(asked.elapsed())) {
            return self.ended(exit);
        }
        self.process.kill();
        match self.wait_exit(KILLED_WITHIN) {
            Some(exit) => self.ended(exit),
            None => Exit {
                class: ExitClass::Other,
                code: None,
                signal: None,
                cause: Some("it was killed and the kernel still holds it".into()),
                log_tail: self.watch.log_text(),
            },
        }
    }

    /// Whether this is the process whose child it is, and not a fork of that.
    fn is_owned(&self) -> bool {
        self.owner == std::process::id()
    }

    fn tell_to_end(&self) -> bool {
        // A pipe has room for this line; a child that is gone makes the write fail.
        self.stdin()
            .as_mut()
            .is_some_and(|stdin| stdin.write_all(protocol::END).is_ok())
    }

    fn stdin(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Write + Send>>> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, exit: Exit) -> Exit {
        let watcher = self
            .watcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(watcher) = watcher {
            // It ends right after it has told of the exit. A panic in it changes nothing here.
            drop(watcher.join());
        }
        exit
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A fork of the owner drops a copy: the server is not its to stop, and the threads that
        // would tell of the end are not in it.
        if self.is_owned() {
            self.shut_down(GRACE_OF_DROP);
        }
    }
}

impl fmt::Debug for ServerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerProcess")
            .field("pid", &self.pid())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
