//! The one async runtime of a process: started by the first call that needs it, never by import,
//! and never used in a process that was forked from the one that started it.

use crate::error;
use pyo3::prelude::*;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Between two looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(50);
/// Threads that drive requests; what computes is another process.
const WORKERS: usize = 2;

struct Started {
    runtime: Runtime,
    process: u32,
}

static STARTED: OnceLock<Started> = OnceLock::new();

/// The runtime of this process.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let started = match STARTED.get() {
        Some(started) => started,
        None => start()?,
    };
    if started.process != std::process::id() {
        return Err(error::forked());
    }
    Ok(&started.runtime)
}

fn start() -> PyResult<&'static Started> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("llamatelemetry")
        .enable_all()
        .build()?;
    // Somebody else may have been first: then theirs is used.
    let started = STARTED.get_or_init(|| Started {
        runtime,
        process: std::process::id(),
    });
    // An error says that it is known already.
    pyo3_async_runtimes::tokio::init_with_runtime(&started.runtime).ok();
    Ok(started)
}

/// Waits without the interpreter's lock. A signal handler that raises ends the wait.
pub(crate) fn wait<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send,
    F: Future<Output = PyResult<T>> + Send,
{
    let runtime = runtime()?;
    let mut work = std::pin::pin!(work);
    loop {
        let done = py.detach(|| {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    done = &mut work => Some(done),
                    () = tokio::time::sleep(SIGNALS) => None,
                }
            })
        });
        match done {
            Some(done) => return done,
            None => py.check_signals()?,
        }
    }
}

/// Drops what may end a server, which takes its time, without the interpreter's lock. A process
/// that was forked after the start keeps it as it is: threads, sockets and servers are the other
/// process's.
pub(crate) fn release<T: Send>(held: T) {
    if STARTED
        .get()
        .is_some_and(|started| started.process != std::process::id())
    {
        return std::mem::forget(held);
    }
    // Where there is no interpreter to wait for, it has been dropped as well.
    Python::try_attach(|py| py.detach(|| drop(held)));
}

/// The work as something to `await`.
pub(crate) fn awaitable<'py, T, F>(py: Python<'py>, work: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'any> IntoPyObject<'any> + Send + 'static,
{
    runtime()?;
    pyo3_async_runtimes::tokio::future_into_py(py, work)
}
