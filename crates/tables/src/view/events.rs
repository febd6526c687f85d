//! `span_events` and `span_links`

use super::shared::{SPAN_ID, START, TRACE_ID};
use super::{Column, From, Kind, Message, Source, View};
use crate::value::Value;
use llamatelemetry_store::Signal;

/// An event of a span a row.
pub(super) static SPAN_EVENTS: View = View {
    name: "span_events",
    about: "An event of a span a row.",
    source: Source::Parts {
        signal: Signal::Traces,
        keys: &[],
        each: events,
    },
    columns: &[
        TRACE_ID,
        SPAN_ID,
        START,
        Column::new(
            "time_unix_nano",
            Kind::Integer,
            From::View,
            "When it happened, nanoseconds since 1970.",
        ),
        Column::new("name", Kind::Text, From::View, "The event's name."),
        Column::new(
            "attributes",
            Kind::Json,
            From::View,
            "Its attributes as an object.",
        ),
    ],
};

/// A link of a span a row.
pub(super) static SPAN_LINKS: View = View {
    name: "span_links",
    about: "A link from a span to another a row.",
    source: Source::Parts {
        signal: Signal::Traces,
        keys: &[],
        each: links,
    },
    columns: &[
        TRACE_ID,
        SPAN_ID,
        START,
        Column::new(
            "linked_trace_id",
            Kind::Text,
            From::View,
            "The other span's trace.",
        ),
        Column::new("linked_span_id", Kind::Text, From::View, "The other span."),
        Column::new(
            "trace_state",
            Kind::Text,
            From::View,
            "W3C's trace state of the link.",
        ),
        Column::new(
            "attributes",
            Kind::Json,
            From::View,
            "Its attributes as an object.",
        ),
    ],
};

fn events(message: &Message, rows: &mut Vec<Vec<Value>>) {
    let Message::Span(span) = message else { return };
    rows.extend(span.events.iter().map(|event| {
        vec![
            Value::id(&span.trace_id),
            Value::id(&span.span_id),
            Value::known(span.start_time_unix_nano),
            Value::known(event.time_unix_nano),
            Value::text(&event.name),
            Value::attributes(&event.attributes),
        ]
    }));
}

fn links(message: &Message, rows: &mut Vec<Vec<Value>>) {
    let Message::Span(span) = message else { return };
    rows.extend(span.links.iter().map(|link| {
        vec![
            Value::id(&span.trace_id),
            Value::id(&span.span_id),
            Value::known(span.start_time_unix_nano),
            Value::id(&link.trace_id),
            Value::id(&link.span_id),
            Value::text(&link.trace_state),
            Value::attributes(&link.attributes),
        ]
    }));
}
