//! Why a request was not stored, as HTTP and gRPC say it.

use http::StatusCode;
use llamatelemetry_store::StoreError;
use llamatelemetry_telemetry::received::{Code, Refused};
use std::time::Duration;

/// When a request that met a crowd may come again.
const SOON: Duration = Duration::from_secs(1);
/// When one that met a full or broken disk may.
const LATER: Duration = Duration::from_secs(15);

/// Why a request was not stored.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    /// What a person reads.
    pub(super) message: String,
    /// After which time it may be sent again; `None`: never, it would fail again.
    pub(super) retry: Option<Duration>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry: None,
        }
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::from(Refused::TooLarge { limit })
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    }

    pub(super) fn unavailable(message: impl Into<String>, retry: Duration) -> Self {
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable);
        Self {
            retry: Some(retry),
            ..Self::new(status, code, message)
        }
    }

    pub(super) fn busy() -> Self {
        Self::from(Refused::Busy)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::TooLarge { .. } | Refused::TooRich { .. } => {
                let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted);
                Self::new(status, code, message)
            }
            Refused::Busy => Self::unavailable(message, SOON),
            _ => Self::malformed(message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotOtlp { .. } | StoreError::TooManyAttributes { .. } => {
                Self::malformed(message)
            }
            _ if error.is_of_request() => {
                let (status, code) = (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted);
                Self::new(status, code, message)
            }
            StoreError::Busy { .. } => Self::unavailable(message, SOON),
            // What is told here leaves the machine: which file it was stays in the log.
            StoreError::Full { .. } => Self::unavailable("the store's disk is full", LATER),
            _ => Self::unavailable("the store cannot be written", LATER),
        }
    }
}
