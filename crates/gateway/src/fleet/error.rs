//! Why a request got no server.

use super::progress::LoadState;
use crate::refusal::Refusal;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// A server that is being started again is worth asking for so soon.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Why a request got no server.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("no model is served here")]
    Empty,
    #[error("the model `{model}` is not served here; there is {known}")]
    Unknown { model: String, known: String },
    #[error("the request names no model; there is {known}")]
    Unnamed { known: String },
    /// It did not load, or crashed again and again.
    #[error("the model `{model}` cannot be served: {reason}")]
    Failed {
        model: String,
        reason: String,
        /// Until then nobody tries again.
        retry_after: Duration,
    },
    /// It is not there yet, and the request may wait no longer.
    #[error("the model `{model}` is still loading ({})", state.stage)]
    Loading {
        model: String,
        state: LoadState,
        retry_after: Duration,
    },
    /// Its server is being started again, and the request may wait no longer.
    #[error("the server of the model `{model}` is not back yet: {reason}")]
    Restarting { model: String, reason: String },
    #[error("the gateway is about to end")]
    Closing,
}

impl From<FleetError> for Refusal {
    fn from(error: FleetError) -> Self {
        let (status, kind) = match &error {
            FleetError::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found_error"),
            FleetError::Unnamed { .. } => (StatusCode::BAD_REQUEST, "invalid_request_error"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_error"),
        };
        let message = error.to_string();
        let (retry_after, loading) = match error {
            FleetError::Loading {
                model,
                state,
                retry_after,
            } => {
                let loading = json!({ "model": model, "load": state });
                (Some(retry_after), Some(Box::new(loading)))
            }
            FleetError::Failed { retry_after, .. } => (Some(retry_after), None),
            FleetError::Restarting { .. } => (Some(RESTART_PAUSE), None),
            _ => (None, None),
        };
        Self {
            retry_after,
            loading,
            ..Self::new(status, kind, message)
        }
    }
}
