//! What earlier versions wrote is read, taken over, and not written any more; what later ones will
//! write is named.

use crate::messages::{chat, files, request, spans};
use llamatelemetry_store::{Condition, Query, Reader, Retention, Signal, Writer, compact};
use prost::Message as _;
use std::path::Path;

/// A store as version 1 wrote it: forty spans in a block, twenty-four in a journal.
fn version_1() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let segment = folder.path().join("segments/1");
    std::fs::create_dir_all(&segment).unwrap();
    std::fs::write(segment.join("lock"), b"").unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/segments/1");
    for name in ["00000001.blocks", "00000002.journal"] {
        std::fs::copy(from.join(name), segment.join(name)).unwrap();
    }
    folder
}

fn holds(folder: &Path, count: u64) {
    let snapshot = Reader::open(folder).unwrap().snapshot().unwrap();
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let read = spans(found.traces().unwrap());
    assert!(read == (0..count).map(chat).collect::<Vec<_>>());
    let of_trace = Query {
        conditions: vec![Condition::Trace(8_u128.to_be_bytes())],
        ..Query::default()
    };
    assert_eq!(snapshot.find(Signal::Traces, &of_trace).unwrap().len(), 4);
    let totals = snapshot.totals(None).unwrap();
    let sums = totals.sums.values().map(|sums| sums.spans).sum::<u64>();
    assert_eq!((sums, totals.damaged.len()), (count, 0));
    assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
}

#[test]
fn a_store_of_version_1_is_read_and_taken_over() {
    let folder = version_1();
    holds(folder.path(), 64);
    for part in 0..7 {
        let writer = Writer::open(folder.path()).unwrap();
        let bytes = request(vec![chat(64 + part)]).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
    }
    holds(folder.path(), 71);
    let done = compact(folder.path(), Retention::default()).unwrap();
    assert_eq!((done.merged, done.written), (9, 1));
    holds(folder.path(), 71);
    // The version stands before the last four bytes.
    let bytes = std::fs::read(&files(folder.path(), "blocks")[0]).unwrap();
    assert_eq!(bytes[bytes.len() - 8..bytes.len() - 4], 2_u32.to_le_bytes());
}

#[test]
fn what_is_newer_is_named_and_left_as_it_is() {
    let folder = version_1();
    let writer = Writer::open(folder.path()).unwrap();
    let bytes = request(vec![chat(64)]).encode_to_vec();
    writer.append(Signal::Traces, bytes).unwrap();
    drop(writer);
    let journals = files(folder.path(), "journal");
    let own = journals
        .iter()
        .find(|path| !path.starts_with(folder.path().join("segments/1")))
        .unwrap();
    let blocks = &files(folder.path(), "blocks")[0];
    let mut newer = std::fs::read(blocks).unwrap();
    let version = newer.len() - 8;
    newer[version] = 3;
    std::fs::write(blocks, &newer).unwrap();
    let mut journal = std::fs::read(own).unwrap();
    journal[4] = 3;
    std::fs::write(own, &journal).unwrap();
    let snapshot = Reader::open(folder.path()).unwrap().snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), 24);
    for said in snapshot.damaged().values() {
        assert!(
            said.starts_with("written in format 3, this version reads up to 2"),
            "{said}"
        );
    }
    assert_eq!(snapshot.damaged().len(), 2);
    compact(folder.path(), Retention::default()).unwrap();
    assert!(std::fs::read(blocks).unwrap() == newer);
    assert!(std::fs::read(own).unwrap() == journal);
}
