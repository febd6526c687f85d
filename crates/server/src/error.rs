//! How launching or taking a server can fail.

use crate::Exit;
use llamatelemetry_api::{Address, ApiError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How launching or taking a server can fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// There is no way yet to own processes on this system.
    #[error("owning a llama-server is not supported on {system} yet")]
    Unsupported {
        /// The system.
        system: &'static str,
    },
    /// The program cannot be started.
    #[error("cannot start llama-server: {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The program does not say which flags it takes.
    #[error("llama-server does not tell its flags within {} s: {}", limit.as_secs(), program.display())]
    NoHelp {
        /// The program.
        program: PathBuf,
        /// The time it had.
        limit: Duration,
    },
    /// A file to load is not there or cannot be read.
    #[error("cannot read the model file {}", path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The build does not know a flag.
    #[error("this llama-server knows no flag {flag}{}", nearest.as_ref().map(|name| format!("; the nearest is {name}")).unwrap_or_default())]
    BadFlag {
        /// The flag, or whatever stands where one should.
        flag: String,
        /// The nearest flag it knows.
        nearest: Option<String>,
    },
    /// A flag lacks its value.
    #[error("the flag {flag} of llama-server needs a value")]
    FlagValue {
        /// The flag.
        flag: String,
    },
    /// A flag that this crate sets itself.
    #[error("the flag {flag} cannot be given: {reason}")]
    OwnFlag {
        /// The flag.
        flag: String,
        /// Why not.
        reason: &'static str,
    },
    /// The port is taken.
    #[error("port {port} on 127.0.0.1 is already in use")]
    AddressInUse {
        /// The port.
        port: u16,
    },
    /// The port may not be listened on.
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Port {
        /// The port.
        port: u16,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The folder for sockets cannot be used.
    #[error("cannot use the runtime folder {}", path.display())]
    RuntimeFolder {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The folder for sockets is not private.
    #[error("the runtime folder {problem}: {}", path.display())]
    FolderNotPrivate {
        /// What is wrong with it.
        problem: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// The kernel takes no socket with so long a name.
    #[error("the socket's path has {length} bytes, and at most {limit} are possible: {}", path.display())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// The greatest length in bytes.
        limit: usize,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread to watch llama-server")]
    Thread(#[source] io::Error),
    /// The server ended before it was ready.
    #[error("{0}")]
    Exited(Box<Exit>),
    /// The server gave no sign of life for too long, and was killed.
    #[error("llama-server gave no sign of life for {} s and was killed{}", limit.as_secs_f64(), last_line(log_tail))]
    Silent {
        /// How long it was silent.
        limit: Duration,
        /// The last lines of its log, oldest first.
        log_tail: Vec<String>,
    },
    /// The server is ready but its log does not say where it listens.
    #[error("llama-server is ready but its log does not say on which port")]
    PortUnknown,
    /// The start was given up by whoever asked for it.
    #[error("the start of llama-server was given up")]
    Cancelled,
    /// The supervisor gave up restarting.
    #[error("llama-server is not restarted any more: {reason}")]
    GaveUp {
        /// Why.
        reason: String,
        /// How it ended last.
        last: Option<Box<Exit>>,
    },
    /// The supervised server does not run now.
    #[error("llama-server does not run: {reason}")]
    NotRunning {
        /// Why.
        reason: String,
        /// How it ended last.
        last: Option<Box<Exit>>,
    },
    /// The server to attach to does not answer as one.
    #[error("cannot attach to the server at {address}")]
    Unreachable {
        /// Its address.
        address: Address,
        /// Why not.
        #[source]
        source: Box<ApiError>,
    },
    /// The server to attach to serves another model.
    #[error("the server at {address} serves {found}, not {expected}")]
    WrongModel {
        /// Its address.
        address: Address,
        /// The model that was expected.
        expected: String,
        /// The model it serves.
        found: String,
    },
    /// The server to attach to is another build.
    #[error("the server at {address} is build {found}, not {expected}")]
    WrongBuild {
        /// Its address.
        address: Address,
        /// The build that was expected.
        expected: String,
        /// The build it is.
        found: String,
    },
}

impl ServerError {
    /// What a user can do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Exited(exit)
            | Self::GaveUp {
                last: Some(exit), ..
            }
            | Self::NotRunning {
                last: Some(exit), ..
            } => return exit.hints(),
            Self::AddressInUse { .. } => {
                "choose another port, or none: then no port is needed".to_owned()
            }
            Self::BadFlag { flag, .. } if flag.contains('=') => {
                "llama-server takes a value as an argument of its own: `--flag value`".to_owned()
            }
            Self::BadFlag { .. } => "`llama-server --help` lists the flags it knows".to_owned(),
            Self::FolderNotPrivate { path, .. } => format!(
                "set XDG_RUNTIME_DIR to a folder of yours with mode 0700, or remove {}",
                path.display()
            ),
            Self::SocketPathTooLong { .. } => {
                "set XDG_RUNTIME_DIR to a folder with a shorter path".to_owned()
            }
            Self::Silent { .. } => {
                "a very large model on a slow disk may need a longer server.start_timeout"
                    .to_owned()
            }
            Self::PortUnknown => {
                "give a port, use the Unix socket, or leave the log's verbosity at 3".to_owned()
            }
            _ => return Vec::new(),
        };
        vec![hint]
    }

    /// How the server ended, if that is the failure.
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Exited(exit)
            | Self::GaveUp {
                last: Some(exit), ..
            }
            | Self::NotRunning {
                last: Some(exit), ..
            } => Some(exit),
            _ => None,
        }
    }

    /// Whether a new start with the same files and flags would fail the same way.
    pub fn would_repeat(&self) -> bool {
        match self {
            Self::Exited(exit) => exit.class.would_repeat(),
            Self::Silent { .. }
            | Self::Thread(_)
            | Self::Cancelled
            | Self::NotRunning { .. }
            | Self::Unreachable { .. } => false,
            _ => true,
        }
    }
}

fn last_line(log_tail: &[String]) -> String {
    log_tail
        .last()
        .map(|line| format!("; its last log line: {line}"))
        .unwrap_or_default()
}
