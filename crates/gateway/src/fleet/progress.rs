//! How far a load is, for whoever asks.

use llamatelemetry_progress::{Progress, Task, TaskHandle};
use serde::Serialize;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A load is worth asking for again so soon, at the least.
const SOONEST: Duration = Duration::from_secs(1);
/// The same, at the most, and where nothing is known.
const LATEST: Duration = Duration::from_secs(60);
const UNKNOWN: Duration = Duration::from_secs(5);

/// Watches one load, and lets the caller's own watcher see it too.
pub(super) struct LoadProgress {
    outer: Arc<dyn Progress>,
    began: Instant,
    now: Arc<Mutex<Now>>,
}

#[derive(Debug, Clone, Default)]
struct Now {
    title: String,
    detail: Option<String>,
    done: u64,
    total: Option<u64>,
    since: Option<Instant>,
}

/// How far a load is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LoadState {
    /// What is being done.
    pub(crate) stage: String,
    /// What of it right now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// How much of this stage is done, 0 to 1, where it is counted.
    pub(crate) progress: Option<f64>,
    /// Seconds since the load began.
    pub(crate) elapsed_s: f64,
}

impl LoadProgress {
    pub(super) fn new(outer: Arc<dyn Progress>) -> Self {
        Self {
            outer,
            began: Instant::now(),
            now: Arc::default(),
        }
    }

    /// A stage that nothing counts.
    pub(super) fn stage(&self, title: &str) {
        *lock(&self.now) = Now {
            title: title.to_owned(),
            ..Now::default()
        };
    }

    pub(super) fn state(&self) -> LoadState {
        let now = lock(&self.now).clone();
        LoadState {
            progress: now.share(),
            stage: now.title,
            detail: now.detail,
            elapsed_s: self.began.elapsed().as_secs_f64(),
        }
    }

    /// When it is worth asking again, by the pace of this stage.
    pub(super) fn retry_after(&self) -> Duration {
        let now = lock(&self.now);
        let paced = now.share().zip(now.since).and_then(|(share, since)| {
            let left = (1.0 - share) / share;
            Duration::try_from_secs_f64(since.elapsed().as_secs_f64() * left).ok()
        });
        paced.unwrap_or(UNKNOWN).clamp(SOONEST, LATEST)
    }
}

impl Now {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
    fn share(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.done as f64 / total as f64).clamp(0.0, 1.0))
    }
}

impl Progress for LoadProgress {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        *lock(&self.now) = Now {
            title: task.title.clone(),
            total: task.total,
            since: Some(Instant::now()),
            ..Now::default()
        };
        Box::new(Handle {
            outer: self.outer.begin(task),
            now: self.now.clone(),
        })
    }

    fn note(&self, message: &str) {
        self.outer.note(message);
    }
}

struct Handle {
    outer: Box<dyn TaskHandle>,
    now: Arc<Mutex<Now>>,
}

impl TaskHandle for Handle {
    fn at(&self, done: u64) {
        lock(&self.now).done = done;
        self.outer.at(done);
    }
    fn total(&self, total: u64) {
        lock(&self.now).total = Some(total);
        self.outer.total(total);
    }
    fn detail(&self, message: &str) {
        lock(&self.now).detail = Some(message.to_owned());
        self.outer.detail(message);
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for LoadProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_progress::Silent;

    #[test]
    fn the_last_stage_is_what_is_told() {
        let progress = LoadProgress::new(Arc::new(Silent));
        assert_eq!(progress.retry_after(), UNKNOWN);
        let first = progress.begin(Task::bytes("fetching", Some(100)));
        first.at(50);
        first.detail("half");
        let state = progress.state();
        assert_eq!(
            (state.stage.as_str(), state.progress),
            ("fetching", Some(0.5))
        );
        assert_eq!(state.detail.as_deref(), Some("half"));
        assert_eq!(progress.retry_after(), SOONEST);
        progress.stage("waiting for memory");
        assert_eq!(progress.state().progress, None);
    }
}
