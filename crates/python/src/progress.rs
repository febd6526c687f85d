//! What long steps tell, handed to a Python callable.

use llamatelemetry_progress::{Progress, Silent, Task, TaskHandle, Unit};
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells a callable: `("begin", title, total, unit)`, `("at", title, done, unit)`,
/// `("end", title, None, unit)`, `("note", text, None, None)`.
struct Told {
    listener: Arc<Py<PyAny>>,
}

struct Running {
    listener: Arc<Py<PyAny>>,
    title: String,
    unit: &'static str,
    total: AtomicU64,
    /// The last hundredth of the total that was told.
    told: AtomicU64,
}

/// Who is told: the callable, or nobody.
pub(crate) fn listener(listener: Option<Py<PyAny>>) -> Arc<dyn Progress> {
    match listener {
        None => Arc::new(Silent),
        Some(listener) => Arc::new(Told {
            listener: Arc::new(listener),
        }),
    }
}

/// A listener that raises is told so by Python; the work goes on. Nobody listens any more while
/// the interpreter ends.
fn tell(listener: &Py<PyAny>, event: &str, text: &str, count: Option<u64>, unit: Option<&str>) {
    Python::try_attach(|py| {
        if let Err(error) = listener.call1(py, (event, text, count, unit)) {
            error.write_unraisable(py, Some(listener.bind(py)));
        }
    });
}

impl Progress for Told {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        let unit = match task.unit {
            Unit::Bytes => "bytes",
            Unit::Steps => "steps",
        };
        tell(&self.listener, "begin", &task.title, task.total, Some(unit));
        Box::new(Running {
            listener: self.listener.clone(),
            title: task.title,
            unit,
            total: AtomicU64::new(task.total.unwrap_or(0)),
            told: AtomicU64::new(0),
        })
    }

    fn note(&self, message: &str) {
        tell(&self.listener, "note", message, None, None);
    }
}

impl TaskHandle for Running {
    fn at(&self, done: u64) {
        let total = self.total.load(Ordering::Relaxed);
        if total == 0 {
            return;
        }
        let hundredth = done.saturating_mul(100) / total;
        if self.told.swap(hundredth, Ordering::Relaxed) != hundredth {
            tell(
                &self.listener,
                "at",
                &self.title,
                Some(done),
                Some(self.unit),
            );
        }
    }

    fn total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    fn detail(&self, _message: &str) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        tell(&self.listener, "end", &self.title, None, Some(self.unit));
    }
}
