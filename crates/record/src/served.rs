//! A model that is being served, as whoever counts sees it.

use std::{fmt, io};

/// A server with its model, which may be another process after a restart. Asking waits for the
/// server's answer, so nobody asks on a thread that has better to do.
pub trait ServedModel: fmt::Debug + Send + Sync {
    /// The model as the caller named it.
    fn model(&self) -> &str;

    /// Which run of the server it is: another number after each restart. `None` while none runs.
    fn run(&self) -> Option<u64>;

    /// The process that serves it, if it is one of this machine and runs.
    fn pid(&self) -> Option<u32> {
        None
    }

    /// Whether the server may put its model to sleep when idle, so that asking could wake it.
    fn may_sleep(&self) -> bool;

    /// How its slots share the context.
    fn context(&self) -> ContextPool;

    /// The body of `GET path`. An error for every status but 200.
    fn get(&self, path: &str) -> io::Result<Vec<u8>>;
}

/// How the slots of a server share its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextPool {
    /// Each slot has its own part.
    PerSlot,
    /// All take from one pool of so many tokens.
    Shared(u64),
    /// All take from one pool that is as large as what each of them may take.
    SharedWhole,
    /// Not known.
    Unknown,
}
