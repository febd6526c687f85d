//! `resources`

use super::{Column, From, Kind, Source, View, Whole};
use crate::TablesError;
use crate::scan::with_cause;
use crate::value::{Value, find_text};
use llamatelemetry_store::{Query, Signal, Snapshot, StoreError, column};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use std::collections::BTreeMap;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// A resource a row.
pub(super) static RESOURCES: View = View {
    name: "resources",
    about: "A sender of telemetry a row: a program on a machine.",
    source: Source::Whole(rows),
    columns: &[
        Column::new(
            "resource_id",
            Kind::Text,
            From::View,
            "What other views name it by.",
        ),
        Column::new("service_name", Kind::Text, From::View, "`service.name`."),
        Column::new(
            "service_version",
            Kind::Text,
            From::View,
            "`service.version`.",
        ),
        Column::new(
            "service_instance_id",
            Kind::Text,
            From::View,
            "`service.instance.id`.",
        ),
        Column::new("host_name", Kind::Text, From::View, "`host.name`."),
        Column::new(
            "schema_url",
            Kind::Text,
            From::View,
            "The schema of its attributes.",
        ),
        Column::new(
            "attributes",
            Kind::Json,
            From::View,
            "All its attributes as an object.",
        ),
        Column::new("spans", Kind::Integer, From::View, "Spans of it."),
        Column::new(
            "metric_points",
            Kind::Integer,
            From::View,
            "Points of metrics of it.",
        ),
        Column::new("logs", Kind::Integer, From::View, "Log records of it."),
    ],
};

/// What identifies a resource: its message as it is kept.
pub(crate) fn id(resource: &[u8]) -> Value {
    Value::Text(format!("{:016x}", xxh3_64(resource)).into())
}

fn rows(snapshot: &Snapshot, _: Option<&Range<u64>>) -> Result<Whole, TablesError> {
    let mut counts: BTreeMap<Vec<u8>, [u64; 3]> = BTreeMap::new();
    let mut whole = Whole::default();
    for (place, signal) in [Signal::Traces, Signal::Metrics, Signal::Logs]
        .into_iter()
        .enumerate()
    {
        for part in snapshot.parts(signal) {
            let counted: Result<(), StoreError> = (|| {
                let batch = part.find(&Query::default())?;
                let texts = batch.texts(column::RESOURCE)?;
                let mut content = batch.content();
                let mut of_block: BTreeMap<usize, u64> = BTreeMap::new();
                let mut first = BTreeMap::new();
                for row in 0..batch.len() {
                    *of_block.entry(texts.code(row)).or_default() += 1;
                    first.entry(texts.code(row)).or_insert(row);
                }
                for (code, row) in first {
                    let resource = texts.get(row, &mut content)?;
                    counts.entry(resource).or_default()[place] += of_block[&code];
                }
                Ok(())
            })();
            match counted {
                Ok(()) => {}
                Err(error) if error.is_of_file() => whole.damaged.push(with_cause(&error)),
                Err(error) => return Err(error.into()),
            }
        }
    }
    whole.rows = counts
        .iter()
        .map(|(bytes, counts)| row(bytes, *counts))
        .collect();
    Ok(whole)
}

fn row(bytes: &[u8], [spans, points, logs]: [u64; 3]) -> Vec<Value> {
    // The messages of all signals hold their resource in the same field.
    let message = ResourceSpans::decode(bytes).unwrap_or_default();
    let resource = message.resource.unwrap_or_default();
    let text = |key| find_text(&resource.attributes, key);
    vec![
        id(bytes),
        text("service.name"),
        text("service.version"),
        text("service.instance.id"),
        text("host.name"),
        Value::text(&message.schema_url),
        Value::attributes(&resource.attributes),
        Value::count(spans),
        Value::count(points),
        Value::count(logs),
    ]
}
