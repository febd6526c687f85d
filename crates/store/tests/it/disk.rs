//! A bad world: damage, kills, several processes, no room.

use crate::messages::{chat, request, spans};
use llamatelemetry_store::{Query, Reader, Retention, Signal, Writer, compact};
use prost::Message as _;
use std::path::{Path, PathBuf};

fn append(writer: &Writer, from: u64, count: u64) {
    let bytes = request((from..from + count).map(chat).collect()).encode_to_vec();
    writer.append(Signal::Traces, bytes).unwrap();
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            all.push(path);
        }
    }
    all.sort();
    all
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
