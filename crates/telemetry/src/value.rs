//! Attribute values as OTLP has them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// What can be the value of an attribute.
pub(crate) trait IntoValue {
    /// Its form in OTLP.
    fn into_value(self) -> Value;
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::StringValue(self.to_owned())
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::StringValue(self)
    }
}

impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::BoolValue(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::IntValue(self)
    }
}

impl IntoValue for f64 {
    fn into_value(self) -> Value {
        Value::DoubleValue(self)
    }
}

impl IntoValue for Vec<String> {
    fn into_value(self) -> Value {
        let values = self.into_iter().map(any).collect();
        Value::ArrayValue(ArrayValue { values })
    }
}

/// A value as it stands in lists and as the body of a log record.
pub(crate) fn any(value: impl IntoValue) -> AnyValue {
    AnyValue {
        value: Some(value.into_value()),
    }
}

/// One attribute.
pub(crate) fn key_value(key: impl Into<String>, value: impl IntoValue) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(any(value)),
        key_strindex: 0,
    }
}

/// The value of the first attribute of this name.
pub(crate) fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

/// Nanoseconds since 1970, as every time in OTLP is. Times before are 1970, times after 2554 the
/// last one that can be written.
pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A value for people: text as it is, lists in brackets.
pub(crate) struct Shown<'a>(pub(crate) &'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::StringValue(text) => f.write_str(text),
            Value::BoolValue(yes) => write!(f, "{yes}"),
            Value::IntValue(number) => write!(f, "{number}"),
            Value::DoubleValue(number) => write!(f, "{number}"),
            Value::ArrayValue(list) => {
                f.write_str("[")?;
                for (index, value) in list.values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    match &value.value {
                        Some(Value::StringValue(text)) => write!(f, "{text:?}")?,
                        Some(other) => Shown(other).fmt(f)?,
                        None => f.write_str("null")?,
                    }
                }
                f.write_str("]")
            }
            Value::KvlistValue(map) => {
                f.write_str("{")?;
                for (index, KeyValue { key, value, .. }) in map.values.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{key:?}:")?;
                    match value.as_ref().and_then(|value| value.value.as_ref()) {
                        Some(Value::StringValue(text)) => write!(f, "{text:?}")?,
                        Some(other) => Shown(other).fmt(f)?,
                        None => f.write_str("null")?,
                    }
                }
                f.write_str("}")
            }
            Value::BytesValue(bytes) => write!(f, "{} bytes", bytes.len()),
            Value::StringValueStrindex(index) => write!(f, "string {index}"),
        }
    }
}
