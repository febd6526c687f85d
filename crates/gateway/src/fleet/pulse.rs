//! What is known of the progress of one request on one run of a server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The progress of one request, told by whoever passes its answer on and judged by the watchdog.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// The process that is asked.
    pid: u32,
    began: Instant,
    /// When something came of the request last, microseconds after it began.
    progressed: AtomicU64,
    /// When the server was last seen to be perhaps at work on it, microseconds after it began.
    worked_on: AtomicU64,
    /// Its run was seen to be over.
    orphaned: AtomicBool,
    lost: watch::Sender<bool>,
}

impl Pulse {
    pub(super) fn new(pid: u32) -> Self {
        Self {
            pid,
            began: Instant::now(),
            progressed: AtomicU64::new(0),
            worked_on: AtomicU64::new(0),
            orphaned: AtomicBool::new(false),
            lost: watch::Sender::new(false),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Something came of the request: it is not lost, whatever was thought.
    pub(super) fn progress(&self) {
        self.note(&self.progressed, Instant::now());
        self.lost
            .send_if_modified(|lost| std::mem::replace(lost, false));
    }

    /// When something came of it last; when it was sent, if nothing did.
    pub(super) fn last_progress(&self) -> Instant {
        self.began + Duration::from_micros(self.progressed.load(Ordering::Relaxed))
    }

    /// The server was seen, and may be at work on it.
    pub(super) fn may_be_worked_on(&self, now: Instant) {
        self.note(&self.worked_on, now);
    }

    /// Until when the server can have worked on it, as far as was seen.
    pub(super) fn last_sign(&self) -> Instant {
        let worked_on = Duration::from_micros(self.worked_on.load(Ordering::Relaxed));
        self.last_progress().max(self.began + worked_on)
    }

    /// Its run is over. Returns whether that was known already.
    pub(super) fn orphan(&self) -> bool {
        self.orphaned.swap(true, Ordering::Relaxed)
    }

    /// Nothing will come of it any more: whoever waits for its answer is told.
    pub(super) fn lose(&self) {
        self.lost.send_replace(true);
    }

    /// Ends once the request is lost.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut lost = self.lost.subscribe();
        async move {
            if lost.wait_for(|lost| *lost).await.is_err() {
                // Nobody judges it any more.
                std::future::pending::<()>().await;
            }
        }
    }

    fn note(&self, what: &AtomicU64, now: Instant) {
        let micros = now.saturating_duration_since(self.began).as_micros();
        what.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    #[test]
    fn progress_takes_a_loss_back() {
        let pulse = Pulse::new(1);
        let mut lost = Box::pin(pulse.lost());
        let mut is_lost = || {
            let mut context = Context::from_waker(Waker::noop());
            lost.as_mut().poll(&mut context).is_ready()
        };
        assert!(!is_lost());
        pulse.lose();
        pulse.progress();
        assert!(!is_lost());
        pulse.lose();
        assert!(is_lost());
    }
}
