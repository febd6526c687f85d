//! A bad world: damage, kills, several processes, no room.

use crate::messages::{attribute, chat, files, request, spans};
use llamatelemetry_store::{Query, Reader, Retention, Signal, StoreError, Writer, compact};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

fn append(writer: &Writer, from: u64, count: u64) {
    let bytes = request((from..from + count).map(chat).collect()).encode_to_vec();
    writer.append(Signal::Traces, bytes).unwrap();
}

#[test]
fn a_damaged_block_is_named_and_the_rest_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    for part in 0..3 {
        append(&writer, part * 100, 100);
        writer.seal().unwrap();
    }
    let blocks = files(folder.path(), "blocks");
    assert_eq!(blocks.len(), 3);
    let whole = std::fs::read(&blocks[1]).unwrap();
    // A changed byte anywhere is found out, and costs no more than its own file.
    let (mut asked, mut untouched) = (0, 0);
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        asked += 1;
        let mut changed = whole.clone();
        changed[place] ^= 0x55;
        std::fs::write(&blocks[1], &changed).unwrap();
        let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
        let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
        let read = spans(found.traces().unwrap());
        let named = snapshot.damaged().len() + found.damaged.len();
        // Either the file is named, or the byte is in a part that this question does not read.
        let outcome = (read.len(), named);
        assert!(
            outcome == (200, 1) || outcome == (300, 0),
            "byte {place}: {outcome:?}"
        );
        untouched += usize::from(named == 0);
        assert!(read.iter().all(
            |span| *span == chat(u64::from_be_bytes(span.span_id[..].try_into().unwrap()) - 1)
        ));
    }
    assert!(
        untouched < asked / 2,
        "{untouched} of {asked} bytes are not read"
    );
    std::fs::write(&blocks[1], b"").unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), 200);
    assert_eq!(snapshot.damaged().len(), 1);
}

#[test]
fn many_short_lives_become_one_file() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..20 {
        append(&Writer::open(folder.path()).unwrap(), part * 4, 4);
    }
    let living = Writer::open(folder.path()).unwrap();
    append(&living, 80, 4);
    let reader = Reader::open(folder.path()).unwrap();
    let all = || {
        spans(
            reader
                .snapshot()
                .unwrap()
                .find(Signal::Traces, &Query::default())
                .unwrap()
                .traces()
                .unwrap(),
        )
    };
    let before = all();
    assert_eq!(before.len(), 84);
    let done = compact(folder.path(), Retention::default()).unwrap();
    assert_eq!((done.merged, done.written), (20, 1));
    assert_eq!(all(), before);
    // The living writer's segment and nothing else is left.
    assert_eq!(
        std::fs::read_dir(folder.path().join("segments"))
            .unwrap()
            .count(),
        1
    );
    append(&living, 84, 4);
    assert_eq!(all().len(), 88);
}

#[test]
fn what_is_too_old_or_too_much_goes() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    for part in 0..4 {
        append(&writer, part * 100, 100);
        writer.seal().unwrap();
    }
    let rows = || {
        Reader::open(folder.path())
            .unwrap()
            .snapshot()
            .unwrap()
            .rows(Signal::Traces)
    };
    let old = Retention {
        oldest: Some(chat(150).start_time_unix_nano),
        bytes: None,
    };
    assert_eq!(compact(folder.path(), old).unwrap().expired, 1);
    assert_eq!(rows(), 300);
    let one = std::fs::metadata(&files(folder.path(), "blocks")[0])
        .unwrap()
        .len();
    let little = Retention {
        oldest: None,
        bytes: Some(one * 3 / 2),
    };
    assert_eq!(compact(folder.path(), little).unwrap().expired, 2);
    assert_eq!(rows(), 100);
}

#[test]
fn what_is_no_otlp_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let error = writer
        .append(Signal::Traces, b"\xff\xff\xff".to_vec())
        .unwrap_err();
    assert_eq!(error.to_string(), "not an OTLP traces message");
    append(&writer, 0, 1);
}

#[test]
fn a_journal_that_is_cut_short_keeps_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    append(&writer, 0, 8);
    let journal = &files(folder.path(), "journal")[0];
    let answered = std::fs::metadata(journal).unwrap().len();
    append(&writer, 8, 8);
    drop(writer);
    let bytes = std::fs::read(journal).unwrap();
    for length in (answered as usize..bytes.len()).step_by(37) {
        std::fs::write(journal, &bytes[..length]).unwrap();
        let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
        assert_eq!(snapshot.rows(Signal::Traces), 8, "{length} bytes");
    }
}

#[test]
fn a_request_larger_than_a_block_becomes_several() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    append(&writer, 0, 40_000);
    let reader = Reader::open(folder.path()).unwrap();
    let rows = || {
        let snapshot = reader.snapshot().unwrap();
        let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
        let read = spans(found.traces().unwrap()).len();
        (read, found.damaged.len(), snapshot.rows(Signal::Traces))
    };
    assert_eq!(rows(), (40_000, 0, 40_000));
    writer.seal().unwrap();
    assert_eq!(rows(), (40_000, 0, 40_000));
}

#[test]
fn a_row_of_too_many_attributes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let mut span = chat(0);
    span.attributes = vec![attribute("a", Value::BoolValue(true)); (1 << 16) + 1];
    let error = writer
        .append(Signal::Traces, request(vec![span]).encode_to_vec())
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooManyAttributes { .. }),
        "{error:?}"
    );
    append(&writer, 0, 1);
}

#[test]
fn numbers_at_their_limit_are_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let mut span = chat(1);
    span.attributes = vec![
        attribute("gen_ai.operation.name", crate::messages::text("chat")),
        attribute("gen_ai.usage.input_tokens", Value::IntValue(i64::MAX)),
        attribute("llamacpp.energy", Value::DoubleValue(f64::MAX)),
    ];
    let bytes = request(vec![span; 4]).encode_to_vec();
    writer.append(Signal::Traces, bytes.clone()).unwrap();
    writer.seal().unwrap();
    writer.append(Signal::Traces, bytes).unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    let sums = snapshot.rollups(None).unwrap().sums;
    let all: Vec<_> = sums.values().collect();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].spans, all[0].input_tokens), (8, u64::MAX));
    assert_eq!(all[0].microjoules, u64::MAX);
}

#[test]
fn a_damaged_file_is_no_reason_to_leave_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..10 {
        append(&Writer::open(folder.path()).unwrap(), part * 4, 4);
    }
    assert_eq!(
        compact(folder.path(), Retention::default()).unwrap().merged,
        10
    );
    let whole = &files(folder.path(), "blocks")[0];
    let bytes = std::fs::read(whole).unwrap();
    for part in 0..10 {
        append(&Writer::open(folder.path()).unwrap(), 100 + part * 4, 4);
    }
    // Behind the directory: found out only when the rows are read.
    for place in (0..bytes.len() / 2).step_by(bytes.len() / 20) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x55;
        std::fs::write(whole, &changed).unwrap();
        compact(folder.path(), Retention::default()).unwrap();
        assert!(whole.exists(), "byte {place}");
        let all = files(folder.path(), "journal").len() + files(folder.path(), "blocks").len();
        assert_eq!(all, 2, "byte {place}");
    }
    std::fs::write(whole, &bytes).unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), 80);
}
