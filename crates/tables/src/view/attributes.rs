//! `span_attributes`, `metric_attributes` and `log_attributes`

use super::shared::{SPAN_ID, START, TRACE_ID};
use super::{Column, From, Kind, Message, Narrows, Source, View};
use crate::value::{Value, type_name};
use llamatelemetry_store::{Signal, column};
use opentelemetry_proto::tonic::common::v1::KeyValue;

const KEY: Column =
    Column::new("key", Kind::Text, From::View, "The attribute's name.").narrows(Narrows::Key);
const TYPE: Column = Column::new(
    "type",
    Kind::Text,
    From::View,
    "`string`, `bool`, `int`, `double`, `bytes`, `array`, `map`, `empty`.",
);
const VALUE: Column = Column::new(
    "value",
    Kind::Any,
    From::View,
    "Its value: text and numbers as they are, truth as 0 and 1, lists and maps as JSON.",
)
.narrows(Narrows::Value);
const TIME: Column = Column::new(
    "time_unix_nano",
    Kind::Integer,
    From::Time,
    "The row's time, nanoseconds since 1970.",
)
.narrows(Narrows::Time);

/// An attribute of a span a row.
pub(super) static SPAN_ATTRIBUTES: View = View {
    name: "span_attributes",
    about: "An attribute of a span a row. `key` and `value` together find spans by any attribute.",
    source: Source::Parts {
        signal: Signal::Traces,
        keys: &[],
        each: of_span,
    },
    columns: &[TRACE_ID, SPAN_ID, START, KEY, TYPE, VALUE],
};

/// An attribute of a data point a row.
pub(super) static METRIC_ATTRIBUTES: View = View {
    name: "metric_attributes",
    about: "An attribute of a metric's point a row.",
    source: Source::Parts {
        signal: Signal::Metrics,
        keys: &[],
        each: of_point,
    },
    columns: &[
        Column::new(
            "name",
            Kind::Text,
            From::Text(column::NAME),
            "The metric's name.",
        )
        .narrows(Narrows::Name),
        TIME,
        KEY,
        TYPE,
        VALUE,
    ],
};

/// An attribute of a log record a row.
pub(super) static LOG_ATTRIBUTES: View = View {
    name: "log_attributes",
    about: "An attribute of a log record a row.",
    source: Source::Parts {
        signal: Signal::Logs,
        keys: &[],
        each: of_log,
    },
    columns: &[TRACE_ID, SPAN_ID, TIME, KEY, TYPE, VALUE],
};

fn of_span(message: &Message, rows: &mut Vec<Vec<Value>>) {
    let Message::Span(span) = message else { return };
    let row = [
        Value::id(&span.trace_id),
        Value::id(&span.span_id),
        Value::known(span.start_time_unix_nano),
    ];
    each(&row, &span.attributes, rows);
}

fn of_point(message: &Message, rows: &mut Vec<Vec<Value>>) {
    let Message::Point(metric) = message else {
        return;
    };
    let time = super::points::times(metric).0;
    let row = [Value::text(&metric.name), Value::known(time)];
    each(&row, super::points::labels(metric), rows);
}

fn of_log(message: &Message, rows: &mut Vec<Vec<Value>>) {
    let Message::Log(record) = message else {
        return;
    };
    let time = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    };
    let row = [
        Value::id(&record.trace_id),
        Value::id(&record.span_id),
        Value::known(time),
    ];
    each(&row, &record.attributes, rows);
}

fn each(row: &[Value], attributes: &[KeyValue], rows: &mut Vec<Vec<Value>>) {
    rows.extend(attributes.iter().map(|KeyValue { key, value, .. }| {
        let value = value.as_ref().and_then(|value| value.value.as_ref());
        let mut cells = row.to_vec();
        cells.extend([
            Value::Text(key.as_str().into()),
            Value::text(type_name(value)),
            Value::any(value),
        ]);
        cells
    }));
}
