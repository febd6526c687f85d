//! Why a request failed, for its record: classes low in cardinality, and how a server ended.

use crate::Error;
use llamatelemetry_record::{Failure, ServerExit};
use llamatelemetry_server::{Exit, ServerError};

/// The class of failures in which no server ran and none had ended.
const UNAVAILABLE: &str = "server_unavailable";
/// Last log lines that an exit is told with.
const EXIT_LINES: usize = 10;
/// Longer lines are cut there, in characters.
const EXIT_LINE_LENGTH: usize = 512;

/// How a server ended, with as much of its log as a span should carry.
pub(crate) fn told(exit: &Exit) -> ServerExit {
    let from = exit.log_tail.len().saturating_sub(EXIT_LINES);
    let cut = |line: &String| line.chars().take(EXIT_LINE_LENGTH).collect();
    ServerExit {
        class: exit.class.as_str().to_owned(),
        code: exit.code,
        signal: exit.signal,
        log_tail: exit.log_tail[from..].iter().map(cut).collect(),
    }
}

/// The failure of whatever needed a server that ended so. Says no more than class and signal: the
/// log lines stand apart, where they can be redacted.
pub(crate) fn exit_failure(exit: &ServerExit) -> Failure {
    let how = match (exit.signal, exit.code) {
        (Some(signal), _) => format!(" (signal {signal})"),
        (None, Some(code)) => format!(" (exit code {code})"),
        (None, None) => String::new(),
    };
    Failure {
        kind: format!("server_{}", exit.class),
        message: format!("llama-server ended: {}{how}", exit.class.replace('_', " ")),
    }
}

/// Why no server runs.
pub(crate) fn start_failure(error: &ServerError) -> Failure {
    match error.exit() {
        Some(exit) => exit_failure(&told(exit)),
        None => Failure {
            kind: UNAVAILABLE.into(),
            message: error.to_string(),
        },
    }
}

/// Why a request found no server.
pub(crate) fn no_server(error: &Error) -> Failure {
    match error.server_error() {
        Some(error) => start_failure(error),
        None => Failure {
            kind: UNAVAILABLE.into(),
            message: error.to_string(),
        },
    }
}
