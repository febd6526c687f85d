//! What a server tells of itself. Fields this client does not know are kept in `extra`.

use crate::Extra;
use http::HeaderMap;
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
    /// The model's file, as the server was given it; of a router `none`.
    pub model_path: String,
    /// The build, such as `b11434-…`.
    pub build_info: String,
    /// Slots. 0 of a router, which has none of its own.
    #[serde(default)]
    pub total_slots: u32,
    /// The model's name, as the server tells it to clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_alias: Option<String>,
    /// What the model takes beside text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modalities: Option<Modalities>,
    /// The model's chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// Whether the model is unloaded until the next request.
    #[serde(default)]
    pub is_sleeping: bool,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a model takes beside text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Modalities {
    /// Pictures.
    pub vision: bool,
    /// Sound.
    pub audio: bool,
    /// Moving pictures.
    pub video: bool,
}

/// `GET /v1/models`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelList {
    /// The models.
    pub data: Vec<ModelEntry>,
    /// Everything else: the same list in Ollama's form.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One model that a server serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Its name.
    pub id: String,
    /// Other names of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What the file says of it; missing while a router has not loaded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<ModelMeta>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a model's file says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelMeta {
    /// Tokens in its vocabulary.
    pub n_vocab: u64,
    /// Tokens of context that one slot has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_ctx: Option<u64>,
    /// Tokens of context that it was trained for.
    pub n_ctx_train: u64,
    /// Numbers in an embedding.
    pub n_embd: u64,
    /// Weights, counted.
    pub n_params: u64,
    /// Bytes of its tensors.
    pub size: u64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// That the server did what was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Whether it did.
    pub success: bool,
    /// Everything else: a `message` where it did not.
    #[serde(flatten)]
    pub extra: Extra,
}

/// `GET /metrics`: figures in Prometheus' text format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// The text as it came.
    pub text: String,
    /// When the server started, in seconds since 1970.
    pub started: Option<u64>,
}

impl Metrics {
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let started = headers.get("process-start-time-unix");
        Self {
            text: String::from_utf8_lossy(body).into_owned(),
            started: started
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.parse().ok()),
        }
    }

    /// The figure of this name without labels: `llamacpp:prompt_tokens_total`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.text.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.split_whitespace().next()?.parse().ok()
        })
    }
}
