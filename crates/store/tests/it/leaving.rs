//! A writer that ends while its last journal is made into blocks, beside others that rewrite what
//! the dead left.

use crate::messages::{attribute, chat, request, spans, text};
use llamatelemetry_store::{Purge, Query, Reader, Retention, Signal, Writer, compact, purge};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

/// Spans of one writer: more than a mebibyte, which it makes blocks of when it ends.
const SPANS: u64 = 2_000;

/// A span that hardly packs: making blocks of many takes a while.
fn long(n: u64) -> Span {
    let mut span = chat(n);
    let mut word = n + 1;
    let mut words = String::new();
    for _ in 0..20 {
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ n;
        words += &word.to_string();
    }
    span.attributes.push(attribute("words", text(&words)));
    span
}

/// A writer with a journal that it will make blocks of.
fn writer(folder: &Path, number: u64) -> Writer {
    let writer = Writer::open(folder).unwrap();
    let of_it = (number * SPANS..(number + 1) * SPANS).map(long);
    let bytes = request(of_it.collect()).encode_to_vec();
    assert!(bytes.len() > 1 << 20, "{}", bytes.len());
    writer.append(Signal::Traces, bytes).unwrap();
    writer
}

/// Ends all writers at once. What is `beside` is done as soon as the first of them looks dead, until
/// all have ended, and once more.
fn end_beside(folder: &Path, writers: Vec<Writer>, beside: impl Fn()) {
    std::thread::scope(|scope| {
        let ending: Vec<_> = (writers.into_iter())
            .map(|writer| scope.spawn(move || drop(writer)))
            .collect();
        let looks_dead = |lock: &Path| File::open(lock).unwrap().try_lock().is_ok();
        let locks: Vec<PathBuf> = (std::fs::read_dir(folder.join("segments")).unwrap())
            .map(|segment| segment.unwrap().path().join("lock"))
            .collect();
        while !locks.iter().any(|lock| looks_dead(lock)) {
            std::thread::yield_now();
        }
        while !ending.iter().all(ScopedJoinHandle::is_finished) {
            beside();
        }
    });
    beside();
}

fn held(folder: &Path) -> Vec<Vec<u8>> {
    let snapshot = Reader::open(folder).unwrap().snapshot().unwrap();
    assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let all = spans(found.traces().unwrap());
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    all.into_iter().map(|span| span.span_id).collect()
}

#[test]
fn a_compaction_beside_last_seals_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // As many as a compaction makes one.
    let writers = (0..8).map(|number| writer(folder.path(), number));
    end_beside(folder.path(), writers.collect(), || {
        compact(folder.path(), Retention::default()).unwrap();
    });
    let ids = held(folder.path());
    let expected: Vec<Vec<u8>> = (1..=8 * SPANS)
        .map(|id| id.to_be_bytes().to_vec())
        .collect();
    assert!(ids == expected, "{} of {}", ids.len(), expected.len());
}

#[test]
fn what_was_purged_beside_a_last_seal_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let writers = vec![writer(folder.path(), 0)];
    let gone = Cell::new(0);
    // What came back would go, and count, once more.
    end_beside(folder.path(), writers, || {
        let done = purge(folder.path(), &Purge::default()).unwrap();
        gone.set(gone.get() + done.spans);
    });
    assert_eq!(gone.get(), SPANS);
    assert!(held(folder.path()).is_empty());
}
