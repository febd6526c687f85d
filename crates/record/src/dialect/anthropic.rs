//! `/v1/messages`.

use super::{ErrorBody, Filled, Gathered, Sign, Text, keep_first};
use crate::{Failure, FinishReason};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    message: Option<MessageOrText<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
    /// llama-server writes its error object bare: `{"code", "message", "type"}`.
    #[serde(default)]
    code: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MessageOrText<'a> {
    Message(#[serde(borrow)] Message<'a>),
    Text(#[serde(borrow)] Text<'a>),
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default)]
    text: Filled,
    #[serde(default)]
    thinking: Filled,
    #[serde(default)]
    partial_json: Filled,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Tokens {
    /// Without those taken from the cache.
    #[serde(default, rename = "input_tokens")]
    fresh: Option<u64>,
    #[serde(default, rename = "cache_read_input_tokens")]
    cached: Option<u64>,
    #[serde(default, rename = "output_tokens")]
    output: Option<u64>,
}

pub(super) fn event(data: &[u8], gathered: &mut Gathered) -> Sign {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
        return Sign::Nothing;
    };
    if let Some(error) = event.error {
        gathered.error = Some(error.into_failure(|| "server_error".to_owned()));
        return Sign::Error;
    }
    let message = match event.message {
        Some(MessageOrText::Text(text)) if event.code.is_some() => {
            gathered.error = Some(Failure {
                kind: event
                    .kind
                    .map_or_else(|| "server_error".to_owned(), Text::into_string),
                message: text.into_string(),
            });
            return Sign::Error;
        }
        Some(MessageOrText::Message(message)) => Some(message),
        _ => None,
    };
    if let Some(message) = message {
        read(message, gathered);
    }
    if let Some(tokens) = event.usage {
        count(&tokens, gathered);
    }
    let calls_tool = event
        .content_block
        .and_then(|block| block.kind)
        .is_some_and(|kind| kind.as_str() == "tool_use");
    match event.delta {
        Some(Delta {
            stop_reason: Some(reason),
            ..
        }) => {
            gathered.finish_reason = Some(finish_reason(reason.as_str()));
            Sign::Finish
        }
        Some(delta) if delta.text.0 || delta.thinking.0 || delta.partial_json.0 => Sign::Delta,
        _ if calls_tool => Sign::Delta,
        _ => Sign::Nothing,
    }
}

pub(super) fn body(data: &[u8], gathered: &mut Gathered) -> bool {
    serde_json::from_slice::<Message<'_>>(data)
        .map(|message| read(message, gathered))
        .is_ok()
}

fn read(message: Message<'_>, gathered: &mut Gathered) {
    keep_first(&mut gathered.response_id, message.id);
    keep_first(&mut gathered.model, message.model);
    if let Some(tokens) = message.usage {
        count(&tokens, gathered);
    }
    if let Some(reason) = message.stop_reason {
        gathered.finish_reason = Some(finish_reason(reason.as_str()));
    }
}

/// The opening event counts the prompt, the closing one the answer.
fn count(tokens: &Tokens, gathered: &mut Gathered) {
    let usage = &mut gathered.usage;
    if let Some(fresh) = tokens.fresh {
        usage.cached_tokens = tokens.cached;
        usage.prompt_tokens = fresh.checked_add(tokens.cached.unwrap_or(0));
    }
    if tokens.output.is_some() {
        usage.completion_tokens = tokens.output;
    }
}

/// `stop_reason` in the words of the other endpoints.
fn finish_reason(stop_reason: &str) -> FinishReason {
    match stop_reason {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        other => FinishReason::Other(other.to_owned()),
    }
}
