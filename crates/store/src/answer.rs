//! Answers that one thread gives and another waits for.

use crate::StoreError;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What became of a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    outcome: Mutex<Option<Result<(), StoreError>>>,
    given: Condvar,
}

impl Answer {
    fn give(&self, outcome: Result<(), StoreError>) {
        *lock(&self.outcome) = Some(outcome);
        self.given.notify_all();
    }

    pub(crate) fn wait(&self) -> Result<(), StoreError> {
        let mut outcome = lock(&self.outcome);
        loop {
            if let Some(outcome) = outcome.take() {
                return outcome;
            }
            outcome = self
                .given
                .wait(outcome)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// An answer that somebody waits for. One that is never given, because a thread panicked or is
/// gone, is given by being dropped: nobody waits for ever.
#[derive(Default)]
pub(crate) struct Promise(To);

/// Who gets an answer.
#[derive(Default)]
enum To {
    /// Nobody, or nobody any more.
    #[default]
    Nobody,
    /// A thread that waits.
    Thread(Arc<Answer>),
    /// Whoever this tells.
    Call(Box<dyn FnOnce(Result<(), StoreError>) + Send>),
}

impl Promise {
    pub(crate) fn new() -> (Self, Arc<Answer>) {
        let answer = Arc::new(Answer::default());
        (Self(To::Thread(answer.clone())), answer)
    }

    /// Calls this with the answer, on the thread that gives it.
    pub(crate) fn calling(told: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Self {
        Self(To::Call(Box::new(told)))
    }

    pub(crate) fn give(&mut self, outcome: Result<(), StoreError>) {
        match std::mem::take(&mut self.0) {
            To::Nobody => {}
            To::Thread(answer) => answer.give(outcome),
            To::Call(told) => told(outcome),
        }
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Promise")
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.give(Err(StoreError::Closed {
            reason: "its thread has ended".to_owned(),
        }));
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
