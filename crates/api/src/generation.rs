//! What every generating endpoint of llama-server understands beside the fields of its API.

use crate::LoraScale;
use serde::{Deserialize, Serialize};

/// What every generating endpoint of llama-server understands beside the fields of its own API.
/// Fields that are `None` or empty are not sent, so that the server's own defaults hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Generation {
    /// Candidates kept that are at least this likely, relative to the likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Locally typical sampling; 1 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_p: Option<f64>,
    /// Candidates kept within so many standard deviations of the best; below 0 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_n_sigma: Option<f64>,
    /// Chance that the XTC sampler removes a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xtc_probability: Option<f64>,
    /// The least probability of tokens that XTC removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xtc_threshold: Option<f64>,
    /// Range of the dynamic temperature around the set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynatemp_range: Option<f64>,
    /// How entropy becomes dynamic temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynatemp_exponent: Option<f64>,
    /// Tokens back that count as repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_last_n: Option<u64>,
    /// Penalty on repetition; 1 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f64>,
    /// Penalty by how often a token came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Penalty on tokens that came at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Strength of the DRY penalty on repeated passages; 0 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_multiplier: Option<f64>,
    /// Base of the DRY penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_base: Option<f64>,
    /// Length of a repetition from which on DRY penalizes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_allowed_length: Option<u64>,
    /// Tokens back that DRY looks; 0 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_penalty_last_n: Option<u64>,
    /// Texts that end a passage for DRY.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_sequence_breakers: Vec<String>,
    /// Mirostat: 0 off, 1 or 2 its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat: Option<u8>,
    /// Mirostat's target entropy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat_tau: Option<f64>,
    /// Mirostat's learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat_eta: Option<f64>,
    /// The samplers in their order, by llama.cpp's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samplers: Vec<String>,
    /// Tokens (by number, or texts) made more or less likely; `false` bans one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logit_bias: Vec<LogitBias>,
    /// Goes on where the model wants to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_eos: Option<bool>,
    /// A GBNF grammar that the answer must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// Adapters used for this request, those not named at scale 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<Vec<LoraScale>>,
    /// The slot to use; the server chooses one else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_slot: Option<u32>,
    /// Whether to take what the slot has evaluated already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_prompt: Option<bool>,
    /// Tokens of the prompt kept when the context overflows; -1 all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_keep: Option<i64>,
    /// Milliseconds after which generation stops at the next line break.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_max_predict_ms: Option<i64>,
    /// Whether every event carries timings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings_per_token: Option<bool>,
    /// Whether a stream tells how far the evaluation of the prompt is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_progress: Option<bool>,
    /// Whether the answer carries its tokens' numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_tokens: Option<bool>,
    /// Tokens told with their probabilities at each place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_probs: Option<u64>,
    /// Whether those are the probabilities after sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_sampling_probs: Option<bool>,
    /// Tokens that reasoning may take; -1 any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_budget_tokens: Option<i64>,
    /// Whether [`chat_control`](crate::Endpoints::chat_control) may end the reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_control: Option<bool>,
}

/// A token made more or less likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogitBias(
    /// Which.
    pub BiasedToken,
    /// How much is added to its logit.
    pub Bias,
);

/// A token, by its number or as a text (whose tokens all count).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BiasedToken {
    /// By its number.
    Id(i64),
    /// As a text.
    Text(String),
}

/// What happens to a token's logit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bias {
    /// This is added to it.
    Add(f64),
    /// `false`: the token never comes.
    Allowed(bool),
}
