//! Log lines as a signal: this program's own `tracing` events ([`LogTap`]) and the lines of its
//! servers, each with the span that it belongs to where that is known.

mod repeats;
mod tap;

pub use tap::{LogTap, TapFilter, TapLayer};

pub(crate) use repeats::Repeats;

use crate::names::log;
use crate::value::{any, key_value, unix_nanos};
use llamatelemetry_record::{LoggedLine, Severity};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use std::time::SystemTime;

/// Fields whose name is another in OTLP.
const NAMES: &[(&str, &str)] = &[("pid", "process.pid")];

/// Attributes that are numbers, so that backends can compare them with those of spans.
const NUMBERS: &[&str] = &[
    "process.pid",
    "llamacpp.slot.id",
    "llamacpp.task.id",
    log::REPEATS,
];

/// The log record of a line.
pub(crate) fn record(line: &LoggedLine, observed: SystemTime) -> LogRecord {
    let (severity, text) = match line.severity {
        Severity::Trace => (SeverityNumber::Trace, "TRACE"),
        Severity::Debug => (SeverityNumber::Debug, "DEBUG"),
        Severity::Info => (SeverityNumber::Info, "INFO"),
        Severity::Warn => (SeverityNumber::Warn, "WARN"),
        Severity::Error => (SeverityNumber::Error, "ERROR"),
    };
    let mut attributes = vec![key_value(log::SOURCE, line.source.as_str())];
    attributes.extend(
        line.fields
            .iter()
            .map(|(name, value)| attribute(name, value)),
    );
    LogRecord {
        time_unix_nano: unix_nanos(line.at),
        observed_time_unix_nano: unix_nanos(observed),
        severity_number: severity.into(),
        severity_text: text.to_owned(),
        body: Some(any(line.text.as_str())),
        attributes,
        flags: line.context.map_or(0, |context| u32::from(context.sampled)),
        trace_id: line
            .context
            .map_or_else(Vec::new, |context| context.trace_id.0.to_vec()),
        span_id: line
            .context
            .map_or_else(Vec::new, |context| context.span_id.0.to_vec()),
        ..LogRecord::default()
    }
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let name = NAMES
        .iter()
        .find(|(field, _)| *field == name)
        .map_or(name, |(_, name)| name);
    match value.parse::<i64>() {
        Ok(number) if NUMBERS.contains(&name) => key_value(name, number),
        _ => key_value(name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::find;
    use llamatelemetry_record::{SpanId, TraceContext, TraceId};
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_line_becomes_a_record_of_its_span() {
        let line = LoggedLine {
            at: UNIX_EPOCH + Duration::from_secs(5),
            severity: Severity::Warn,
            source: "llama_server".into(),
            text: "slot context shift".into(),
            context: Some(TraceContext {
                trace_id: TraceId([1; 16]),
                span_id: SpanId([2; 8]),
                sampled: true,
            }),
            fields: vec![
                ("pid".into(), "42".into()),
                ("llamacpp.slot.id".into(), "3".into()),
                ("build".into(), "7".into()),
            ],
        };
        let made = record(&line, UNIX_EPOCH + Duration::from_secs(6));
        assert_eq!(made.time_unix_nano, 5_000_000_000);
        assert_eq!(made.observed_time_unix_nano, 6_000_000_000);
        assert_eq!(made.severity_number, 13);
        assert_eq!(made.severity_text, "WARN");
        assert_eq!(made.body, Some(any("slot context shift")));
        assert_eq!((made.trace_id, made.span_id), (vec![1; 16], vec![2; 8]));
        assert_eq!(made.flags, 1);
        let value = |name| find(&made.attributes, name).cloned();
        assert_eq!(value("process.pid"), Some(Value::IntValue(42)));
        assert_eq!(value("llamacpp.slot.id"), Some(Value::IntValue(3)));
        assert_eq!(value("build"), Some(Value::StringValue("7".into())));
        assert_eq!(
            value("llamacpp.log.source"),
            Some(Value::StringValue("llama_server".into()))
        );
    }

    #[test]
    fn a_line_of_no_span_has_no_ids() {
        let line = LoggedLine {
            at: UNIX_EPOCH,
            severity: Severity::Trace,
            source: "llamatelemetry_fetch".into(),
            text: String::new(),
            context: None,
            fields: Vec::new(),
        };
        let made = record(&line, UNIX_EPOCH);
        assert!(made.trace_id.is_empty() && made.span_id.is_empty());
        assert_eq!((made.severity_number, made.flags), (1, 0));
    }
}
