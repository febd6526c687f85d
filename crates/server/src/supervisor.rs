//! Keeping a server running: restart after a crash, with growing pauses, and not for ever.

use crate::{Exit, ExitClass, LaunchSpec, ServerError, ServerProcess};
use llamatelemetry_progress::{Progress, Silent};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The watching thread looks up so often although nothing happened.
const LOOK_UP: Duration = Duration::from_secs(3600);
/// A supervisor that is dropped gives its server so long to end.
const GRACE_OF_DROP: Duration = Duration::from_secs(2);

/// When a server is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The pause before the first restart; each further failure doubles it.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// A server that ran so long, or [was of use](Supervisor::was_of_use), had a good start:
    /// failures are counted from zero again.
    pub good_run: Duration,
    /// So many failures in a row, none with a good run between them, and no restart follows.
    pub give_up_after: u32,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(30),
            good_run: Duration::from_secs(60),
            give_up_after: 5,
        }
    }
}

impl RestartPolicy {
    /// The pause after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first_pause
            .saturating_mul(1 << doublings)
            .min(self.longest_pause)
    }
}

/// What a supervised server does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorState {
    /// It runs.
    Running,
    /// It failed so often in a row and is started again after a pause.
    Restarting {
        /// Failures in a row.
        failures: u32,
        /// The last failure.
        reason: String,
    },
    /// It is not started again.
    GaveUp {
        /// Why.
        reason: String,
    },
    /// It was stopped by its owner.
    Stopped,
}

/// A server that is restarted when it crashes. Each restart has an address of its own: ask for
/// the [`current`](Supervisor::current) one. Dropping it stops the server, but in a process that
/// was forked from the one that started it: there it does nothing.
#[derive(Debug)]
pub struct Supervisor {
    /// The process that the watching thread runs in: a fork of it has no such thread.
    owner: u32,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    state: SupervisorState,
    server: Option<Arc<ServerProcess>>,
    restarts: u32,
    last_exit: Option<Exit>,
    /// The run that there is now has been of use.
    was_of_use: bool,
}

impl Supervisor {
    /// Starts a server and keeps it running. The first start is the caller's to judge: its
    /// failure is returned and nothing is restarted.
    pub fn start(
        spec: LaunchSpec,
        policy: RestartPolicy,
        progress: &dyn Progress,
    ) -> Result<Self, ServerError> {
        let server = Arc::new(ServerProcess::start(&spec, progress)?);
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                state: SupervisorState::Running,
                server: Some(server.clone()),
                restarts: 0,
                last_exit: None,
                was_of_use: false,
            }),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let thread = {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("llama-supervisor".into())
                .spawn(move || supervise(&shared, &spec, policy, server))
                .map_err(ServerError::Thread)?
        };
        Ok(Self {
            owner: std::process::id(),
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The server, if it runs now.
    pub fn current(&self) -> Option<Arc<ServerProcess>> {
        let inner = self.shared.lock();
        inner
            .server
            .clone()
            .filter(|server| server.exit().is_none())
    }

    /// A view of it that keeps neither it nor its server alive.
    pub fn view(&self) -> SupervisorView {
        SupervisorView(Arc::downgrade(&self.shared))
    }

    /// What the server does.
    pub fn state(&self) -> SupervisorState {
        self.shared.lock().state.clone()
    }

    /// The run of this process has been of use: it has answered a request. Failures are counted
    /// from zero again, for one that answers and then fails is no crash loop.
    pub fn was_of_use(&self, pid: u32) {
        let mut inner = self.shared.lock();
        if inner
            .server
            .as_ref()
            .is_some_and(|server| server.pid() == pid)
        {
            inner.was_of_use = true;
        }
    }

    /// How often it was restarted.
    pub fn restarts(&self) -> u32 {
        self.shared.lock().restarts
    }

    /// How it ended last.
    pub fn last_exit(&self) -> Option<Exit> {
        self.shared.lock().last_exit.clone()
    }

    /// The server, waiting for a restart that is under way.
    pub fn wait_running(&self, timeout: Duration) -> Result<Arc<ServerProcess>, ServerError> {
        let deadline = Instant::now() + timeout;
        let mut inner = self.shared.lock();
        loop {
            let reason = match &inner.state {
                SupervisorState::Running => {
                    if let Some(server) = inner
                        .server
                        .clone()
                        .filter(|server| server.exit().is_none())
                    {
                        return Ok(server);
                    }
                    "it has just ended".to_owned()
                }
                SupervisorState::Restarting { reason, .. } => reason.clone(),
                SupervisorState::GaveUp { reason } => {
                    return Err(ServerError::GaveUp {
                        reason: reason.clone(),
                        last: inner.last(),
                    });
                }
                SupervisorState::Stopped => {
                    return Err(ServerError::NotRunning {
                        reason: "it was stopped".into(),
                        last: inner.last(),
                    });
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ServerError::NotRunning {
                    reason: format!(
                        "it is not back within {} s: {reason}",
                        timeout.as_secs_f64()
                    ),
                    last: inner.last(),
                });
            }
            inner = self.shared.wait(inner, left);
        }
    }

    /// Stops the server for good. The same `grace` as for [`ServerProcess::stop`]. `None` from a
    /// process that was forked from the owner: the server is not its to stop.
    pub fn stop(&self, grace: Duration) -> Option<Exit> {
        // Before any lock: the thread that held it at the fork is not there to give it up.
        if self.owner != std::process::id() {
            return None;
        }
        self.shared.stopping.store(true, Ordering::Relaxed);
        let server = {
            let inner = self.shared.lock();
            self.shared.changed.notify_all();
            inner.server.clone()
        };
        let exit = server.map(|server| server.shut_down(grace));
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic in it has nothing to say here.
            drop(thread.join());
        }
        exit.or_else(|| self.last_exit())
    }
}

/// Sees a supervised server for as long as there is one.
#[derive(Debug, Clone)]
pub struct SupervisorView(Weak<Shared>);

impl SupervisorView {
    /// See [`Supervisor::current`]; `None` also once the supervisor is gone.
    pub fn current(&self) -> Option<Arc<ServerProcess>> {
        let shared = self.0.upgrade()?;
        let server = shared.lock().server.clone();
        server.filter(|server| server.exit().is_none())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop(GRACE_OF_DROP);
    }
}

impl Inner {
    fn last(&self) -> Option<Box<Exit>> {
        self.last_exit.clone().map(Box::new)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, limit: Duration) -> MutexGuard<'a, Inner> {
        self.changed
            .wait_timeout(inner, limit)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Waits out a pause; `false` if the owner stops the server meanwhile.
    fn pause(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut inner = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.stopping() {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            inner = self.wait(inner, left);
        }
    }
}

fn supervise(
    shared: &Shared,
    spec: &LaunchSpec,
    policy: RestartPolicy,
    mut server: Arc<ServerProcess>,
) {
    let mut failures = 0;
    loop {
        let since = Instant::now();
        let exit = loop {
            if let Some(exit) = server.wait_exit(LOOK_UP) {
                break exit;
            }
        };
        if exit.class != ExitClass::Stopped {
            spec.listener.ended(server.pid(), &exit);
        }
        drop(server);
        let mut last_error = None;
        let mut reason = exit.to_string();
        let exit_class = exit.class;
        let mut repeats = exit_class.would_repeat();
        let mut was_of_use = false;
        shared.set(|inner| {
            inner.server = None;
            inner.last_exit = Some(exit);
            was_of_use = std::mem::take(&mut inner.was_of_use);
        });
        if was_of_use || since.elapsed() >= policy.good_run {
            failures = 0;
        }
        server = loop {
            if shared.stopping() {
                shared.set(|inner| inner.state = SupervisorState::Stopped);
                return spec.listener.changed();
            }
            failures += 1;
            if repeats || failures > policy.give_up_after {
                if exit_class != ExitClass::Stopped {
                    spec.listener.given_up(last_error.as_ref());
                }
                shared.set(|inner| inner.state = SupervisorState::GaveUp { reason });
                return spec.listener.changed();
            }
            tracing::warn!(failures, reason, "llama-server is restarted");
            shared.set(|inner| {
                inner.state = SupervisorState::Restarting {
                    failures,
                    reason: reason.clone(),
                };
            });
            if !shared.pause(policy.pause(failures)) {
                continue;
            }
            match ServerProcess::start_unless(spec, &Silent, &shared.stopping) {
                Ok(server) => break Arc::new(server),
                Err(error) => {
                    reason = error.to_string();
                    repeats = error.would_repeat();
                    shared.set(|inner| {
                        inner.last_exit = error.exit().cloned().or(inner.last_exit.take());
                    });
                    last_error = Some(error);
                }
            }
        };
        // Before anybody who waits can go on: what they waited for is known then.
        spec.listener.restarted(&server, shared.lock().restarts + 1);
        shared.set(|inner| {
            inner.state = SupervisorState::Running;
            inner.server = Some(server.clone());
            inner.restarts += 1;
        });
        spec.listener.changed();
        if shared.stopping() {
            // The owner looked for a server to stop before there was this one.
            server.shut_down(GRACE_OF_DROP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RestartPolicy::default();
        let pauses: Vec<u128> = [1, 2, 3, 8, 40]
            .map(|failures| policy.pause(failures).as_millis())
            .to_vec();
        assert_eq!(pauses, [250, 500, 1000, 30_000, 30_000]);
    }
}
