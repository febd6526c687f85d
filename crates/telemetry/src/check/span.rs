//! Rules of one span.

use super::attributes::Circumstances;
use super::rule::Rule;
use super::{At, Found, attributes, content};
use crate::conventions::registry::{SpanKind as Wanted, SpanType};
use crate::value::{Shown, find};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

pub(super) fn check(at: &At<'_>, span: &Span, found: Found<'_>) {
    ids(at, span, found);
    times(at, span, found);
    attributes::check(at, &span.attributes, found);
    for event in &span.events {
        attributes::check(at, &event.attributes, found);
    }
    for link in &span.links {
        attributes::check(at, &link.attributes, found);
    }
    let operation = text(&span.attributes, "gen_ai.operation.name");
    let kind = of(at, span, operation);
    if let Some(kind) = kind {
        of_type(at, span, kind, found);
    }
    if kind.is_some() || operation.is_some() {
        outcome(at, span, found);
    }
    content::check(at, &span.attributes, found);
    stream(at, span, found);
    tokens(at, &span.attributes, found);
}

/// Whether these bytes are an id: of their length, and not all zero.
pub(super) fn is_id(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.iter().any(|byte| *byte != 0)
}

fn ids(at: &At<'_>, span: &Span, found: Found<'_>) {
    let parent = &span.parent_span_id;
    let wrong = [
        (!is_id(&span.trace_id, 16)).then_some("the trace's id"),
        (!is_id(&span.span_id, 8)).then_some("the span's id"),
        (!parent.is_empty() && !is_id(parent, 8)).then_some("the parent's id"),
    ];
    for what in wrong.into_iter().flatten() {
        at.report(found, Rule::MalformedId, format!("{what} is none"));
    }
    for link in &span.links {
        if !is_id(&link.trace_id, 16) || !is_id(&link.span_id, 8) {
            at.report(found, Rule::MalformedId, "the id of a link is none");
        }
    }
}

fn times(at: &At<'_>, span: &Span, found: Found<'_>) {
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    if end < start {
        at.report(found, Rule::TimeInverted, "it ends before it begins");
        return;
    }
    for event in &span.events {
        if event.time_unix_nano < start || event.time_unix_nano > end {
            at.report(
                found,
                Rule::TimeInverted,
                format!("its event `{}` lies outside it", event.name),
            );
        }
    }
}

/// The type of a span: by its operation; without one, a span of ours by its name.
fn of(at: &At<'_>, span: &Span, operation: Option<&str>) -> Option<&'static SpanType> {
    let mut types = at
        .conventions
        .registries()
        .flat_map(|registry| registry.spans);
    if let Some(operation) = operation {
        return types.find(|kind| kind.operations.contains(&operation));
    }
    let ours = span
        .attributes
        .iter()
        .any(|attribute| attribute.key.starts_with("llamacpp."));
    types
        .find(|kind| ours && kind.operations.is_empty() && kind.names.contains(&span.name.as_str()))
}

fn of_type(at: &At<'_>, span: &Span, kind: &'static SpanType, found: Found<'_>) {
    let allowed = kind.kinds.iter().any(|wanted| match wanted {
        Wanted::Client => span.kind() == SpanKind::Client,
        Wanted::Internal => span.kind() == SpanKind::Internal,
    });
    if !allowed {
        at.report(
            found,
            Rule::SpanKind,
            format!("its kind is {}", span.kind().as_str_name()),
        );
    }
    let names: Vec<String> = kind
        .names
        .iter()
        .filter_map(|pattern| fill(pattern, &span.attributes))
        .collect();
    // With nothing to compare, another rule says what is missing.
    let misnamed = match names.first() {
        Some(best) => *best != span.name && !names[1..].contains(&span.name),
        None => false,
    };
    let operation = text(&span.attributes, "gen_ai.operation.name").unwrap_or_default();
    let rest = span.name.strip_prefix(operation).unwrap_or_default();
    let has_more = !operation.is_empty() && rest.starts_with(' ') && rest.len() > 1;
    // A name that holds more than the attributes do: the attribute is what is missing.
    let lacks = has_more && names.iter().all(|name| name == operation);
    if misnamed && !lacks {
        at.report(
            found,
            Rule::SpanName,
            format!("it should be named `{}`", names.join("` or `")),
        );
    }
    let circumstances = Circumstances {
        client: span.kind() == SpanKind::Client,
        named: has_more,
    };
    let requirements = &kind.requirements;
    attributes::require(at, &span.attributes, requirements, circumstances, found);
}

/// A pattern with its attributes' values; `None` if one of them is not there.
fn fill(pattern: &str, attributes: &[KeyValue]) -> Option<String> {
    let mut name = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, behind) = after.split_once('}')?;
        name.push_str(before);
        name.push_str(&Shown(find(attributes, key)?).to_string());
        rest = behind;
    }
    name.push_str(rest);
    Some(name)
}

fn outcome(at: &At<'_>, span: &Span, found: Found<'_>) {
    let failed = span
        .status
        .as_ref()
        .is_some_and(|status| status.code() == StatusCode::Error);
    match (failed, find(&span.attributes, "error.type")) {
        (true, None) => at.report(
            found,
            Rule::ErrorMismatch,
            "its status is an error, and `error.type` is missing",
        ),
        (false, Some(_)) => at.report(
            found,
            Rule::ErrorMismatch,
            "it has `error.type`, and its status is no error",
        ),
        _ => {}
    }
}

fn stream(at: &At<'_>, span: &Span, found: Found<'_>) {
    const CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    const STREAM: &str = "gen_ai.request.stream";
    let all = &span.attributes;
    let chunk = at.conventions.attribute_name(CHUNK);
    let stream = at.conventions.attribute_name(STREAM);
    if find(all, &chunk).is_some() && find(all, &stream) != Some(&Value::BoolValue(true)) {
        at.report(
            found,
            Rule::ChunkWithoutStream,
            format!("`{chunk}` is there, and `{stream}` is not true"),
        );
    }
}

/// Parts of token counts and their wholes, in the latest names.
const PARTS: &[(&str, &str)] = &[
    (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.input_tokens",
    ),
    (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.input_tokens",
    ),
    (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.output_tokens",
    ),
    ("llamacpp.draft.accepted_tokens", "llamacpp.draft.tokens"),
];

fn tokens(at: &At<'_>, attributes: &[KeyValue], found: Found<'_>) {
    let count = |latest: &'static str| {
        let name = at.conventions.attribute_name(latest);
        match find(attributes, &name) {
            Some(Value::IntValue(count)) => Some(*count),
            _ => None,
        }
    };
    for (part, whole) in PARTS {
        if let (Some(some), Some(all)) = (count(part), count(whole))
            && some > all
        {
            at.report(
                found,
                Rule::TokensContradict,
                format!("`{part}` is {some}, of {all} in `{whole}`"),
            );
        }
    }
    for KeyValue { key, .. } in attributes {
        if (key.ends_with("_tokens") || key.ends_with(".tokens"))
            && let Some(Value::IntValue(count)) = find(attributes, key)
            && *count < 0
        {
            at.report(found, Rule::TokensContradict, format!("`{key}` is {count}"));
        }
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match find(attributes, key) {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    }
}
