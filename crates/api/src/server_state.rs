//! What a server tells of itself. Fields this client does not know are kept in `extra`.

use serde::{Deserialize, Serialize};

/// Whether a server is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The model is loaded.
    Ready,
    /// The model is being loaded.
    Loading,
}

/// `GET /props`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Props {
    /// The model's file, as the server was given it.
    pub model_path: String,
    /// The build, such as `b11434-…`.
    pub build_info: String,
    /// Slots.
    pub total_slots: u32,
    /// Everything else.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// `GET /v1/models`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelList {
    /// The models.
    pub data: Vec<ModelEntry>,
}

/// One model that a server serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Its name.
    pub id: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// One slot of `GET /slots`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slot {
    /// Its number.
    pub id: u32,
    /// Its share of the context, tokens.
    pub n_ctx: u64,
    /// Whether it works on a request.
    pub is_processing: bool,
    /// The request it works on or worked on last.
    #[serde(default)]
    pub id_task: Option<i64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}
