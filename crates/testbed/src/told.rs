//! Progress as plain lines on standard error, for logs.

use llamatelemetry_progress::{Progress, Task, TaskHandle};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells each task when it begins, at every tenth of it, and every note.
#[derive(Debug, Clone, Copy)]
pub struct Told;

struct ToldTask {
    title: String,
    total: AtomicU64,
    tenth: AtomicU64,
}

impl Progress for Told {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        let why = task.reason.map(|reason| format!(" ({reason})"));
        line(&format!("{}{}", task.title, why.unwrap_or_default()));
        Box::new(ToldTask {
            title: task.title,
            total: AtomicU64::new(task.total.unwrap_or_default()),
            tenth: AtomicU64::new(0),
        })
    }

    fn note(&self, message: &str) {
        line(message);
    }
}

impl TaskHandle for ToldTask {
    fn at(&self, done: u64) {
        let total = self.total.load(Ordering::Relaxed);
        let Some(tenth) = (done * 10).checked_div(total) else {
            return;
        };
        if self.tenth.fetch_max(tenth, Ordering::Relaxed) < tenth {
            line(&format!("{}: {}0 %", self.title, tenth));
        }
    }

    fn total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    fn detail(&self, _message: &str) {}
}

/// Nobody is there to be told if standard error is closed.
fn line(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
