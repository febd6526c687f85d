//! Columns that several views have.

use super::{Column, From, Kind, Message, Narrows};
use crate::value::{Value, find_text};
use llamatelemetry_store::column;

pub(super) const TRACE_ID: Column = Column::new(
    "trace_id",
    Kind::Text,
    From::Id(column::TRACE),
    "The trace's id: 32 hexadecimal digits, lower case.",
)
.narrows(Narrows::Trace);

pub(super) const SPAN_ID: Column = Column::new(
    "span_id",
    Kind::Text,
    From::Id(column::SPAN),
    "The span's id: 16 hexadecimal digits, lower case.",
)
.narrows(Narrows::Span);

pub(super) const START: Column = Column::new(
    "start_time_unix_nano",
    Kind::Integer,
    From::Time,
    "When the span began, nanoseconds since 1970.",
)
.narrows(Narrows::Time);

pub(super) const SERVICE: Column = Column::new(
    "service_name",
    Kind::Text,
    From::Resource(|resource| find_text(&resource.attributes, "service.name")),
    "`service.name` of the resource.",
)
.narrows(Narrows::Service);

pub(super) const SCOPE_NAME: Column = Column::new(
    "scope_name",
    Kind::Text,
    From::Scope(|scope| Value::text(&scope.name)),
    "The instrumentation scope.",
);

pub(super) const SCOPE_VERSION: Column = Column::new(
    "scope_version",
    Kind::Text,
    From::Scope(|scope| Value::text(&scope.version)),
    "Its version.",
);

pub(super) const RESOURCE_ID: Column = Column::new(
    "resource_id",
    Kind::Text,
    From::ResourceId,
    "The row in `resources`.",
);

pub(super) const ATTRIBUTES: Column = Column::new(
    "attributes",
    Kind::Json,
    From::Message(|message| match message {
        Message::Span(span) => Value::attributes(&span.attributes),
        Message::Log(record) => Value::attributes(&record.attributes),
        Message::Point(metric) => Value::attributes(super::points::labels(metric)),
    }),
    "All attributes as an object: `attributes ->> 'server.port'`. Dear to read.",
);
