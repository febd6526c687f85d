//! `/completion`, llama-server's own.

use super::{ErrorBody, Filled, Gathered, Sign, Text, keep_first};
use crate::{FinishReason, ServerTimings, Usage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    content: Filled,
    #[serde(default)]
    stop: bool,
    #[serde(borrow, default)]
    stop_type: Option<Text<'a>>,
    /// −1 in events before the last one.
    #[serde(default)]
    id_slot: Option<i64>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(default)]
    tokens_evaluated: Option<u64>,
    #[serde(default)]
    tokens_predicted: Option<u64>,
    #[serde(default)]
    timings: Option<ServerTimings>,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
}

impl Document<'_> {
    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.tokens_evaluated,
            cached_tokens: self.timings.map(|timings| timings.cache_n),
            completion_tokens: self.tokens_predicted,
            reasoning_tokens: None,
        }
    }
}

pub(super) fn event(data: &[u8], gathered: &mut Gathered) -> Sign {
    match serde_json::from_slice::<Document<'_>>(data) {
        Ok(document) => read(document, gathered),
        Err(_) => Sign::Nothing,
    }
}

pub(super) fn body(data: &[u8], gathered: &mut Gathered) -> bool {
    if let Ok(document) = serde_json::from_slice::<Document<'_>>(data) {
        return read(document, gathered) != Sign::Error;
    }
    // Several prompts are answered by a list, whose generations ran at the same time.
    let Ok(documents) = serde_json::from_slice::<Vec<Document<'_>>>(data) else {
        return false;
    };
    let sum = |of: fn(&Usage) -> Option<u64>| {
        documents
            .iter()
            .map(|document| of(&document.usage()))
            .sum::<Option<u64>>()
    };
    let usage = Usage {
        prompt_tokens: sum(|usage| usage.prompt_tokens),
        cached_tokens: sum(|usage| usage.cached_tokens),
        completion_tokens: sum(|usage| usage.completion_tokens),
        reasoning_tokens: None,
    };
    let Some(first) = documents.into_iter().next() else {
        return false;
    };
    let answered = read(first, gathered) != Sign::Error;
    gathered.several = true;
    gathered.usage = usage;
    gathered.timings = None;
    gathered.slot = None;
    answered
}

fn read(document: Document<'_>, gathered: &mut Gathered) -> Sign {
    if let Some(error) = document.error {
        gathered.error = Some(error.into_failure(|| "server_error".to_owned()));
        return Sign::Error;
    }
    // Before the last event the token counts grow; the last one has them all.
    gathered.usage = document.usage();
    keep_first(&mut gathered.model, document.model);
    if let Some(timings) = document.timings {
        gathered.timings = Some(timings);
    }
    if let Some(slot) = document.id_slot.and_then(|slot| u32::try_from(slot).ok()) {
        gathered.slot = Some(slot);
    }
    if document.stop {
        gathered.finish_reason = document
            .stop_type
            .as_ref()
            .and_then(|kind| finish_reason(kind.as_str()));
        Sign::Finish
    } else if document.content.0 {
        Sign::Delta
    } else {
        Sign::Nothing
    }
}

/// `stop_type` in the words of the other endpoints.
fn finish_reason(stop_type: &str) -> Option<FinishReason> {
    match stop_type {
        "eos" | "word" => Some(FinishReason::Stop),
        "limit" => Some(FinishReason::Length),
        "none" | "" => None,
        other => Some(FinishReason::Other(other.to_owned())),
    }
}
