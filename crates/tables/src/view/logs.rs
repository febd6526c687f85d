//! `logs`

use super::shared::{ATTRIBUTES, RESOURCE_ID, SCOPE_NAME, SERVICE};
use super::{Column, From, Kind, Message, Narrows, Source, View};
use crate::value::Value;
use llamatelemetry_store::{Signal, column};

/// A log record a row.
pub(super) static LOGS: View = View {
    name: "logs",
    about: "A log record a row.",
    source: Source::Rows(Signal::Logs),
    columns: &[
        Column::new(
            "time_unix_nano",
            Kind::Integer,
            From::Time,
            "When it happened or, where that is not stated, when it was seen, nanoseconds since \
             1970.",
        )
        .narrows(Narrows::Time),
        Column::new(
            "observed_time_unix_nano",
            Kind::Integer,
            From::TimeAnd(column::log::OBSERVED, |time, later| {
                Value::known(time.wrapping_add(later))
            }),
            "When it was seen, nanoseconds since 1970.",
        ),
        Column::new(
            "severity_number",
            Kind::Integer,
            From::Number(column::log::SEVERITY, Value::known),
            "How grave it is by OTLP's numbers: 9 info, 13 warning, 17 error.",
        )
        .narrows(Narrows::Severity),
        Column::new(
            "severity_text",
            Kind::Text,
            From::Text(column::log::SEVERITY_TEXT),
            "The same as the sender names it.",
        ),
        Column::new(
            "body",
            Kind::Text,
            From::Message(|message| match message {
                Message::Log(record) => {
                    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
                    Value::any(body)
                }
                _ => Value::Null,
            }),
            "What it says; what is no text as JSON.",
        ),
        Column::new(
            "event_name",
            Kind::Text,
            From::Text(column::NAME),
            "The event's name, if it is an event.",
        )
        .narrows(Narrows::Name),
        super::shared::TRACE_ID,
        super::shared::SPAN_ID,
        SERVICE,
        SCOPE_NAME,
        RESOURCE_ID,
        ATTRIBUTES,
    ],
};
