//! What stood around a request: what it waited for, what the server told of it, how a server ended.

use crate::TraceContext;
use std::time::{Duration, SystemTime};

/// Something that a request had to wait for before it could be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What it was.
    pub cause: WaitCause,
    /// When the wait began.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// How the server had ended that was waited for; `None` for a first load.
    pub exit: Option<ServerExit>,
    /// The span of the load or restart itself, which other requests may have waited for too.
    pub span: Option<TraceContext>,
}

/// What a request had to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCause {
    /// It was not let in yet: all slots were taken and others were before it.
    Admission,
    /// The model was being loaded.
    ModelLoad,
    /// The server had ended and was not launched again yet.
    Restart,
}

/// How a server ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerExit {
    /// The class, low in cardinality: `killed`, `out_of_memory`.
    pub class: String,
    /// The code it returned, if it returned.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The last lines of its log, oldest first, as many as are worth showing.
    pub log_tail: Vec<String>,
}

/// Something that the server told of a request while it ran. It becomes an event on its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, as nearly as is known.
    pub at: SystemTime,
    /// What.
    pub kind: MarkKind,
}

/// What a server told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarkKind {
    /// A slot began to work on it.
    SlotAcquired {
        /// The slot's number.
        slot: u32,
    },
    /// The client had gone away, and now the slot was free.
    SlotReleased {
        /// Tokens of prompt and answer that its context held.
        tokens: Option<u64>,
        /// Tokens generated after the client had gone, as nearly as is known.
        wasted: Option<u64>,
    },
    /// The context was full: so many of its tokens were thrown away.
    ContextShift {
        /// Tokens thrown away, if the server said.
        discarded: Option<u64>,
    },
    /// A saved state of the context was used.
    CheckpointRestored,
    /// Drafted tokens and how many of them were accepted, in all.
    DraftAcceptance {
        /// Tokens drafted.
        drafted: u64,
        /// Drafted tokens that were accepted.
        accepted: u64,
    },
    /// The server ended before the answer was whole.
    ServerEnded(ServerExit),
}
