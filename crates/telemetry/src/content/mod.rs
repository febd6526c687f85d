//! Messages in the form that the conventions define: as JSON for span attributes, structured for
//! log records.

mod fit;
mod parts;

pub(crate) use fit::cut;

use crate::names::attribute;
use crate::value::key_value;
use llamatelemetry_record::{Content, FinishReason, RequestRecord};
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde_json::Value;

/// Whether structured messages are a part of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structured {
    Included,
    LeftOut,
}

/// Characters of one text at most, where no limit is set: a whole context of a large model.
const PART_AT_MOST: usize = 1 << 20;
/// Characters of all messages at most, where no limit is set: collectors take payloads of some ten
/// megabytes.
const WHOLE_AT_MOST: usize = 4 << 20;

/// What was sent, as JSON of at most `limit` characters; `None` if it cannot be made so short.
pub(crate) fn input(content: &Content, limit: Option<usize>) -> Option<String> {
    json(&parts::messages(&content.input), limit)
}

/// What came back, likewise. The finish reason is always there: some backends drop messages
/// without one.
pub(crate) fn output(
    content: &Content,
    finish_reason: &str,
    limit: Option<usize>,
) -> Option<String> {
    json(&parts::answers(&content.output, finish_reason), limit)
}

/// Instructions given apart from the messages, likewise; `None` also if there are none.
pub(crate) fn system_instructions(content: &Content, limit: Option<usize>) -> Option<String> {
    let parts = parts::all(&content.system_instructions);
    (!parts.is_empty()).then(|| json(&parts, limit)).flatten()
}

/// The tools that were offered, likewise.
pub(crate) fn tool_definitions(content: &Content, limit: Option<usize>) -> Option<String> {
    let tools = parts::tools(&content.tool_definitions);
    (!tools.is_empty()).then(|| json(&tools, limit)).flatten()
}

/// What a tool was given or gave back, of at most `limit` characters: JSON stays JSON if it can.
pub(crate) fn text(text: &str, limit: Option<usize>) -> String {
    let longest = limit.unwrap_or(PART_AT_MOST);
    let short = cut(text, longest);
    if short.len() < text.len()
        && let Ok(value) = serde_json::from_str::<Value>(text)
        && (value.is_object() || value.is_array())
        // Within a list, whose brackets do not count.
        && let Some((items, _)) = fit::fitted(&[value], longest, longest.saturating_add(2))
        && let Some(item) = items.first()
    {
        return item.to_string();
    }
    short.to_owned()
}

/// All that was said as attributes of a log record, which has maps and lists; what cannot be made
/// as short as `limit` is left out.
pub(crate) fn structured(
    content: &Content,
    finish_reason: &str,
    limit: Option<usize>,
) -> Vec<KeyValue> {
    let all = [
        (
            attribute::SYSTEM_INSTRUCTIONS,
            parts::all(&content.system_instructions),
        ),
        (
            attribute::TOOL_DEFINITIONS,
            parts::tools(&content.tool_definitions),
        ),
        (attribute::INPUT_MESSAGES, parts::messages(&content.input)),
        (
            attribute::OUTPUT_MESSAGES,
            parts::answers(&content.output, finish_reason),
        ),
    ];
    all.into_iter()
        .filter(|(_, items)| !items.is_empty())
        .filter_map(|(key, items)| {
            let whole = limit.unwrap_or(WHOLE_AT_MOST);
            let (items, _) = fit::fitted(&items, PART_AT_MOST, whole)?;
            Some(KeyValue {
                value: Some(any(Value::Array(items))),
                ..key_value(key, "")
            })
        })
        .collect()
}

/// Why the answer ended, in the conventions' words.
pub(crate) fn finish_reason(record: &RequestRecord) -> &str {
    match (&record.failure, &record.finish_reason) {
        (Some(_), _) => "error",
        (None, Some(FinishReason::ToolCalls)) => "tool_call",
        (None, Some(reason)) => reason.as_str(),
        (None, None) => "unknown",
    }
}

fn any(value: Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(yes) => Some(OtlpValue::BoolValue(yes)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Some(OtlpValue::IntValue(number)),
            None => number.as_f64().map(OtlpValue::DoubleValue),
        },
        Value::String(text) => Some(OtlpValue::StringValue(text)),
        Value::Array(items) => Some(OtlpValue::ArrayValue(ArrayValue {
            values: items.into_iter().map(any).collect(),
        })),
        Value::Object(fields) => {
            let values = fields.into_iter().map(|(key, value)| KeyValue {
                value: Some(any(value)),
                ..key_value(key, "")
            });
            Some(OtlpValue::KvlistValue(KeyValueList {
                values: values.collect(),
            }))
        }
    };
    AnyValue { value }
}

fn json(items: &[Value], limit: Option<usize>) -> Option<String> {
    fit::fitted(items, PART_AT_MOST, limit.unwrap_or(WHOLE_AT_MOST)).map(|(_, json)| json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::{Message, Modality, Part};

    fn content() -> Content {
        Content {
            input: vec![Message::text("user", "Zähle \"bis\" drei")],
            output: vec![Message {
                role: "assistant".into(),
                name: None,
                parts: vec![
                    Part::Reasoning {
                        content: "hm".into(),
                    },
                    Part::text("eins\nzwei"),
                ],
            }],
            ..Content::default()
        }
    }

    #[test]
    fn messages_have_the_form_of_the_conventions() {
        assert_eq!(
            input(&content(), None).unwrap(),
            r#"[{"role":"user","parts":[{"type":"text","content":"Zähle \"bis\" drei"}]}]"#
        );
        assert_eq!(
            output(&content(), "stop", None).unwrap(),
            r#"[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"eins\nzwei"}],"finish_reason":"stop"}]"#
        );
        assert_eq!(system_instructions(&content(), None), None);
        assert_eq!(tool_definitions(&content(), None), None);
    }

    #[test]
    fn what_a_tool_gave_is_cut_and_stays_json() {
        let long = "x".repeat(200);
        let json = format!(r#"{{"days":3,"said":"{long}"}}"#);
        assert_eq!(text(&json, None), json);
        let short = text(&json, Some(100));
        assert!(short.len() <= 100, "{short}");
        let value: Value = serde_json::from_str(&short).unwrap();
        assert_eq!(value["days"], 3);
        assert!(value["truncated_characters"].as_u64().unwrap() > 100);
        assert_eq!(text(&long, Some(10)), "x".repeat(10));
    }

    #[test]
    fn every_part_has_its_form() {
        let (modality, mime_type) = (Modality::Image, Some("image/png".to_owned()));
        let message = Message {
            role: "user".into(),
            name: Some("Ada".into()),
            parts: vec![
                Part::ToolCall {
                    id: Some("c1".into()),
                    name: "weather".into(),
                    arguments: r#"{"city":"Rome"}"#.into(),
                },
                Part::ToolCall {
                    id: None,
                    name: "broken".into(),
                    arguments: r#"{"city":"#.into(),
                },
                Part::ToolCallResponse {
                    id: Some("c1".into()),
                    response: "22 C".into(),
                },
                Part::Uri {
                    modality,
                    mime_type: None,
                    uri: "https://host/p.png".into(),
                },
                Part::Blob {
                    modality,
                    mime_type: mime_type.clone(),
                    bytes: 5,
                    sha256: Some("ab".into()),
                },
                Part::File {
                    modality,
                    mime_type,
                    file_id: "f1".into(),
                },
            ],
        };
        let content = Content {
            input: vec![message],
            system_instructions: vec![Part::text("Be brief.")],
            tool_definitions: vec![serde_json::json!({"type": "function", "function": {
                "name": "weather", "description": "d", "parameters": {"type": "object"}}})],
            ..Content::default()
        };
        let input = input(&content, None).unwrap();
        let expected = concat!(
            r#"[{"role":"user","name":"Ada","parts":["#,
            r#"{"type":"tool_call","id":"c1","name":"weather","arguments":{"city":"Rome"}},"#,
            r#"{"type":"tool_call","name":"broken","arguments":"{\"city\":"},"#,
            r#"{"type":"tool_call_response","id":"c1","response":"22 C"},"#,
            r#"{"type":"uri","modality":"image","uri":"https://host/p.png"},"#,
            r#"{"type":"blob","modality":"image","mime_type":"image/png","content":"","bytes":5,"sha256":"ab"},"#,
            r#"{"type":"file","modality":"image","mime_type":"image/png","file_id":"f1"}]}]"#,
        );
        assert_eq!(input, expected);
        assert_eq!(
            system_instructions(&content, None).unwrap(),
            r#"[{"type":"text","content":"Be brief."}]"#
        );
        assert_eq!(
            tool_definitions(&content, None).unwrap(),
            r#"[{"type":"function","name":"weather","description":"d","parameters":{"type":"object"}}]"#
        );
    }

    #[test]
    fn what_is_cut_is_still_json() {
        let whole = input(&content(), None).unwrap().chars().count();
        for limit in 0..=whole {
            let Some(json) = input(&content(), Some(limit)) else {
                continue;
            };
            assert!(json.chars().count() <= limit);
            serde_json::from_str::<Value>(&json).unwrap();
        }
        assert_eq!(input(&content(), Some(whole)), input(&content(), None));
    }
}
