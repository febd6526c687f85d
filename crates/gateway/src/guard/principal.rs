//! Who asks.

use super::keys::Key;
use crate::refusal::Refusal;
use http::StatusCode;
use std::sync::Arc;

/// Who asks: put into each request by the guard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Principal {
    key: Option<Arc<Key>>,
}

impl Principal {
    /// Somebody where no key is needed.
    pub(crate) fn anyone() -> Self {
        Self::default()
    }

    pub(crate) fn holder_of(key: Arc<Key>) -> Self {
        Self { key: Some(key) }
    }

    /// The key, with its name and limits.
    pub(crate) fn key(&self) -> Option<&Arc<Key>> {
        self.key.as_ref()
    }

    /// Whether it may use the model served under this name.
    pub(crate) fn allows(&self, model: &str) -> bool {
        self.key.as_deref().is_none_or(|key| key.allows(model))
    }

    /// Refuses a model that the key may not use. The name must be the one that the model is served
    /// under: what a client calls it says little where every name finds it.
    pub(crate) fn check_model(&self, model: &str) -> Result<(), Refusal> {
        if self.allows(model) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "permission_error",
            format!("this key may not use the model `{model}`"),
        ))
    }
}
