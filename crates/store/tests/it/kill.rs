//! Processes that are killed while they write, several at once, with readers beside them.

use crate::messages::{chat, request, spans};
use llamatelemetry_store::{Query, Reader, Retention, Signal, Writer, compact};
use prost::Message as _;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Set for the process that only writes.
const FOLDER: &str = "STORE_TEST_FOLDER";
const FIRST: &str = "STORE_TEST_FIRST";
const SPANS: u64 = 16;

/// Not a test by itself: the process that the others start and kill. It appends batch after batch
/// and says each number once it was answered.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test process is told what to do"
)]
fn writes_until_killed() {
    let (Ok(folder), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else {
        return;
    };
    let writer = Writer::open(Path::new(&folder)).unwrap();
    for number in first.parse::<u64>().unwrap().. {
        let from = number * SPANS;
        let bytes = request((from..from + SPANS).map(chat).collect()).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
        println!("answered {number}");
        if number % 7 == 6 {
            writer.seal().unwrap();
        }
    }
}

fn start(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::writes_until_killed", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads answered numbers until there are so many, kills, and reads what else was answered.
fn kill_after(mut child: Child, count: usize) -> Vec<u64> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = Vec::new();
    let number = |line: &str| line.split_once("answered ")?.1.trim().parse::<u64>().ok();
    while answered.len() < count {
        answered.extend(number(&lines.next().unwrap().unwrap()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A line that was cut short is no answer.
    answered.extend(lines.map_while(Result::ok).filter_map(|line| number(&line)));
    answered
}

fn held(reader: &Reader) -> BTreeSet<u64> {
    let snapshot = reader.snapshot().unwrap();
    assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let all = spans(found.traces().unwrap());
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    let ids: Vec<u64> = all
        .iter()
        .map(|span| u64::from_be_bytes(span.span_id[..].try_into().unwrap()) - 1)
        .collect();
    let distinct: BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "a span is shown twice");
    distinct
}

fn all_held(held: &BTreeSet<u64>, answered: &[u64]) -> bool {
    answered
        .iter()
        .flat_map(|number| number * SPANS..(number + 1) * SPANS)
        .all(|span| held.contains(&span))
}

#[test]
fn no_answered_span_is_lost_to_fifty_kills() {
    let folder = tempfile::tempdir().unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    let mut answered = Vec::new();
    let mut next = 0;
    for round in 0..50 {
        // Moments spread over the life of a journal: some just before, in and after a seal.
        answered.extend(kill_after(start(folder.path(), next), 1 + round % 17));
        next = answered.last().unwrap() + 2;
        if round % 10 == 9 {
            compact(folder.path(), Retention::default()).unwrap();
        }
        assert!(all_held(&held(&reader), &answered), "round {round}");
    }
}

#[test]
fn two_writers_a_reader_and_a_compactor_agree() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(folder.path(), 0);
    let other = start(folder.path(), 1 << 20);
    let reader = Reader::open(folder.path()).unwrap();
    let mut before = BTreeSet::new();
    for _ in 0..40 {
        compact(folder.path(), Retention::default()).unwrap();
        let now = held(&reader);
        assert!(now.is_superset(&before), "a span went away");
        before = now;
    }
    let mut answered = kill_after(one, 60);
    answered.extend(kill_after(other, 60));
    assert!(all_held(&held(&reader), &answered));
}
