//! Requests that are small on the wire and large in memory, and stores that are asked often.

use crate::messages::{attribute, chat, files, request, spans, text};
use llamatelemetry_store::{Query, Reader, Retention, Signal, StoreError, Writer, compact};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A list of so many fields: the tag and a length of nothing.
fn empty(tag: u8, count: usize) -> Vec<u8> {
    [tag, 0].repeat(count)
}

/// A message with one field.
fn inside(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    prost::encode_length_delimiter(bytes.len(), &mut out).unwrap();
    out.extend_from_slice(bytes);
    out
}

#[test]
fn millions_of_empty_spans_are_refused_before_they_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    // Resource, scope, spans.
    let scope = inside(0x12, &empty(0x12, 32 << 20 >> 1));
    let bytes = inside(0x0a, &scope);
    assert!(bytes.len() > 32 << 20);
    let rows = llamatelemetry_store::rows(Signal::Traces, &bytes);
    assert_eq!(rows, 16 << 20);
    let error = writer.append(Signal::Traces, bytes).unwrap_err();
    assert!(
        matches!(error, StoreError::TooMany { what: "rows", .. }),
        "{error}"
    );
    assert!(error.is_of_request());
    let attributes = inside(0x12, &inside(0x12, &empty(0x4a, 16 << 20)));
    let error = writer
        .append(Signal::Traces, inside(0x0a, &attributes))
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooMany { what: "parts", .. }),
        "{error}"
    );
}

#[test]
fn a_large_resource_is_kept_once_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let mut large = request((0..20_000).map(chat).collect());
    let resource = large.resource_spans[0].resource.as_mut().unwrap();
    let word = "0123456789".repeat(14 << 20 >> 4);
    resource.attributes.push(attribute("large", text(&word)));
    let error = writer
        .append(Signal::Traces, large.encode_to_vec())
        .unwrap_err();
    assert!(matches!(error, StoreError::LargeOrigin { .. }), "{error}");
    let resource = large.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes.pop();
    let word: String = (0..130_000_u32)
        .map(|n| n.wrapping_mul(n).to_string())
        .collect();
    let word = &word[..1_000_000];
    resource.attributes.push(attribute("large", text(word)));
    writer
        .append(Signal::Traces, large.encode_to_vec())
        .unwrap();
    writer.seal().unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), 20_000);
    assert!(snapshot.bytes() < 4_000_000, "{}", snapshot.bytes());
}

#[test]
fn history_that_is_sent_again_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let mut history: Vec<String> = Vec::new();
    let mut sent = 0;
    for n in 0..300 {
        let said: String = (0..60)
            .map(|word| (n * 60 + word) * 7919 % 99_991)
            .fold(String::new(), |said, word: u64| {
                said + &word.to_string() + " "
            });
        history.push(format!(r#"{{"role":"user","content":"{said}"}}"#));
        let mut span = chat(n);
        let input = format!("[{}]", history.join(","));
        span.attributes
            .push(attribute("gen_ai.input.messages", text(&input)));
        let bytes = request(vec![span]).encode_to_vec();
        sent += bytes.len() as u64;
        writer.append(Signal::Traces, bytes).unwrap();
    }
    writer.seal().unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert!(
        snapshot.bytes() * 50 < sent,
        "{} of {sent}",
        snapshot.bytes()
    );
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let read = spans(found.traces().unwrap());
    let length = read[299].attributes.last().unwrap().encoded_len();
    assert!(length > 90_000, "{length}");
}

#[test]
fn a_slow_writer_that_is_watched_costs_its_reader_little() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    for n in 0..600 {
        let bytes = request(vec![chat(n)]).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
        let snapshot = reader.snapshot().unwrap();
        assert_eq!(snapshot.rows(Signal::Traces), n + 1);
        // Of each power of eight at most seven.
        assert!(snapshot.blocks() <= 7 * 4, "{} of {n}", snapshot.blocks());
    }
    let snapshot = reader.snapshot().unwrap();
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    assert!(spans(found.traces().unwrap()) == (0..600).map(chat).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_read_is_kept_no_longer_than_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..2 {
        let writer = Writer::open(folder.path()).unwrap();
        let bytes = request(vec![chat(part)]).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
    }
    std::fs::write(folder.path().join("blocks/1.blocks"), b"damaged").unwrap();
    let count = || files(folder.path(), "journal").len() + files(folder.path(), "blocks").len();
    assert_eq!(count(), 3);
    // They changed just now.
    let old = Retention {
        oldest: Some(chat(1_000_000).start_time_unix_nano),
        bytes: None,
    };
    assert_eq!(compact(folder.path(), old).unwrap().expired, 0);
    let none = Retention {
        oldest: None,
        bytes: Some(0),
    };
    assert_eq!(compact(folder.path(), none).unwrap().expired, 3);
    assert_eq!(count(), 0);
}

#[test]
fn sums_name_the_blocks_that_they_lack() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    for part in 0..2 {
        let bytes = request((part * 100..part * 100 + 100).map(chat).collect()).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
        writer.seal().unwrap();
    }
    let path = &files(folder.path(), "blocks")[0];
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    // The footer goes while the directory, which was read, stays.
    let bytes = std::fs::read(path).unwrap();
    let mut changed = bytes.clone();
    for byte in &mut changed[..bytes.len() - 400] {
        *byte ^= 0x55;
    }
    std::fs::write(path, &changed).unwrap();
    let sums = snapshot.totals(None).unwrap();
    let count: u64 = sums.sums.values().map(|sums| sums.spans).sum();
    assert_eq!((count, sums.damaged.len()), (100, 1), "{:?}", sums.damaged);
    let newest = Query {
        limit: Some(150),
        ..Query::default()
    };
    let found = snapshot.find(Signal::Traces, &newest).unwrap();
    assert_eq!((found.len(), found.damaged.len()), (100, 1));
}

#[test]
fn an_empty_request_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let empty = ExportTraceServiceRequest::default().encode_to_vec();
    writer.append(Signal::Traces, empty).unwrap();
    let bare = request(vec![Span::default()]).encode_to_vec();
    writer.append(Signal::Traces, bare).unwrap();
    writer.seal().unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), 1);
}

#[test]
fn large_resources_that_alternate_are_put_together_once() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let by = |n: u64| {
        let mut one = request(vec![chat(n)]);
        let resource = one.resource_spans[0].resource.as_mut().unwrap();
        let long = format!("{} ", n % 2).repeat(32 << 10);
        let long = attribute("process.command_line", text(&long));
        resource.attributes.push(long);
        one
    };
    // Each span of another resource than the one before.
    for n in 0..40 {
        let bytes = by(n).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
    }
    writer.seal().unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let traces = found.traces().unwrap();
    assert_eq!(traces.resource_spans.len(), 2);
    let expected: Vec<_> = (0..40).map(chat).collect();
    assert!(spans(traces) == expected);
}
