//! How likely the tokens of an answer were.

use crate::Extra;
use serde::{Deserialize, Serialize};

/// The `logprobs` of a choice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logprobs {
    /// The answer's tokens.
    #[serde(default)]
    pub content: Vec<TokenLogprob>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A token of an answer, and what else might have stood there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Its number in the vocabulary.
    pub id: i64,
    /// Its text; of a token that is no whole character, as much as is.
    pub token: String,
    /// Its bytes.
    #[serde(default)]
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability before sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprob: Option<f64>,
    /// Its probability after sampling, where `post_sampling_probs` asked for that instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prob: Option<f64>,
    /// The likeliest tokens at this place, by [`TokenLogprob::logprob`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_logprobs: Vec<TokenLogprob>,
    /// The likeliest tokens at this place, by [`TokenLogprob::prob`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_probs: Vec<TokenLogprob>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}
