//! No room: what was answered stays, what does not fit is refused, and with room again all goes on.

use crate::messages::{chat, request, spans};
use llamatelemetry_store::{Query, Reader, Signal, StoreError, Writer};
use prost::Message as _;
use std::path::Path;
use std::process::Command;

/// Set for the processes that run out of room.
const FOLDER: &str = "STORE_TEST_FULL";
/// Spans of a request.
const SPANS: u64 = 16;

/// The folder that this process is to fill, if it is one that is started for that.
#[expect(
    clippy::disallowed_methods,
    reason = "how a test process is told what to do"
)]
fn folder() -> Option<String> {
    std::env::var(FOLDER).ok()
}

fn append(writer: &Writer, number: u64) -> Result<(), StoreError> {
    let from = number * SPANS;
    let bytes = request((from..from + SPANS).map(chat).collect()).encode_to_vec();
    writer.append(Signal::Traces, bytes)
}

/// Appends until there is no room; returns the number of the request that was refused.
fn fill(writer: &Writer, mut number: u64) -> u64 {
    loop {
        match append(writer, number) {
            Ok(()) => number += 1,
            Err(StoreError::Full { .. }) => return number,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// All that was answered is there, once, and nothing else.
fn holds(folder: &Path, answered: u64) {
    let snapshot = Reader::open(folder).unwrap().snapshot().unwrap();
    assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let read = spans(found.traces().unwrap());
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    let wanted: Vec<_> = (0..answered * SPANS).map(chat).collect();
    assert!(read == wanted, "{} of {} spans", read.len(), wanted.len());
}

/// Not a test by itself: runs where no file may become large.
#[test]
fn fills_its_journal() {
    let Some(folder) = folder() else { return };
    let folder = Path::new(&folder);
    let writer = Writer::open(folder).unwrap();
    let answered = fill(&writer, 0);
    assert!(answered > 1);
    holds(folder, answered);
    // Nothing of what was refused is left, and a new journal has room.
    let more = fill(&writer, answered);
    assert!(more > answered + 1);
    holds(folder, more);
    writer.seal().unwrap();
    let more = fill(&writer, more);
    drop(writer);
    holds(folder, more);
    println!("recovered");
}

/// Not a test by itself: runs on a small file system of its own.
#[test]
fn fills_its_disk() {
    let Some(folder) = folder() else { return };
    let folder = Path::new(&folder);
    let writer = Writer::open(folder).unwrap();
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let answered = fill(&writer, 0);
    assert!(answered > 1);
    holds(folder, answered);
    // There is no room for blocks either: the journal keeps the rows.
    let sealed = writer.seal();
    assert!(matches!(sealed, Err(StoreError::Full { .. })), "{sealed:?}");
    holds(folder, answered);
    assert_eq!(fill(&writer, answered), answered);
    std::fs::remove_file(&ballast).unwrap();
    append(&writer, answered).unwrap();
    writer.seal().unwrap();
    append(&writer, answered + 1).unwrap();
    holds(folder, answered + 2);
    drop(writer);
    holds(folder, answered + 2);
    println!("recovered");
}

/// Runs one of the tests above behind a command of the shell.
fn run(wrapper: &[&str], before: &str, test: &str, folder: &Path) {
    let output = Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg(format!("{before} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("recovered"),
        "{said}\n{complaint}"
    );
}

#[test]
fn a_journal_that_may_not_grow_refuses_and_goes_on_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    // The signal of the limit is ignored, so that writing fails instead.
    let limit = "trap '' XFSZ; ulimit -f 128";
    run(
        &["/bin/sh", "-c"],
        limit,
        "full_disk::fills_its_journal",
        folder.path(),
    );
}

#[test]
fn a_full_disk_refuses_and_with_room_again_all_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=3m tmpfs '{}'",
        folder.path().display()
    );
    let permitted = Command::new("unshare")
        .args(["-rm", "/bin/sh", "-c", &mount])
        .output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        println!("skipped: no mounts of one's own (unshare -rm)");
        return;
    }
    run(
        &["unshare", "-rm", "/bin/sh", "-c"],
        &mount,
        "full_disk::fills_its_disk",
        folder.path(),
    );
}
