//! The right to use a model's server.

use super::pulse::Pulse;
use super::{Fleet, FleetError, Replica};
use llamatelemetry::server::Fault;
use llamatelemetry::{LiveServer, ServerManager, TraceContext};
use llamatelemetry_api::Address;
use llamatelemetry_record::Wait;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;

/// A server whose connections broke is given so long to show that it has ended.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);
/// A server that lets nobody in within this time is as good as dead.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// The right to use a model's server. While one is held the model is not unloaded.
#[derive(Debug)]
pub(crate) struct Lease {
    fleet: Arc<Fleet>,
    terms: Terms,
    replica: Arc<Replica>,
    run: Arc<LiveServer>,
    pulse: Arc<Pulse>,
    waits: Vec<Wait>,
    /// Something came of the request.
    progressed: AtomicBool,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The model's place in the fleet.
    pub(super) member: usize,
    /// When the request may wait no longer.
    pub(super) deadline: Instant,
    /// The request's span.
    pub(super) by: Option<TraceContext>,
}

impl Lease {
    /// The caller has counted the request in.
    pub(super) fn new(
        fleet: Arc<Fleet>,
        terms: Terms,
        replica: Arc<Replica>,
        (run, pulse): (Arc<LiveServer>, Arc<Pulse>),
        waits: Vec<Wait>,
    ) -> Self {
        Self {
            fleet,
            terms,
            replica,
            run,
            pulse,
            waits,
            progressed: AtomicBool::new(false),
        }
    }

    /// The run of the server that is asked.
    pub(crate) fn run(&self) -> &Arc<LiveServer> {
        &self.run
    }

    /// The server over all its runs.
    pub(crate) fn server(&self) -> &Arc<ServerManager> {
        &self.replica.server
    }

    /// What the request waited for: its model's load. Restarts of the server are known to whoever
    /// keeps the record.
    pub(crate) fn waits(&self) -> &[Wait] {
        &self.waits
    }

    /// Something came of the request: a token, a piece of the answer.
    pub(crate) fn progressed(&self) {
        self.progressed.store(true, Ordering::Relaxed);
        self.pulse.progress();
        self.replica.progress();
    }

    /// Ends once the server has lost the request, so that nothing will come of it any more.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        self.pulse.lost()
    }

    /// After the connection broke or could not be made: a lease on a run that can be asked. A
    /// server that ended is waited for; one that lets nobody in is killed first.
    pub(crate) async fn again(self) -> Result<Lease, FleetError> {
        self.judge().await;
        let (fleet, terms) = (self.fleet.clone(), self.terms);
        drop(self);
        fleet.seat(terms).await
    }

    /// Finds out whether the run is dead, and makes it so if it is as good as that.
    async fn judge(&self) {
        let process = self.run.process().clone();
        let waiting = move || process.wait_exit(EXIT_PATIENCE).is_some();
        if tokio::task::spawn_blocking(waiting).await.unwrap_or(false) {
            return;
        }
        if !lets_in(self.run.client().address()).await {
            self.run.process().kill_for(Fault::Unreachable);
            let process = self.run.process().clone();
            let waiting = move || process.wait_exit(CONNECT_LIMIT).is_some();
            // It is seated anew in any case; until the exit is known nobody is seated on it.
            drop(tokio::task::spawn_blocking(waiting).await);
        }
    }
}

/// Whether a server can be connected to. One that is merely busy keeps the others waiting.
async fn lets_in(address: &Address) -> bool {
    match address {
        Address::Unix(path) => {
            match tokio::time::timeout(CONNECT_LIMIT, UnixStream::connect(path)).await {
                Ok(Ok(_)) | Err(_) => true,
                Ok(Err(error)) => !is_gone(&error),
            }
        }
        Address::Tcp(_) => true,
    }
}

/// Nothing listens there any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Whether a server's socket is still there; one that is on TCP has none.
pub(super) fn has_socket(address: &Address) -> bool {
    match address {
        Address::Unix(path) => Path::exists(path),
        Address::Tcp(_) => true,
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let alive = self.run.process().exit().is_none();
        let of_use = alive && self.progressed.load(Ordering::Relaxed);
        if of_use {
            self.replica.server.was_of_use(&self.run);
        }
        let fleet = &self.fleet;
        self.replica.leave(&self.pulse);
        fleet.release(self.terms.member, of_use);
    }
}
