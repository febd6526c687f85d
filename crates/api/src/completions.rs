//! `/v1/completions`, OpenAI's older endpoint.

use crate::stream::{StreamEvent, from_json};
use crate::{
    Answering, Delta, Extra, Generation, Logprobs, Prompt, PromptProgress, StreamOptions, Timings,
    TokenUsage,
};
use llamatelemetry_record::{Endpoint, FinishReason};
use serde::{Deserialize, Serialize};

/// A prompt to continue as it stands, in OpenAI's form. Fields that are `None` or empty are not
/// sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionsRequest {
    /// What to continue; the model's chat template is not applied.
    pub prompt: Prompt,
    /// The model's name, for servers of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens to generate at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: candidates are kept until their probabilities sum to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Random seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// How many tokens to tell of at each place, with their probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    /// Answers to give, at most as many as there are slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// What else a stream tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// What llama-server understands beyond OpenAI's API.
    #[serde(flatten)]
    pub generation: Generation,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An answer in OpenAI's older form: a whole one, or one event of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextCompletion {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// The model as the server names it.
    #[serde(default)]
    pub model: String,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// The answers, or pieces of them.
    #[serde(default)]
    pub choices: Vec<TextChoice>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// The server's own times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// How far the prompt is evaluated, where `return_progress` asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_progress: Option<PromptProgress>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One answer of several, or a piece of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextChoice {
    /// Its number.
    #[serde(default)]
    pub index: u32,
    /// Text.
    pub text: String,
    /// Why it ended, in its last event.
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    /// How likely its tokens were, where that was asked for.
    #[serde(default)]
    pub logprobs: Option<Logprobs>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl StreamEvent for TextCompletion {
    const ENDPOINT: Option<Endpoint> = Some(Endpoint::Completions);

    fn read(data: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(data)
    }
}

impl Answering for TextCompletion {
    fn into_delta(self, _calls: &mut usize) -> Delta {
        let texts = self.choices.into_iter().map(|choice| choice.text);
        Delta {
            text: texts.collect(),
            ..Delta::default()
        }
    }
}
