//! Requests that are almost OTLP are taken or refused: what was taken is read back, whole, from the
//! journal, from blocks, and after a compaction; what was refused leaves nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llamatelemetry_fuzz::{Request, folder, points};
use llamatelemetry_store::{Query, Reader, Retention, Signal, StoreError, Writer, compact};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    requests: Vec<(Request, Vec<Change<'a>>)>,
}

#[derive(Debug, Arbitrary)]
struct Change<'a> {
    at: u16,
    remove: u8,
    insert: &'a [u8],
}

fuzz_target!(|input: Input<'_>| run(&input));

fn run(input: &Input<'_>) {
    let folder = folder();
    let writer = Writer::open(folder.path()).expect("a folder");
    let mut taken: [Vec<Vec<u8>>; 3] = Default::default();
    for (request, changes) in &input.requests {
        let (signal, mut bytes) = request.encode();
        for change in changes {
            let at = usize::from(change.at) % (bytes.len() + 1);
            let end = (at + usize::from(change.remove % 16)).min(bytes.len());
            bytes.splice(at..end, change.insert.iter().copied());
        }
        match writer.append(signal, bytes.clone()) {
            Ok(()) => taken[signal as usize].extend(rows(signal, &bytes)),
            Err(StoreError::NotOtlp { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    taken.iter_mut().for_each(|rows| rows.sort());
    let reader = Reader::open(folder.path()).expect("a folder");
    assert_eq!(held(&reader), taken, "in the journal");
    writer.seal().expect("there is room");
    assert_eq!(held(&reader), taken, "in blocks");
    drop(writer);
    for _ in 0..7 {
        let writer = Writer::open(folder.path()).expect("a folder");
        writer.append(Signal::Traces, Vec::new()).expect("nothing");
    }
    compact(folder.path(), Retention::default()).expect("nothing is damaged");
    assert_eq!(held(&reader), taken, "after a compaction");
}

/// All rows of the store, sorted.
fn held(reader: &Reader) -> [Vec<Vec<u8>>; 3] {
    let snapshot = reader.snapshot().expect("it can be read");
    assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
    snapshot.rollups(None).expect("it can be read");
    Signal::ALL.map(|signal| {
        let mut found = snapshot
            .find(signal, &Query::default())
            .expect("it can be read");
        let bytes = match signal {
            Signal::Traces => found.traces().map(|request| request.encode_to_vec()),
            Signal::Metrics => found.metrics().map(|request| request.encode_to_vec()),
            Signal::Logs => found.logs().map(|request| request.encode_to_vec()),
        };
        assert!(found.damaged.is_empty(), "{:?}", found.damaged);
        let mut rows = rows(signal, &bytes.expect("it can be read"));
        rows.sort();
        rows
    })
}

/// The rows of a request, each as its bytes.
fn rows(signal: Signal, bytes: &[u8]) -> Vec<Vec<u8>> {
    match signal {
        Signal::Traces => (ExportTraceServiceRequest::decode(bytes)
            .expect("OTLP")
            .resource_spans)
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .map(|span| span.encode_to_vec())
            .collect(),
        Signal::Logs => (ExportLogsServiceRequest::decode(bytes)
            .expect("OTLP")
            .resource_logs)
            .into_iter()
            .flat_map(|resource| resource.scope_logs)
            .flat_map(|scope| scope.log_records)
            .map(|record| record.encode_to_vec())
            .collect(),
        Signal::Metrics => (ExportMetricsServiceRequest::decode(bytes).expect("OTLP"))
            .resource_metrics
            .into_iter()
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .flat_map(|metric| points(&metric))
            .collect(),
    }
}
