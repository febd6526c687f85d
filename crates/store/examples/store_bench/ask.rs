//! Times of questions to a store that was filled: warm, and with its files out of the page cache.

use crate::load::{COMMON, RARE, trace_id};
use llamatelemetry_store::{Condition, Literal, Query, Reader, Signal, Snapshot};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// Each question is asked so often; the middle counts.
const REPEATS: usize = 5;

fn milliseconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1e3
}

/// Takes the files out of the page cache: `posix_fadvise` with `DONTNEED`, after what is dirty was
/// written.
fn evict(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            evict(&path);
        } else {
            let file = File::open(path).unwrap();
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}

fn snapshot(folder: &Path) -> Snapshot {
    Reader::open(folder).unwrap().snapshot().unwrap()
}

fn equal((key, value): (&str, &str), limit: Option<usize>) -> Query {
    Query {
        conditions: vec![Condition::Attribute(
            key.to_owned(),
            Literal(value.to_owned()),
        )],
        limit,
        ..Query::default()
    }
}

fn found(snapshot: &Snapshot, query: &Query) -> usize {
    let mut found = snapshot.find(Signal::Traces, query).unwrap();
    let request = found.traces().unwrap();
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    let spans = request.resource_spans.iter();
    spans
        .flat_map(|resource| &resource.scope_spans)
        .map(|scope| scope.spans.len())
        .sum()
}

pub(crate) fn ask(folder: &Path, spans: u64) -> Value {
    type Question<'a> = (&'a str, Box<dyn Fn(&Snapshot, usize) + 'a>);
    let questions: [Question<'_>; 4] = [
        (
            "trace_by_id_ms",
            Box::new(|snapshot, turn| {
                // Another trace each time, from all over the store.
                let number = spans / 4 * (2 * turn as u64 + 1) / (2 * REPEATS as u64);
                let trace = snapshot.trace(trace_id(number)).unwrap();
                assert_eq!(trace.resource_spans[0].scope_spans[0].spans.len(), 4);
            }),
        ),
        (
            "attribute_search_ms",
            Box::new(|snapshot, _| assert_eq!(found(snapshot, &equal(RARE, None)), 10)),
        ),
        (
            "common_attribute_ms",
            Box::new(|snapshot, _| assert_eq!(found(snapshot, &equal(COMMON, Some(100))), 100)),
        ),
        (
            "rollup_ms",
            Box::new(|snapshot, _| {
                let sums = snapshot.totals(None).unwrap().sums;
                assert_eq!(sums.values().map(|sums| sums.spans).sum::<u64>(), spans);
            }),
        ),
    ];
    let mut figures = serde_json::Map::new();
    let mut put = |name: &str, mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        figures.insert(name.to_owned(), json!(values[values.len() / 2]));
        figures.insert(format!("{name}_max"), json!(values.last()));
    };
    put(
        "open_cold_ms",
        (0..REPEATS)
            .map(|_| {
                evict(folder);
                milliseconds(|| drop(snapshot(folder)))
            })
            .collect(),
    );
    put(
        "open_ms",
        (0..REPEATS)
            .map(|_| milliseconds(|| drop(snapshot(folder))))
            .collect(),
    );
    for (name, question) in &questions {
        let cold = |turn| {
            // Nothing is known yet of what lies in the blocks.
            let snapshot = snapshot(folder);
            evict(folder);
            milliseconds(|| question(&snapshot, turn))
        };
        put(
            &name.replace("_ms", "_cold_ms"),
            (0..REPEATS).map(cold).collect(),
        );
        let snapshot = snapshot(folder);
        // Once before, so that what is asked for is in memory.
        (0..REPEATS).for_each(|turn| question(&snapshot, turn));
        let warm = |turn| milliseconds(|| question(&snapshot, turn));
        put(name, (0..REPEATS).map(warm).collect());
    }
    let snapshot = snapshot(folder);
    assert_eq!(snapshot.rows(Signal::Traces), spans);
    figures.insert(
        "disk_bytes_per_span".to_owned(),
        json!(snapshot.bytes() as f64 / spans as f64),
    );
    Value::Object(figures)
}

/// Asks what was posted: a trace, and conversations. The files are read as they are found.
pub(crate) fn look(folder: &Path, trace: &str) -> Value {
    let id = u128::from_str_radix(trace, 16).unwrap().to_be_bytes();
    let reader = Reader::open(folder).unwrap();
    let median = |work: &dyn Fn(&Snapshot, usize)| {
        let mut all: Vec<f64> = (0..REPEATS)
            .map(|turn| milliseconds(|| work(&reader.snapshot().unwrap(), turn)))
            .collect();
        all.sort_by(f64::total_cmp);
        all[REPEATS / 2]
    };
    let by_id = median(&|snapshot, _| {
        assert!(!snapshot.trace(id).unwrap().resource_spans.is_empty());
    });
    let search = median(&|snapshot, turn| {
        let conversation = format!("c{}", turn + 1);
        let query = equal(("gen_ai.conversation.id", &conversation), Some(100));
        found(snapshot, &query);
    });
    json!({ "trace_by_id_ms": by_id, "attribute_search_ms": search })
}
