//! `/v1/responses`.

use super::{ErrorBody, Filled, Gathered, Sign, Text, keep_first};
use crate::{FinishReason, ServerTimings, Usage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    delta: Filled,
    #[serde(borrow, default)]
    item: Option<Item<'a>>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
    #[serde(default)]
    timings: Option<ServerTimings>,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow, default)]
    reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default, rename = "input_tokens")]
    input: Option<u64>,
    #[serde(default, rename = "output_tokens")]
    output: Option<u64>,
    #[serde(default, rename = "input_tokens_details")]
    details: Option<InputDetails>,
    #[serde(default, rename = "output_tokens_details")]
    made: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default, rename = "cached_tokens")]
    cached: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default, rename = "reasoning_tokens")]
    reasoning: Option<u64>,
}

pub(super) fn event(data: &[u8], gathered: &mut Gathered) -> Sign {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
        return Sign::Nothing;
    };
    if let Some(error) = event.error {
        gathered.error = Some(error.into_failure(|| "server_error".to_owned()));
        return Sign::Error;
    }
    if let Some(timings) = event.timings {
        gathered.timings = Some(timings);
    }
    if let Some(response) = event.response
        && read(response, gathered) == Sign::Error
    {
        return Sign::Error;
    }
    let kind = event.kind.as_ref().map_or("", Text::as_str);
    let starts_call = || {
        event
            .item
            .as_ref()
            .and_then(|item| item.kind.as_ref())
            .is_some_and(|kind| kind.as_str() == "function_call")
    };
    match kind {
        "response.completed" | "response.incomplete" => Sign::Finish,
        "response.output_item.added" if starts_call() => Sign::Delta,
        // Only events of text, reasoning and arguments have a `delta`.
        _ if event.delta.0 => Sign::Delta,
        _ => Sign::Nothing,
    }
}

pub(super) fn body(data: &[u8], gathered: &mut Gathered) -> bool {
    serde_json::from_slice::<Response<'_>>(data)
        .is_ok_and(|response| read(response, gathered) != Sign::Error)
}

fn read(response: Response<'_>, gathered: &mut Gathered) -> Sign {
    if let Some(error) = response.error {
        gathered.error = Some(error.into_failure(|| "server_error".to_owned()));
        return Sign::Error;
    }
    keep_first(&mut gathered.response_id, response.id);
    keep_first(&mut gathered.model, response.model);
    if let Some(tokens) = response.usage {
        gathered.usage = Usage {
            prompt_tokens: tokens.input,
            cached_tokens: tokens.details.and_then(|details| details.cached),
            completion_tokens: tokens.output,
            reasoning_tokens: tokens.made.and_then(|made| made.reasoning),
        };
    }
    // llama-server calls an answer that met its limit `completed` too, so that word tells no
    // reason; `incomplete` does.
    if response
        .status
        .is_some_and(|status| status.as_str() == "incomplete")
    {
        gathered.finish_reason = response
            .incomplete_details
            .and_then(|details| details.reason)
            .map(|reason| match reason.as_str() {
                "max_output_tokens" => FinishReason::Length,
                other => FinishReason::Other(other.to_owned()),
            });
    }
    Sign::Nothing
}
