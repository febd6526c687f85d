//! Who hears what happens to a server.

use crate::{Exit, LogLine, ServerError, ServerProcess};
use std::fmt;
use std::time::Instant;

/// Hears what happens to a server, on the threads that watch it: every call must return at once.
pub trait Listener: fmt::Debug + Send + Sync {
    /// The process of this id logged a line, at this moment: by the server's own clock where its
    /// log tells it, since lines lag on a busy machine.
    fn logged(&self, _pid: u32, _at: Instant, _line: &LogLine) {}

    /// A supervised server ended, and nobody had asked it to. Either [`restarted`] or
    /// [`given_up`] follows, unless its owner stops it meanwhile.
    ///
    /// [`restarted`]: Listener::restarted
    /// [`given_up`]: Listener::given_up
    fn ended(&self, _pid: u32, _exit: &Exit) {}

    /// A supervised server is back; it was restarted so often by now.
    fn restarted(&self, _server: &ServerProcess, _restarts: u32) {}

    /// What a supervised server does is another than before: a new one can be had, or none will be.
    fn changed(&self) {}

    /// A supervised server is not started again; `error` is how the last try failed, if one was
    /// made.
    fn given_up(&self, _error: Option<&ServerError>) {}
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Nobody;

impl Listener for Nobody {}
