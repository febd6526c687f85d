//! `/v1/chat/completions` and `/v1/completions`; whole bodies of `/v1/embeddings` and
//! `/v1/rerank`, which share the envelope.

use super::{ErrorBody, Filled, Gathered, Sign, Text, keep_first};
use crate::{FinishReason, ServerTimings, Usage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    timings: Option<ServerTimings>,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    text: Filled,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Filled,
    #[serde(default)]
    reasoning_content: Filled,
    #[serde(default)]
    tool_calls: Filled,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default, rename = "prompt_tokens")]
    prompt: Option<u64>,
    #[serde(default, rename = "completion_tokens")]
    completion: Option<u64>,
    #[serde(default, rename = "prompt_tokens_details")]
    details: Option<PromptDetails>,
    #[serde(default, rename = "completion_tokens_details")]
    made: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default, rename = "cached_tokens")]
    cached: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    #[serde(default, rename = "reasoning_tokens")]
    reasoning: Option<u64>,
}

impl Tokens {
    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt,
            cached_tokens: self.details.as_ref().and_then(|details| details.cached),
            completion_tokens: self.completion,
            reasoning_tokens: self.made.as_ref().and_then(|made| made.reasoning),
        }
    }
}

pub(super) fn event(data: &[u8], gathered: &mut Gathered) -> Sign {
    match serde_json::from_slice::<Document<'_>>(data) {
        Ok(document) => read(document, gathered),
        // Also the closing `[DONE]`, which is no JSON document.
        Err(_) => Sign::Nothing,
    }
}

pub(super) fn body(data: &[u8], gathered: &mut Gathered) -> bool {
    let Ok(document) = serde_json::from_slice::<Document<'_>>(data) else {
        return false;
    };
    gathered.several = document.choices.len() > 1;
    read(document, gathered) != Sign::Error
}

fn read(document: Document<'_>, gathered: &mut Gathered) -> Sign {
    if let Some(error) = document.error {
        gathered.error = Some(error.into_failure(|| "server_error".to_owned()));
        return Sign::Error;
    }
    keep_first(&mut gathered.response_id, document.id);
    keep_first(&mut gathered.model, document.model);
    if let Some(timings) = document.timings {
        gathered.timings = Some(timings);
    }
    if let Some(tokens) = document.usage {
        gathered.usage = tokens.usage();
    }
    let mut sign = Sign::Nothing;
    for choice in document.choices {
        let Delta {
            content,
            reasoning_content,
            tool_calls,
        } = choice.delta;
        if content.0 || reasoning_content.0 || tool_calls.0 || choice.text.0 {
            sign = Sign::Delta;
        }
        if let Some(reason) = choice.finish_reason {
            gathered
                .finish_reason
                .get_or_insert_with(|| FinishReason::from_server(reason.as_str()));
            sign = Sign::Finish;
        }
    }
    sign
}
