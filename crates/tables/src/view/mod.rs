//! The views: what columns they have and where the values come from.

mod attributes;
mod document;
mod events;
mod logs;
mod messages;
mod points;
mod requests;
mod resources;
mod shared;
mod spans;

pub use document::markdown;
pub(crate) use resources::id as resource_id;

use crate::TablesError;
use crate::value::Value;
use llamatelemetry_store::{NumberColumn, Signal, Snapshot, TextColumn};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::ops::Range;

/// Every view.
pub static VIEWS: &[&View] = &[
    &spans::SPANS,
    &attributes::SPAN_ATTRIBUTES,
    &events::SPAN_EVENTS,
    &events::SPAN_LINKS,
    &messages::MESSAGES,
    &requests::MODEL_REQUESTS,
    &points::METRIC_POINTS,
    &attributes::METRIC_ATTRIBUTES,
    &logs::LOGS,
    &attributes::LOG_ATTRIBUTES,
    &resources::RESOURCES,
];

/// The view of this name.
pub fn view(name: &str) -> Option<&'static View> {
    VIEWS.iter().copied().find(|view| view.name == name)
}

impl View {
    /// Whether its values of any kind are numbers: those of a metric's points are.
    pub(crate) fn is_numeric(&self) -> bool {
        matches!(self.source, Source::Rows(Signal::Metrics))
    }
}

/// A table that can be asked.
#[derive(Debug)]
pub struct View {
    /// Its name in SQL.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    pub(crate) source: Source,
}

/// A column of a view.
#[derive(Debug)]
pub struct Column {
    /// Its name in SQL; it ends in the unit.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it means.
    pub about: &'static str,
    pub(crate) from: From,
    pub(crate) narrows: Narrows,
}

/// What a column's values are, where they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Real,
    /// A text.
    Text,
    /// A text that is JSON.
    Json,
    /// A number, a text or bytes, as the sender put it.
    Any,
}

impl Kind {
    /// The type as SQL declares it.
    pub const fn declared(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Text => "TEXT",
            Self::Json => "JSON",
            // No type: a comparison does not change what is compared.
            Self::Any => "",
        }
    }
}

/// Where a view's rows come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// One row of the view for each row of the signal, column by column.
    Rows(Signal),
    /// Any number of rows of the view for each row of the signal. With keys, only rows that have
    /// one of these attributes.
    Parts {
        signal: Signal,
        keys: &'static [&'static str],
        each: fn(&Message, &mut Vec<Vec<Value>>),
    },
    /// All at once: there are few.
    Whole(fn(&Snapshot, Option<&Range<u64>>) -> Result<Whole, TablesError>),
}

/// The rows of a view that has few.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) rows: Vec<Vec<Value>>,
    /// Blocks that could not be read, with the reason.
    pub(crate) damaged: Vec<String>,
}

impl Source {
    pub(crate) const fn signal(&self) -> Option<Signal> {
        match self {
            Self::Rows(signal) | Self::Parts { signal, .. } => Some(*signal),
            Self::Whole(_) => None,
        }
    }
}

/// A row of a signal as a message.
#[derive(Debug)]
pub(crate) enum Message {
    Span(Span),
    Log(LogRecord),
    /// With one point.
    Point(Metric),
}

/// Where a column's values come from.
#[derive(Debug)]
pub(crate) enum From {
    /// The row's own time.
    Time,
    /// A number of the row.
    Number(NumberColumn, fn(u64) -> Value),
    /// The row's time and a number.
    TimeAnd(NumberColumn, fn(u64, u64) -> Value),
    /// Bytes in hexadecimal.
    Id(TextColumn),
    /// A text, where it is not empty.
    Text(TextColumn),
    /// An attribute, where its type is the column's.
    Attribute(&'static str),
    /// An attribute in seconds, as nanoseconds.
    Nanos(&'static str),
    /// What identifies the resource.
    ResourceId,
    Resource(fn(&Resource) -> Value),
    Scope(fn(&InstrumentationScope) -> Value),
    /// The metric of a data point.
    Metric(fn(&Metric) -> Value),
    /// The whole row: dear.
    Message(fn(&Message) -> Value),
    /// The view makes it itself.
    View,
}

/// What a comparison of a column with a value tells the store, so that it need not read all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Narrows {
    Nothing,
    /// The row's time. Rows can be had in its order, too.
    Time,
    Trace,
    Span,
    Name,
    Service,
    Status,
    Duration,
    /// An attribute that is a text.
    Attribute(&'static str),
    /// An attribute that is a whole number: SQL compares it with a text by what number the text
    /// spells, and there are many spellings.
    Number(&'static str),
    /// The key of one of the row's attributes.
    Key,
    /// The value of the attribute that [`Self::Key`] names.
    Value,
    Severity,
}

impl Column {
    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        from: From,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            about,
            from,
            narrows: Narrows::Nothing,
        }
    }

    pub(crate) const fn narrows(mut self, narrows: Narrows) -> Self {
        self.narrows = narrows;
        self
    }

    /// An attribute of the row.
    pub(crate) const fn attribute(
        name: &'static str,
        kind: Kind,
        key: &'static str,
        about: &'static str,
    ) -> Self {
        let column = Self::new(name, kind, From::Attribute(key), about);
        match kind {
            Kind::Text => column.narrows(Narrows::Attribute(key)),
            Kind::Integer => column.narrows(Narrows::Number(key)),
            _ => column,
        }
    }
}
