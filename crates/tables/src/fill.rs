//! The values of a view's columns for some rows of a block.

use crate::TablesError;
use crate::scan::Chunk;
use crate::value::{Value, json};
use crate::view::{Column, From, Kind, Message, Source, View, resource_id};
use llamatelemetry_store::{Attribute, Batch, Content, NumberColumn, Signal, TextColumn, Texts};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;
use std::collections::HashMap;
use std::ops::Range;

/// Texts up to this length are made once for all rows that have them, bytes.
const SHORT: usize = 256;

/// What was read of a block, by column of the view.
#[derive(Debug, Default)]
pub(crate) struct Cache(Vec<Option<Loaded>>);

#[derive(Debug)]
enum Loaded {
    Numbers(Vec<u64>),
    Texts(Texts, HashMap<usize, Value>),
    Attribute(Attribute, HashMap<(usize, u64), Value>),
}

/// Rows of a view.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) chunk: Chunk,
    /// For each row of the block which rows of the view it became.
    pub(crate) spans: Vec<Range<usize>>,
    /// Whether whole messages were read.
    pub(crate) messages: bool,
}

/// Whether a column is looked at, by SQLite's bits: the last stands for all behind it.
fn is_wanted(wanted: u64, column: usize) -> bool {
    wanted & 1 << column.min(63) != 0
}

/// The wanted columns of these rows, which rise.
pub(crate) fn fill(
    view: &'static View,
    batch: &Batch,
    rows: &[usize],
    wanted: u64,
    cache: &mut Cache,
) -> Result<Filled, TablesError> {
    let mut chunk = Chunk {
        columns: vec![Vec::new(); view.columns.len()],
        ..Chunk::default()
    };
    if let Source::Parts { signal, each, .. } = view.source {
        let mut spans = Vec::with_capacity(rows.len());
        let mut cells = Vec::new();
        let mut count = 0;
        for message in messages(batch, signal, rows)? {
            each(&message, &mut cells);
            spans.push(count..count + cells.len());
            count += cells.len();
            for row in cells.drain(..) {
                for (column, value) in chunk.columns.iter_mut().zip(row) {
                    column.push(value);
                }
            }
        }
        return Ok(Filled {
            chunk,
            spans,
            messages: true,
        });
    }
    let columns = || {
        let columns = view.columns.iter().enumerate();
        columns.filter(|(place, _)| is_wanted(wanted, *place))
    };
    let needs_messages =
        columns().any(|(_, column)| matches!(column.from, From::Message(_) | From::Metric(_)));
    let messages = match view.source.signal() {
        Some(signal) if needs_messages => messages(batch, signal, rows)?,
        _ => Vec::new(),
    };
    cache.0.resize_with(view.columns.len(), || None);
    let mut content = batch.content();
    for (place, column) in columns() {
        let slot = &mut cache.0[place];
        chunk.columns[place] = values(column, batch, rows, &messages, slot, &mut content)?;
    }
    Ok(Filled {
        chunk,
        spans: (0..rows.len()).map(|row| row..row + 1).collect(),
        messages: needs_messages,
    })
}

/// The rows as messages.
fn messages(batch: &Batch, signal: Signal, rows: &[usize]) -> Result<Vec<Message>, TablesError> {
    Ok(match signal {
        Signal::Traces => batch.spans(rows)?.into_iter().map(Message::Span).collect(),
        Signal::Logs => batch
            .log_records(rows)?
            .into_iter()
            .map(Message::Log)
            .collect(),
        Signal::Metrics => batch
            .metrics(rows)?
            .into_iter()
            .map(Message::Point)
            .collect(),
    })
}

fn values(
    column: &Column,
    batch: &Batch,
    rows: &[usize],
    messages: &[Message],
    slot: &mut Option<Loaded>,
    content: &mut Content<'_>,
) -> Result<Vec<Value>, TablesError> {
    let mut text = |from: TextColumn, make: &dyn Fn(&[u8]) -> Value| {
        let loaded = match slot {
            Some(loaded) => loaded,
            None => slot.insert(Loaded::Texts(batch.texts(from)?, HashMap::new())),
        };
        let Loaded::Texts(texts, known) = loaded else {
            return Ok(Vec::new());
        };
        texts_of(texts, known, rows, content, make)
    };
    Ok(match &column.from {
        From::Time => rows
            .iter()
            .map(|row| Value::known(batch.times()[*row]))
            .collect(),
        From::Number(from, make) => {
            let numbers = numbers(slot, batch, *from)?;
            rows.iter().map(|row| make(numbers[*row])).collect()
        }
        From::TimeAnd(from, make) => {
            let numbers = numbers(slot, batch, *from)?;
            let values = rows
                .iter()
                .map(|row| make(batch.times()[*row], numbers[*row]));
            values.collect()
        }
        From::Id(from) => text(*from, &Value::id)?,
        From::Text(from) => text(*from, &|text| Value::text(&String::from_utf8_lossy(text)))?,
        From::ResourceId => text(llamatelemetry_store::column::RESOURCE, &resource_id)?,
        // The messages of all signals hold resource and scope in the same fields.
        From::Resource(make) => text(llamatelemetry_store::column::RESOURCE, &|bytes| {
            let resource = ResourceSpans::decode(bytes).ok();
            let resource = resource.and_then(|from| from.resource);
            resource.as_ref().map_or(Value::Null, make)
        })?,
        From::Scope(make) => text(llamatelemetry_store::column::SCOPE, &|bytes| {
            let scope = ScopeSpans::decode(bytes).ok().and_then(|by| by.scope);
            scope.as_ref().map_or(Value::Null, make)
        })?,
        From::Attribute(key) => attributes(key, batch, rows, slot, content, &|value| {
            typed(column.kind, value)
        })?,
        From::Nanos(key) => attributes(key, batch, rows, slot, content, &nanos)?,
        From::Message(make) => messages.iter().map(make).collect(),
        From::Metric(make) => {
            let values = messages.iter().map(|message| match message {
                Message::Point(metric) => make(metric),
                _ => Value::Null,
            });
            values.collect()
        }
        From::View => Vec::new(),
    })
}

/// A column's numbers, read once.
fn numbers<'a>(
    slot: &'a mut Option<Loaded>,
    batch: &Batch,
    from: NumberColumn,
) -> Result<&'a [u64], TablesError> {
    if slot.is_none() {
        *slot = Some(Loaded::Numbers(batch.numbers(from)?));
    }
    Ok(match slot {
        Some(Loaded::Numbers(numbers)) => numbers,
        _ => &[],
    })
}

fn texts_of(
    texts: &Texts,
    known: &mut HashMap<usize, Value>,
    rows: &[usize],
    content: &mut Content<'_>,
    make: &dyn Fn(&[u8]) -> Value,
) -> Result<Vec<Value>, TablesError> {
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let code = texts.code(*row);
        if let Some(value) = known.get(&code) {
            values.push(value.clone());
            continue;
        }
        let value = make(&texts.get(*row, content)?);
        if is_short(&value) {
            known.insert(code, value.clone());
        }
        values.push(value);
    }
    Ok(values)
}

fn attributes(
    key: &str,
    batch: &Batch,
    rows: &[usize],
    slot: &mut Option<Loaded>,
    content: &mut Content<'_>,
    make: &dyn Fn(&Any) -> Value,
) -> Result<Vec<Value>, TablesError> {
    let loaded = match slot {
        Some(loaded) => loaded,
        None => slot.insert(Loaded::Attribute(batch.attribute(key)?, HashMap::new())),
    };
    let Loaded::Attribute(attribute, known) = loaded else {
        return Ok(Vec::new());
    };
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(code) = attribute.code(*row) else {
            values.push(Value::Null);
            continue;
        };
        if let Some(value) = known.get(&code) {
            values.push(value.clone());
            continue;
        }
        let value = attribute.get(*row, content)?;
        let value = value.as_ref().map_or(Value::Null, make);
        if is_short(&value) {
            known.insert(code, value.clone());
        }
        values.push(value);
    }
    Ok(values)
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.len() <= SHORT,
        Value::Blob(bytes) => bytes.len() <= SHORT,
        Value::Null | Value::Integer(_) | Value::Real(_) => true,
    }
}

/// An attribute as a column of this kind has it; another type than it should have is not known.
fn typed(kind: Kind, value: &Any) -> Value {
    match (kind, value) {
        (Kind::Text, Any::StringValue(text)) => Value::Text(text.as_str().into()),
        (Kind::Integer, Any::IntValue(number)) => Value::Integer(*number),
        (Kind::Real, Any::DoubleValue(number)) => Value::real(Some(*number)),
        (Kind::Real, Any::IntValue(number)) => Value::Real(*number as f64),
        (Kind::Json, value) => Value::json(&json(value)),
        (Kind::Any, value) => Value::any(Some(value)),
        _ => Value::Null,
    }
}

/// Seconds as nanoseconds.
fn nanos(value: &Any) -> Value {
    let seconds = match value {
        Any::DoubleValue(seconds) => *seconds,
        Any::IntValue(seconds) => *seconds as f64,
        _ => return Value::Null,
    };
    let nanos = (seconds * 1e9).round();
    // What is beyond SQL's integers is no time that a request took.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it lies within, or is not known"
    )]
    if (0.0..9e18).contains(&nanos) {
        Value::Integer(nanos as i64)
    } else {
        Value::Null
    }
}
