//! Each condition against a plain walk over the same spans.

use crate::messages::{chat, request, spans};
use llamatelemetry_store::{Condition, Literal, Query, Reader, Signal, Snapshot, Writer};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A store of so many chat spans, half of them in blocks and half in the journal.
fn store(count: u64) -> (tempfile::TempDir, Writer, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    for half in [0..count / 2, count / 2..count] {
        let all: Vec<Span> = half.map(chat).collect();
        for batch in all.chunks(64) {
            let bytes = request(batch.to_vec()).encode_to_vec();
            writer.append(Signal::Traces, bytes).unwrap();
        }
        if writer.folder().join("segments").exists() && all[0].span_id == chat(0).span_id {
            writer.seal().unwrap();
        }
    }
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), count);
    (folder, writer, snapshot)
}

fn found(snapshot: &Snapshot, query: &Query) -> Vec<Span> {
    spans(
        snapshot
            .find(Signal::Traces, query)
            .unwrap()
            .traces()
            .unwrap(),
    )
}

type Test = Box<dyn Fn(u64) -> bool>;

#[test]
fn conditions_find_what_a_walk_finds() {
    let (_folder, _writer, snapshot) = store(3_000);
    let attribute =
        |key: &str, value: &str| Condition::Attribute(key.to_owned(), Literal(value.to_owned()));
    let cases: Vec<(Condition, Test)> = vec![
        (
            Condition::Trace(8_u128.to_be_bytes()),
            Box::new(|n| n / 4 == 7),
        ),
        (
            Condition::AnyTrace([8_u128.to_be_bytes(), 10_u128.to_be_bytes()].into()),
            Box::new(|n| [7, 9].contains(&(n / 4))),
        ),
        (
            Condition::TraceWithin(8_u128.to_be_bytes()..=9_u128.to_be_bytes()),
            Box::new(|n| [7, 8].contains(&(n / 4))),
        ),
        (Condition::Span(9_u64.to_be_bytes()), Box::new(|n| n == 8)),
        (Condition::Name("chat smollm2".into()), Box::new(|_| true)),
        (Condition::Name("chat".into()), Box::new(|_| false)),
        (
            attribute("gen_ai.request.model", "gemma3"),
            Box::new(|n| n % 5 == 0),
        ),
        (
            attribute("gen_ai.usage.input_tokens", "42"),
            Box::new(|n| n % 100 == 42),
        ),
        (
            attribute("gen_ai.response.time_to_first_chunk", "0.25"),
            Box::new(|n| n == 250),
        ),
        (attribute("gen_ai.request.model", "42"), Box::new(|_| false)),
        (attribute("no.such.key", "1"), Box::new(|_| false)),
        (
            Condition::Has("gen_ai.conversation.id".into()),
            Box::new(|_| true),
        ),
        (Condition::Service("tests".into()), Box::new(|_| true)),
        (Condition::Service("others".into()), Box::new(|_| false)),
        (Condition::Failed(true), Box::new(|n| n % 11 == 0)),
        (Condition::LongerThan(30_000_000), Box::new(|n| n % 7 >= 5)),
        (Condition::ShorterThan(5_000_000), Box::new(|n| n % 7 == 0)),
        (
            Condition::Holds("was KILLED".into()),
            Box::new(|n| n % 11 == 0),
        ),
        (Condition::Holds("first_tok".into()), Box::new(|_| true)),
    ];
    for (condition, test) in cases {
        let query = Query {
            conditions: vec![condition.clone()],
            ..Query::default()
        };
        let expected: Vec<Span> = (0..3_000).filter(|n| test(*n)).map(chat).collect();
        assert!(found(&snapshot, &query) == expected, "{condition:?}");
    }
    let both = Query {
        conditions: vec![
            attribute("gen_ai.request.model", "gemma3"),
            Condition::Failed(true),
        ],
        ..Query::default()
    };
    assert_eq!(
        found(&snapshot, &both),
        (0..3_000)
            .filter(|n| n % 55 == 0)
            .map(chat)
            .collect::<Vec<_>>()
    );
}

#[test]
fn the_newest_are_kept_and_times_bound() {
    let (_folder, _writer, snapshot) = store(1_000);
    let newest = Query {
        limit: Some(3),
        ..Query::default()
    };
    assert_eq!(
        found(&snapshot, &newest),
        (997..1_000).map(chat).collect::<Vec<_>>()
    );
    let range = Query {
        time: Some(chat(10).start_time_unix_nano..chat(12).start_time_unix_nano),
        ..Query::default()
    };
    assert_eq!(
        found(&snapshot, &range),
        (10..12).map(chat).collect::<Vec<_>>()
    );
    let none = Query {
        limit: Some(0),
        ..Query::default()
    };
    assert!(found(&snapshot, &none).is_empty());
}

#[test]
fn sums_are_those_of_the_spans() {
    let (_folder, _writer, snapshot) = store(1_000);
    let all = snapshot.rollups(None).unwrap().sums;
    let of = |model: &str, failed: bool| {
        let mut sums = llamatelemetry_store::Rollup::default();
        for (key, part) in &all {
            if key.model == model && key.failed == failed {
                sums.merge(part);
            }
        }
        sums
    };
    let gemma = of("gemma3", false);
    let expected: Vec<u64> = (0..1_000).filter(|n| n % 5 == 0 && n % 11 != 0).collect();
    assert_eq!(gemma.spans, expected.len() as u64);
    assert_eq!(
        gemma.input_tokens,
        expected.iter().map(|n| n % 100).sum::<u64>()
    );
    assert_eq!(gemma.output_tokens, 48 * gemma.spans);
    assert_eq!(
        gemma.duration.sum(),
        expected
            .iter()
            .map(|n| 5_000_000 * (n % 7 + 1))
            .sum::<u64>()
    );
    assert_eq!(
        of("smollm2", true).spans,
        (0..1_000).filter(|n| n % 5 != 0 && n % 11 == 0).count() as u64
    );
}

#[test]
fn pieces_hold_every_row_once_and_in_order() {
    let (_folder, _writer, snapshot) = store(1_000);
    let found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    for rows in [0, 1, 7, 1_000, usize::MAX] {
        let pieces = found.pieces(rows).unwrap();
        assert_eq!(pieces.len(), 1_000_usize.div_ceil(rows.clamp(1, 1_000)));
        let spans: Vec<Span> = pieces
            .into_iter()
            .flat_map(|mut piece| spans(piece.traces().unwrap()))
            .collect();
        assert!(spans == (0..1_000).map(chat).collect::<Vec<_>>(), "{rows}");
    }
}

#[test]
fn traces_are_named_newest_first() {
    let (_folder, _writer, snapshot) = store(1_000);
    let query = Query {
        limit: Some(10),
        ..Query::default()
    };
    let ids = snapshot
        .find(Signal::Traces, &query)
        .unwrap()
        .trace_ids()
        .unwrap();
    let expected = [250_u128, 249, 248].map(u128::to_be_bytes);
    assert_eq!(ids, expected);
}
