//! Routers: llama-server started without a model, which starts one server a model.

use crate::Extra;
use crate::stream::{StreamEvent, from_json};
use serde::{Deserialize, Serialize};

/// The models of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterModels {
    /// The models.
    pub data: Vec<RouterModel>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One model of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterModel {
    /// Its name.
    pub id: String,
    /// Whether it is loaded.
    pub status: RouterStatus,
    /// Whether [`router_remove`](crate::Endpoints::router_remove) may remove it.
    #[serde(default)]
    pub can_remove: bool,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether a model is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// `unloaded`, `loading`, `loaded`, `sleeping`, `downloading`.
    pub value: String,
    /// What its server is started with.
    #[serde(default)]
    pub args: Vec<String>,
    /// Whether its last start failed.
    #[serde(default)]
    pub failed: bool,
    /// How that one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something that happened to a router's models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterEvent {
    /// The model; `*` for all.
    pub model: String,
    /// What happened: `model_status`, `status_change`, `model_remove`, `models_reload`,
    /// `download_progress`, `download_finished`, `download_failed`.
    pub event: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl RouterEvent {
    /// The model's new status, where it has one.
    pub fn status(&self) -> Option<&str> {
        self.data.as_ref()?.get("status")?.as_str()
    }
}

impl StreamEvent for RouterEvent {
    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }

    /// A router that stops ends the stream after any of them.
    fn is_last(&self) -> bool {
        true
    }
}

/// The model that is meant.
#[derive(Serialize)]
pub(crate) struct Named<'a> {
    pub(crate) model: &'a str,
}
