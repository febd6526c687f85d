//! The facade's one error: what kind it is, what failed, and what to do about it.

use llamatelemetry_api::ApiError;
use llamatelemetry_models::ModelError;
use llamatelemetry_record::TraceContext;
use llamatelemetry_runtime::{Attempt, RuntimeError};
use llamatelemetry_server::{Exit, ServerError};
use llamatelemetry_settings::SettingsError;
use std::fmt;

/// Anything that can fail on the way from a model's name to an answer.
pub struct Error {
    cause: Box<Cause>,
    /// The span of the request that failed, if one did.
    request: Option<TraceContext>,
}

/// Which part failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings or the home folder.
    Settings,
    /// Finding, fetching, building or proving llama.cpp.
    Runtime,
    /// Finding, fetching or verifying the model.
    Model,
    /// Starting or keeping the server.
    Server,
    /// The request.
    Request,
    /// Setting up telemetry.
    Telemetry,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("{exit}")]
    ServerDied {
        exit: Exit,
        #[source]
        source: ApiError,
    },
    #[error(transparent)]
    Request(#[from] ApiError),
    #[error("cannot start the engine's runtime")]
    Executor(#[source] std::io::Error),
    #[error("a task of the engine ended early")]
    Task(#[from] tokio::task::JoinError),
    #[cfg(feature = "telemetry")]
    #[error(transparent)]
    Telemetry(#[from] llamatelemetry_telemetry::TelemetryError),
    #[cfg(not(feature = "telemetry"))]
    #[error("this build has no telemetry")]
    NoTelemetry,
}

impl Error {
    /// Which part failed.
    pub fn kind(&self) -> ErrorKind {
        match &*self.cause {
            Cause::Settings(_) => ErrorKind::Settings,
            Cause::Runtime(_) => ErrorKind::Runtime,
            Cause::Model(_) => ErrorKind::Model,
            Cause::Server(_) | Cause::ServerDied { .. } => ErrorKind::Server,
            Cause::Request(_) | Cause::Executor(_) | Cause::Task(_) => ErrorKind::Request,
            #[cfg(feature = "telemetry")]
            Cause::Telemetry(_) => ErrorKind::Telemetry,
            #[cfg(not(feature = "telemetry"))]
            Cause::NoTelemetry => ErrorKind::Telemetry,
        }
    }

    /// What can be done about it, most useful first.
    pub fn hints(&self) -> Vec<String> {
        match &*self.cause {
            Cause::Settings(error) => error.hints(),
            Cause::Runtime(error) => error.hints(),
            Cause::Model(error) => error.hints(),
            Cause::Server(error) => error.hints(),
            Cause::ServerDied { exit, .. } => exit.hints(),
            #[cfg(not(feature = "telemetry"))]
            Cause::NoTelemetry => vec!["build with the feature `telemetry`".into()],
            _ => Vec::new(),
        }
    }

    /// The sources of llama.cpp that were tried in vain, where that is what failed.
    pub fn attempts(&self) -> &[Attempt] {
        match &*self.cause {
            Cause::Runtime(RuntimeError::NoneUsable { attempts, .. }) => attempts,
            _ => &[],
        }
    }

    /// The span of the request that failed: what a retry names in
    /// [`GenerateOptions::retry_of`](crate::GenerateOptions::retry_of).
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.request
    }

    /// The same error, of this request.
    pub(crate) fn of_request(mut self, request: TraceContext) -> Self {
        self.request = Some(request);
        self
    }

    /// Why no server runs, where that is what failed.
    pub fn server_error(&self) -> Option<&ServerError> {
        match &*self.cause {
            Cause::Server(error) => Some(error),
            _ => None,
        }
    }

    /// The last lines of the server's log, where the server is what failed.
    pub fn server_log(&self) -> &[String] {
        match &*self.cause {
            Cause::Server(error) => error.exit().map_or(&[], |exit| &exit.log_tail),
            Cause::ServerDied { exit, .. } => &exit.log_tail,
            _ => &[],
        }
    }
}

impl<E: Into<Cause>> From<E> for Error {
    fn from(error: E) -> Self {
        Self {
            cause: Box::new(error.into()),
            request: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}
