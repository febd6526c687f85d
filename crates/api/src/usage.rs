//! Tokens and times as answers state them.

use crate::Extra;
use llamatelemetry_record::ServerTimings;
use serde::{Deserialize, Serialize};

/// Tokens in OpenAI's older form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the prompt, those taken from the cache included.
    pub prompt_tokens: u64,
    /// Tokens generated. `None` where nothing is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Both.
    pub total_tokens: u64,
    /// More about those of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<TokenDetails>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tokens in OpenAI's newer form, that of responses and transcriptions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InputOutputUsage {
    /// Tokens of the prompt, those taken from the cache included.
    pub input_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// More about those of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens_details: Option<TokenDetails>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where tokens came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenDetails {
    /// Those that were taken from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// llama-server's own account of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Tokens and times.
    #[serde(flatten)]
    pub server: ServerTimings,
    /// Everything else: the same as rates.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How far the evaluation of a prompt is, where `return_progress` asked for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PromptProgress {
    /// Tokens of the prompt.
    pub total: u64,
    /// Tokens taken from the cache.
    pub cache: u64,
    /// Tokens evaluated so far, those from the cache included.
    pub processed: u64,
    /// Milliseconds since the evaluation began.
    pub time_ms: u64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}
