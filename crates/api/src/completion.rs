//! `/completion` and `/infill`, llama-server's own endpoints.

use crate::stream::{StreamEvent, from_json};
use crate::{Answering, Delta, Extra, Generation, PromptProgress, Timings, TokenLogprob};
use llamatelemetry_record::Endpoint;
use serde::{Deserialize, Serialize};

/// A prompt to continue as it stands. Fields that are `None` are not sent, so that the server's
/// own defaults hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionRequest {
    /// What to continue; the model's chat template is not applied.
    pub prompt: Prompt,
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
    /// What every generating endpoint understands.
    #[serde(flatten)]
    pub generation: Generation,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a model continues or turns into a vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// A text.
    Text(String),
    /// The numbers of tokens.
    Tokens(Vec<i64>),
    /// Several, each with an answer of its own.
    Several(Vec<Prompt>),
    /// Anything else that the server takes: texts mixed with tokens, texts with images.
    Other(serde_json::Value),
}

impl Prompt {
    /// Bytes of its texts; what comes as tokens has none.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Several(prompts) => prompts.iter().map(Self::text_bytes).sum(),
            Self::Tokens(_) | Self::Other(_) => 0,
        }
    }
}

impl Default for Prompt {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<String>> for Prompt {
    fn from(texts: Vec<String>) -> Self {
        Self::Several(texts.into_iter().map(Self::Text).collect())
    }
}

/// A place between two texts to fill. Fields that are `None` or empty are not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InfillRequest {
    /// What stands before.
    pub input_prefix: String,
    /// What stands behind.
    pub input_suffix: String,
    /// Other files of the project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_extra: Vec<InfillFile>,
    /// How what is filled in begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Tokens to generate at most.
    #[serde(rename = "n_predict", skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Random seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// What every generating endpoint understands.
    #[serde(flatten)]
    pub generation: Generation,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A file that helps to fill a place in another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfillFile {
    /// Its name.
    pub filename: String,
    /// What it says.
    pub text: String,
}

/// An answer of llama-server's own endpoints: a whole one, or one event of it. An event has the
/// piece of text since the one before; what only the last one tells is `None` in the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Completion {
    /// Which of several prompts it answers.
    pub index: u32,
    /// Text.
    pub content: String,
    /// The numbers of its tokens; in events always, else where `return_tokens` asked for them.
    pub tokens: Vec<i64>,
    /// The slot that worked on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_slot: Option<i64>,
    /// Whether this is the last of it.
    pub stop: bool,
    /// The model as the server names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_predicted: Option<u64>,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_evaluated: Option<u64>,
    /// Tokens of it that the slot holds now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_cached: Option<u64>,
    /// Everything that was set, defaults included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_settings: Option<serde_json::Value>,
    /// The prompt as it was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Whether the prompt was cut to fit the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Why it ended: `eos`, `word`, `limit`; `none` if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_type: Option<String>,
    /// The text that ended it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopping_word: Option<String>,
    /// How likely its tokens were, where `n_probs` asked for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub completion_probabilities: Vec<TokenLogprob>,
    /// The server's own times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// How far the prompt is evaluated, where `return_progress` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_progress: Option<PromptProgress>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The answers to one prompt or to several.
pub(crate) fn one_or_several(body: &[u8]) -> Result<Vec<Completion>, serde_json::Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(body);
    }
    Ok(vec![serde_json::from_slice(body)?])
}

impl StreamEvent for Completion {
    const ENDPOINT: Option<Endpoint> = Some(Endpoint::NativeCompletion);

    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }
}

impl Answering for Completion {
    fn into_delta(self, _calls: &mut usize) -> Delta {
        Delta {
            text: self.content,
            ..Delta::default()
        }
    }
}
