//! Rules of attributes, wherever they stand.

use super::rule::Rule;
use super::{At, Found};
use crate::conventions::registry::{Attribute, Condition, Requirements, ValueKind};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// Checks names, types and values.
pub(super) fn check(at: &At<'_>, attributes: &[KeyValue], found: Found<'_>) {
    for KeyValue { key, value, .. } in attributes {
        match at.conventions.attribute(key) {
            Some(definition) => known(at, key, value.as_ref(), definition, found),
            None if at
                .conventions
                .registries()
                .any(|registry| registry.owns(key)) =>
            {
                at.report(
                    found,
                    Rule::UnknownAttribute,
                    format!("`{key}` is not defined in {}", at.conventions.profile()),
                );
            }
            None => {}
        }
    }
}

fn known(
    at: &At<'_>,
    key: &str,
    value: Option<&AnyValue>,
    definition: &Attribute,
    found: Found<'_>,
) {
    if let Some(successors) = definition.deprecated {
        let instead = instead(successors);
        at.report(
            found,
            Rule::DeprecatedName,
            format!("`{key}` is deprecated; {instead}"),
        );
        return;
    }
    let value = value.and_then(|value| value.value.as_ref());
    if !is_of(value, definition.kind) {
        at.report(
            found,
            Rule::TypeMismatch,
            format!(
                "`{key}` is {}, not {}",
                of_value(value),
                of_kind(definition.kind)
            ),
        );
        return;
    }
    if let Some(Value::StringValue(text)) = value
        && !definition.values.is_empty()
        && !definition.values.contains(&text.as_str())
    {
        let rule = if definition.closed {
            Rule::UnknownValue
        } else {
            Rule::CustomValue
        };
        at.report(found, rule, format!("`{key}` has no value `{text}`"));
    }
}

/// What takes the place of a deprecated name.
pub(super) fn instead(successors: &[&str]) -> String {
    if successors.is_empty() {
        "nothing takes its place".to_owned()
    } else {
        format!("its place takes `{}`", successors.join("`, `"))
    }
}

fn is_of(value: Option<&Value>, kind: ValueKind) -> bool {
    match (value, kind) {
        (None, _) => false,
        (_, ValueKind::Any)
        | (Some(Value::StringValue(_)), ValueKind::Text)
        | (Some(Value::IntValue(_)), ValueKind::Int)
        | (Some(Value::DoubleValue(_)), ValueKind::Double)
        | (Some(Value::BoolValue(_)), ValueKind::Boolean) => true,
        (Some(Value::ArrayValue(list)), ValueKind::Texts) => list
            .values
            .iter()
            .all(|value| matches!(value.value, Some(Value::StringValue(_)))),
        _ => false,
    }
}

const fn of_kind(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Int => "a whole number",
        ValueKind::Double => "a floating-point number",
        ValueKind::Boolean => "a boolean",
        ValueKind::Texts => "a list of texts",
        ValueKind::Any => "anything",
    }
}

const fn of_value(value: Option<&Value>) -> &'static str {
    match value {
        None => "empty",
        Some(Value::StringValue(_) | Value::StringValueStrindex(_)) => "text",
        Some(Value::BoolValue(_)) => "a boolean",
        Some(Value::IntValue(_)) => "a whole number",
        Some(Value::DoubleValue(_)) => "a floating-point number",
        Some(Value::ArrayValue(_)) => "a list of something else",
        Some(Value::KvlistValue(_)) => "a map",
        Some(Value::BytesValue(_)) => "bytes",
    }
}

/// What shows whether a condition holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circumstances {
    /// The span is of kind CLIENT.
    pub(super) client: bool,
    /// The span's name has more in it than its operation.
    pub(super) named: bool,
}

/// Checks that what is required is there. Failure and streaming have rules of their own.
pub(super) fn require(
    at: &At<'_>,
    attributes: &[KeyValue],
    requirements: &Requirements,
    circumstances: Circumstances,
    found: Found<'_>,
) {
    let has = |latest: &'static str| {
        let name = at.conventions.attribute_name(latest);
        attributes.iter().any(|attribute| attribute.key == name)
    };
    for name in requirements.required {
        if !has(name) {
            let name = at.conventions.attribute_name(name);
            at.report(found, Rule::RequiredMissing, format!("`{name}` is missing"));
        }
    }
    for (name, condition) in requirements.conditional {
        let why = match condition {
            Condition::With(other) if has(other) => format!("`{other}` is there"),
            Condition::InSpanName if circumstances.named => "the span's name has it".to_owned(),
            Condition::OnClient if circumstances.client => "the span is a client's".to_owned(),
            _ => continue,
        };
        if !has(name) {
            at.report(
                found,
                Rule::ConditionallyRequiredMissing,
                format!("`{name}` is missing, and {why}"),
            );
        }
    }
}
