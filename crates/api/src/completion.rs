//! Requests to `/completion`, llama-server's own endpoint.

use serde::Serialize;

/// A prompt to continue as it stands. Fields that are `None` are not sent, so that the server's
/// own defaults hold.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CompletionRequest {
    /// The text to continue; the model's chat template is not applied.
    pub prompt: String,
    /// Tokens to generate at most.
    #[serde(rename = "n_predict", skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: candidates are kept until their probabilities sum to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Candidates kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Random seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// A JSON schema that the answer must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<serde_json::Value>,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}
