//! A cell of a view.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use std::fmt::Write as _;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// A cell of a view. What is not known is `Null`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Integer(i64),
    Real(f64),
    Text(Arc<str>),
    Blob(Arc<[u8]>),
}

impl Value {
    /// A number; `Null` beyond what SQL's integers hold.
    pub(crate) fn count(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Null, Self::Integer)
    }

    /// A number that is not 0.
    pub(crate) fn known(number: u64) -> Self {
        if number == 0 {
            Self::Null
        } else {
            Self::count(number)
        }
    }

    /// A number that may not be there; not-a-number is not there.
    pub(crate) fn real(number: Option<f64>) -> Self {
        match number {
            Some(number) if !number.is_nan() => Self::Real(number),
            _ => Self::Null,
        }
    }

    /// A text that is not empty.
    pub(crate) fn text(text: &str) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(text.into())
        }
    }

    /// A number that stands for these cells.
    pub(crate) fn hash_of(cells: &[Self]) -> i64 {
        let mut hash = Xxh3::new();
        for cell in cells {
            let (kind, bytes): (u8, &[u8]) = match cell {
                Self::Null => (0, &[]),
                Self::Integer(number) => (1, &number.to_le_bytes()),
                Self::Real(number) => (2, &number.to_bits().to_le_bytes()),
                Self::Text(text) => (3, text.as_bytes()),
                Self::Blob(bytes) => (4, bytes),
            };
            hash.update(&[kind]);
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        hash.digest().cast_signed()
    }

    /// An id in hexadecimal.
    pub(crate) fn id(bytes: &[u8]) -> Self {
        Self::text(&hex(bytes))
    }

    /// JSON.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Text(value.to_string().into())
    }

    /// Attributes as a JSON object; `Null` where there are none.
    pub(crate) fn attributes(all: &[KeyValue]) -> Self {
        if all.is_empty() {
            Self::Null
        } else {
            Self::json(&object(all))
        }
    }

    /// An attribute's value as SQL has it: truth as 0 and 1, lists and maps as JSON, bytes as they
    /// are.
    pub(crate) fn any(value: Option<&Any>) -> Self {
        match value {
            None | Some(Any::StringValueStrindex(_)) => Self::Null,
            Some(Any::StringValue(text)) => Self::Text(text.as_str().into()),
            Some(Any::BoolValue(yes)) => Self::Integer(i64::from(*yes)),
            Some(Any::IntValue(number)) => Self::Integer(*number),
            Some(Any::DoubleValue(number)) => Self::real(Some(*number)),
            Some(Any::BytesValue(bytes)) => Self::Blob(bytes.as_slice().into()),
            Some(value @ (Any::ArrayValue(_) | Any::KvlistValue(_))) => Self::json(&json(value)),
        }
    }
}

/// What kind of value an attribute has.
pub(crate) fn type_name(value: Option<&Any>) -> &'static str {
    match value {
        None | Some(Any::StringValueStrindex(_)) => "empty",
        Some(Any::StringValue(_)) => "string",
        Some(Any::BoolValue(_)) => "bool",
        Some(Any::IntValue(_)) => "int",
        Some(Any::DoubleValue(_)) => "double",
        Some(Any::BytesValue(_)) => "bytes",
        Some(Any::ArrayValue(_)) => "array",
        Some(Any::KvlistValue(_)) => "map",
    }
}

/// Attributes as a JSON object. Of several by one key the first.
pub(crate) fn object(all: &[KeyValue]) -> serde_json::Value {
    let mut map = serde_json::Map::new();
    for KeyValue { key, value, .. } in all {
        if !map.contains_key(key) {
            map.insert(key.clone(), optional(value.as_ref()));
        }
    }
    map.into()
}

/// A value as plain JSON; bytes in base64, as in OTLP's own.
pub(crate) fn json(value: &Any) -> serde_json::Value {
    match value {
        Any::StringValue(text) => text.as_str().into(),
        Any::BoolValue(yes) => (*yes).into(),
        Any::IntValue(number) => (*number).into(),
        Any::DoubleValue(number) => (*number).into(),
        Any::BytesValue(bytes) => STANDARD.encode(bytes).into(),
        Any::ArrayValue(list) => list
            .values
            .iter()
            .map(|item| optional(Some(item)))
            .collect(),
        Any::KvlistValue(map) => object(&map.values),
        Any::StringValueStrindex(_) => serde_json::Value::Null,
    }
}

fn optional(value: Option<&AnyValue>) -> serde_json::Value {
    let value = value.and_then(|value| value.value.as_ref());
    value.map_or(serde_json::Value::Null, json)
}

/// The value of the first attribute of this name.
pub(crate) fn find<'a>(all: &'a [KeyValue], key: &str) -> Option<&'a Any> {
    let attribute = all.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

/// The text of the first attribute of this name.
pub(crate) fn find_text(all: &[KeyValue], key: &str) -> Value {
    match find(all, key) {
        Some(Any::StringValue(text)) => Value::text(text),
        _ => Value::Null,
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Bytes out of lower-case hexadecimal, as views have it.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive() {
        assert_eq!(unhex::<3>("0aff10"), Some([0x0a, 0xff, 0x10]));
        assert_eq!(hex(&[0x0a, 0xff, 0x10]), "0aff10");
        for wrong in ["0aff1", "0aFF10", "0aff1g", "0aff100a", "éaff"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_null() {
        assert_eq!(Value::known(0), Value::Null);
        assert_eq!(Value::count(u64::MAX), Value::Null);
        assert_eq!(Value::real(Some(f64::NAN)), Value::Null);
        assert_eq!(Value::attributes(&[]), Value::Null);
        assert_eq!(
            Value::any(Some(&Any::StringValue(String::new()))),
            Value::Text("".into())
        );
    }
}
