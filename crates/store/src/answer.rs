//! Answers that one thread gives and another waits for.

use crate::StoreError;
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
#[derive(Debug, Default)]
pub(crate) struct Promise(Option<Arc<Answer>>);

impl Promise {
    pub(crate) fn new() -> (Self, Arc<Answer>) {
        let answer = Arc::new(Answer::default());
        (Self(Some(answer.clone())), answer)
    }

    pub(crate) fn give(&mut self, outcome: Result<(), StoreError>) {
        if let Some(answer) = self.0.take() {
            answer.give(outcome);
        }
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
