//! What a span adds to the sums of its block.

use crate::rollup::{RollupKey, Rollups, add_to};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

const SERVICE: &str = "service.name";
const OPERATION: &str = "gen_ai.operation.name";
const MODEL: &str = "gen_ai.request.model";
const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
const CACHED_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
const JOULES: &str = "llamacpp.energy";

/// Bytes of a name that sums are kept by; what is longer is cut, so that a hostile one is not kept
/// again for every minute.
const LONGEST_NAME: usize = 256;

const MINUTE: u64 = 60_000_000_000;
const ERROR: i32 = 2;

pub(super) fn service(resource: Option<&Resource>) -> String {
    resource
        .and_then(|resource| text(&resource.attributes, SERVICE))
        .map(name)
        .unwrap_or_default()
}

/// As much of a text as sums are kept by.
fn name(text: &str) -> String {
    let mut end = LONGEST_NAME.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Counts a span, if it is a request to a model or another operation of the GenAI conventions.
pub(super) fn add(rollups: &mut Rollups, service: &str, span: &Span) {
    let attributes = &span.attributes;
    let Some(operation) = text(attributes, OPERATION) else {
        return;
    };
    let key = RollupKey {
        minute: span.start_time_unix_nano / MINUTE,
        service: service.to_owned(),
        model: text(attributes, MODEL).map(name).unwrap_or_default(),
        operation: name(operation),
        failed: span
            .status
            .as_ref()
            .is_some_and(|status| status.code == ERROR),
    };
    let sums = rollups.entry(key).or_default();
    add_to(&mut sums.spans, 1);
    add_to(&mut sums.input_tokens, count(attributes, INPUT_TOKENS));
    add_to(&mut sums.cached_tokens, count(attributes, CACHED_TOKENS));
    add_to(&mut sums.output_tokens, count(attributes, OUTPUT_TOKENS));
    // The wrong way round in time is no duration.
    if let Some(time) = span
        .end_time_unix_nano
        .checked_sub(span.start_time_unix_nano)
    {
        sums.duration.add(time);
    }
    if let Some(seconds) = double(attributes, FIRST_CHUNK).filter(|time| *time >= 0.0) {
        sums.first_chunk.add(whole(seconds * 1e9));
    }
    if let Some(joules) = double(attributes, JOULES).filter(|joules| *joules >= 0.0) {
        add_to(&mut sums.microjoules, whole(joules * 1e6));
    }
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match find(attributes, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn count(attributes: &[KeyValue], key: &str) -> u64 {
    match find(attributes, key) {
        Some(Value::IntValue(count)) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

fn double(attributes: &[KeyValue], key: &str) -> Option<f64> {
    match find(attributes, key)? {
        Value::DoubleValue(number) => Some(*number),
        _ => None,
    }
}

/// A float that is not negative, without its fraction; beyond `u64` it is the largest.
#[expect(clippy::cast_sign_loss, reason = "the callers pass no negative number")]
fn whole(number: f64) -> u64 {
    number as u64
}
