//! A log record in one line.

use super::{Detail, Moment, hex};
use crate::check::Document;
use crate::value::{self, Shown};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde::Serialize;
use std::collections::BTreeMap;

/// A log record for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogLine {
    /// When it happened or, if that is not stated, when it was seen.
    pub time: Moment,
    /// How grave it is: `INFO`, `WARN`; empty if that is not stated.
    pub level: String,
    /// The number of that in OTLP, 1 to 24; 0 if it is not stated.
    pub severity: i32,
    /// `service.name` of who sent it.
    pub service: Option<String>,
    /// The instrumentation scope.
    pub scope: String,
    /// The event's name, if it is an event.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// What it says.
    pub body: serde_json::Value,
    /// Its attributes.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// The trace it belongs to, in hexadecimal.
    pub trace_id: Option<String>,
    /// The span it belongs to, in hexadecimal.
    pub span_id: Option<String>,
}

impl LogLine {
    /// What it says in one line: the body or, without one, the event's name; behind it the
    /// attributes, if all is asked for or there is no body.
    pub fn text(&self, detail: Detail) -> String {
        let mut text = match &self.body {
            serde_json::Value::Null => self.event.clone(),
            serde_json::Value::String(body) => body.trim_end().to_owned(),
            other => other.to_string(),
        };
        let told = detail == Detail::All || self.body.is_null();
        for (key, value) in self.attributes.iter().filter(|_| told) {
            let value = match value {
                serde_json::Value::String(value) => value.clone(),
                other => other.to_string(),
            };
            text = format!("{text}  {key}={value}");
        }
        text.replace(char::is_control, " ")
    }
}

/// The log records of a document.
pub(super) fn lines(document: Document) -> Vec<LogLine> {
    let mut all = Vec::new();
    for from in document.logs.into_iter().flatten() {
        let attributes = from.resource.map(|from| from.attributes);
        let service = attributes.and_then(|all| match value::find(&all, "service.name")? {
            Value::StringValue(name) => Some(name.clone()),
            _ => None,
        });
        for by in from.scope_logs {
            let scope = by.scope.map(|scope| scope.name).unwrap_or_default();
            let records = by.log_records.into_iter();
            all.extend(records.map(|record| line(record, service.clone(), scope.clone())));
        }
    }
    all
}

fn line(record: LogRecord, service: Option<String>, scope: String) -> LogLine {
    let time = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    };
    let level = match record.severity_text.as_str() {
        "" => level(record.severity_number).to_owned(),
        text => text.to_uppercase(),
    };
    let id = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex(bytes));
    let attributes = record.attributes.into_iter();
    LogLine {
        time: Moment(time),
        level,
        severity: record.severity_number,
        service,
        scope,
        event: record.event_name,
        body: record.body.map_or(serde_json::Value::Null, json),
        attributes: attributes
            .map(|KeyValue { key, value, .. }| (key, value.map_or(serde_json::Value::Null, json)))
            .collect(),
        trace_id: id(&record.trace_id),
        span_id: id(&record.span_id),
    }
}

/// OTLP's name of a severity's number.
fn level(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}

/// A value as plain JSON.
pub(super) fn json(value: AnyValue) -> serde_json::Value {
    match value.value {
        None => serde_json::Value::Null,
        Some(Value::StringValue(text)) => text.into(),
        Some(Value::BoolValue(yes)) => yes.into(),
        Some(Value::IntValue(number)) => number.into(),
        Some(Value::DoubleValue(number)) => number.into(),
        Some(Value::ArrayValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Value::KvlistValue(map)) => map
            .values
            .into_iter()
            .map(|KeyValue { key, value, .. }| (key, value.map_or(serde_json::Value::Null, json)))
            .collect(),
        Some(other) => Shown(&other).to_string().into(),
    }
}
