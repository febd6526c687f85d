//! Events of requests: log records beside their spans, for those who keep content apart from
//! traces.

use crate::content::{self, Structured};
use crate::names::{attribute, event, log};
use crate::value::{key_value, unix_nanos};
use llamatelemetry_record::RequestRecord;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::SystemTime;

/// The request with all that its span has; what was said is structured, not text. `content` says
/// whether it is there at all.
pub(crate) fn details(
    record: &RequestRecord,
    span: &Span,
    content: Structured,
    limit: Option<usize>,
) -> LogRecord {
    let plain = |attribute: &&KeyValue| !attribute::CONTENT.contains(&attribute.key.as_str());
    let mut attributes: Vec<KeyValue> = span.attributes.iter().filter(plain).cloned().collect();
    if content == Structured::Included
        && let Some(said) = &record.content
    {
        let reason = content::finish_reason(record);
        attributes.extend(content::structured(said, reason, limit));
    }
    LogRecord {
        severity_number: SeverityNumber::Debug.into(),
        severity_text: "DEBUG".to_owned(),
        event_name: event::DETAILS.to_owned(),
        attributes,
        ..of(record, span)
    }
}

/// That a request failed; `None` if it did not.
pub(crate) fn exception(record: &RequestRecord, span: &Span) -> Option<LogRecord> {
    let failure = record.failure.as_ref()?;
    Some(LogRecord {
        severity_number: SeverityNumber::Warn.into(),
        severity_text: "WARN".to_owned(),
        event_name: event::EXCEPTION.to_owned(),
        attributes: vec![
            key_value(log::EXCEPTION_TYPE, failure.kind.as_str()),
            key_value(log::EXCEPTION_MESSAGE, failure.message.as_str()),
        ],
        ..of(record, span)
    })
}

/// A record of this request, at its end. Whether its trace is kept is said by others.
fn of(record: &RequestRecord, span: &Span) -> LogRecord {
    LogRecord {
        time_unix_nano: span.end_time_unix_nano,
        observed_time_unix_nano: unix_nanos(SystemTime::now()),
        trace_id: record.trace_id.0.to_vec(),
        span_id: record.span_id.0.to_vec(),
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::find;
    use crate::{SpanLimits, spans};
    use llamatelemetry_record::{Content, Endpoint, Failure, Message, SpanId, TraceId};
    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    fn record() -> RequestRecord {
        let mut record = RequestRecord::new(
            TraceId([1; 16]),
            SpanId([2; 8]),
            Endpoint::ChatCompletions,
            SystemTime::UNIX_EPOCH,
        );
        record.content = Some(Content {
            input: vec![Message::text("user", "hello")],
            output: vec![Message::text("assistant", "hi")],
            ..Content::default()
        });
        record
    }

    #[test]
    fn the_event_has_the_spans_attributes_and_structured_messages() {
        let record = record();
        let span = &spans(&record, &SpanLimits::default())[0];
        let made = details(&record, span, Structured::Included, None);
        assert_eq!(made.event_name, "gen_ai.client.inference.operation.details");
        assert_eq!(made.severity_number, 5);
        assert_eq!((made.trace_id, made.span_id), (vec![1; 16], vec![2; 8]));
        assert!(find(&made.attributes, "gen_ai.operation.name").is_some());
        let messages = find(&made.attributes, "gen_ai.input.messages");
        assert!(matches!(messages, Some(Value::ArrayValue(list)) if list.values.len() == 1));
        let without = details(&record, span, Structured::LeftOut, None);
        assert_eq!(find(&without.attributes, "gen_ai.input.messages"), None);
        assert!(!format!("{without:?}").contains("hello"));
    }

    #[test]
    fn a_failure_is_an_event_of_its_own() {
        let mut record = record();
        let span = spans(&record, &SpanLimits::default()).remove(0);
        assert_eq!(exception(&record, &span), None);
        record.failure = Some(Failure {
            kind: "timeout".into(),
            message: "too late".into(),
        });
        let made = exception(&record, &span).unwrap();
        assert_eq!(made.event_name, "gen_ai.client.operation.exception");
        assert_eq!(made.severity_number, 13);
        assert_eq!(
            find(&made.attributes, "exception.type"),
            Some(&Value::StringValue("timeout".into()))
        );
    }
}
