//! What a long step tells whoever watches.
//!
//! Work that takes longer than a moment (a download, a build, a model load) takes a
//! `&dyn Progress` and opens a [`Task`] for each thing a person would want to see: what is being
//! done, why, how much of how many units. The command line draws bars, a notebook draws widgets,
//! a library user who does not care passes [`Silent`]. Nothing here prints.

use std::sync::Arc;

/// Somebody who watches long work. Cheap to call from any thread.
pub trait Progress: Send + Sync {
    /// A task begins. The handle ends it when dropped.
    fn begin(&self, task: Task) -> Box<dyn TaskHandle>;

    /// One line worth telling that is not a measure: a source given up, a decision taken.
    fn note(&self, message: &str);
}

/// One thing being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What is done, as a person would say it: "building llama.cpp b11434".
    pub title: String,
    /// Why it is done, if that is not obvious: "no usable llama-server was found".
    pub reason: Option<String>,
    /// What is counted.
    pub unit: Unit,
    /// How many units there are in all, if that is known.
    pub total: Option<u64>,
}

impl Task {
    /// A task counted in bytes.
    pub fn bytes(title: impl Into<String>, total: Option<u64>) -> Self {
        Self {
            title: title.into(),
            reason: None,
            unit: Unit::Bytes,
            total,
        }
    }

    /// A task counted in steps.
    pub fn steps(title: impl Into<String>, total: Option<u64>) -> Self {
        Self {
            title: title.into(),
            reason: None,
            unit: Unit::Steps,
            total,
        }
    }

    /// The same task with the reason why it is done.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// What a task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes moved or read.
    Bytes,
    /// Steps of some plan, such as a build's compile commands.
    Steps,
}

/// A running task. Dropping the handle ends the task.
pub trait TaskHandle: Send + Sync {
    /// So many units are done, in all.
    fn at(&self, done: u64);
    /// The total became known, or changed.
    fn total(&self, total: u64);
    /// What is being done right now.
    fn detail(&self, message: &str);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _task: Task) -> Box<dyn TaskHandle> {
        Box::new(Self)
    }
    fn note(&self, _message: &str) {}
}

impl TaskHandle for Silent {
    fn at(&self, _done: u64) {}
    fn total(&self, _total: u64) {}
    fn detail(&self, _message: &str) {}
}

impl<P: Progress + ?Sized> Progress for Arc<P> {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        (**self).begin(task)
    }
    fn note(&self, message: &str) {
        (**self).note(message);
    }
}
