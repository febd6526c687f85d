//! What is purged is in no file of the store, packed or not, and everything else stays.

use crate::messages::{attribute, chat, files, request, spans, text};
use llamatelemetry_store::{
    Condition, Literal, Purge, Purged, Query, Reader, Retention, Signal, Writer, compact,
    files_holding, purge,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A span with a word of its own, once in a short text and once in a message.
fn said(n: u64) -> Span {
    let mut span = chat(n);
    let word = word(n);
    let message = format!(
        r#"[{{"role": "user", "content": "{} {word} {}"}}]"#,
        "well ".repeat(20),
        "so ".repeat(20)
    );
    span.attributes.push(attribute("word", text(&word)));
    span.attributes
        .push(attribute("gen_ai.input.messages", text(&message)));
    span
}

fn word(n: u64) -> String {
    format!(
        "secret-{:016x}",
        (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

fn append(writer: &Writer, numbers: std::ops::Range<u64>) {
    let bytes = request(numbers.map(said).collect()).encode_to_vec();
    writer.append(Signal::Traces, bytes).unwrap();
}

fn held(folder: &Path) -> Vec<Span> {
    let snapshot = Reader::open(folder).unwrap().snapshot().unwrap();
    assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
    let mut found = snapshot.find(Signal::Traces, &Query::default()).unwrap();
    let read = spans(found.traces().unwrap());
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    read
}

/// Rows in a large file, in a block of a living writer, in its journal, and in the journal of one
/// that is gone.
fn everywhere(folder: &Path) -> Writer {
    for part in 0..9 {
        append(&Writer::open(folder).unwrap(), part * 20..part * 20 + 20);
    }
    compact(folder, Retention::default()).unwrap();
    append(&Writer::open(folder).unwrap(), 180..200);
    let writer = Writer::open(folder).unwrap();
    append(&writer, 200..220);
    writer.seal().unwrap();
    append(&writer, 220..240);
    writer
}

fn of(conditions: Vec<Condition>) -> Purge {
    Purge {
        conditions,
        ..Purge::default()
    }
}

/// Purges, and checks that exactly these spans went, in one place and another.
fn goes(folder: &Path, what: &Purge, gone: impl Fn(u64) -> bool) -> Purged {
    let before = held(folder);
    let done = purge(folder, what).unwrap();
    assert_eq!(done.left, Vec::<String>::new());
    let kept: Vec<Span> = (before.iter())
        .filter(|span| !gone(u64::from_be_bytes(span.span_id[..].try_into().unwrap()) - 1))
        .cloned()
        .collect();
    assert_eq!(done.spans, (before.len() - kept.len()) as u64);
    assert!(held(folder) == kept);
    for n in 0..240 {
        let found = files_holding(folder, word(n).as_bytes()).unwrap();
        let kept = kept.iter().any(|span| *span == said(n));
        assert_eq!(!found.is_empty(), kept, "{n}: {found:?}");
    }
    done
}

#[test]
fn a_trace_goes_from_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let writer = everywhere(folder.path());
    // Four spans a trace: one in each of the kinds of files.
    for n in [4, 184, 204, 224] {
        let trace = (u128::from(n / 4_u64) + 1).to_be_bytes();
        let what = of(vec![Condition::Trace(trace)]);
        let done = goes(folder.path(), &what, |m| m / 4 == n / 4);
        assert_eq!((done.spans, done.traces, done.files), (4, 1, 1));
    }
    // The writer goes on, and nothing comes back.
    append(&writer, 240..244);
    writer.seal().unwrap();
    assert_eq!(held(folder.path()).len(), 240 - 16 + 4);
    drop(writer);
    compact(folder.path(), Retention::default()).unwrap();
    assert_eq!(held(folder.path()).len(), 240 - 16 + 4);
}

#[test]
fn conversations_and_times_go() {
    let folder = tempfile::tempdir().unwrap();
    let writer = everywhere(folder.path());
    let conversation = Condition::Attribute(
        "gen_ai.conversation.id".to_owned(),
        Literal("c3".to_owned()),
    );
    // Whole traces, of which one span is of the conversation.
    let touched = |n: u64| (n / 4 * 4..n / 4 * 4 + 4).any(|m| m % 10 == 3);
    let counted = Purge {
        dry_run: true,
        ..of(vec![conversation.clone()])
    };
    let would = purge(folder.path(), &counted).unwrap();
    assert_eq!(held(folder.path()).len(), 240);
    let done = goes(folder.path(), &of(vec![conversation]), touched);
    assert_eq!((would.spans, would.traces), (done.spans, done.traces));
    let before = Purge {
        time: Some(0..chat(190).start_time_unix_nano),
        ..Purge::default()
    };
    goes(folder.path(), &before, |n| n < 190);
    let all = Purge::default();
    goes(folder.path(), &all, |_| true);
    drop(writer);
    compact(folder.path(), Retention::default()).unwrap();
    let left = [
        files(folder.path(), "blocks"),
        files(folder.path(), "journal"),
    ];
    assert!(left.concat().is_empty(), "{left:?}");
}

#[test]
fn a_busy_writer_is_neither_damaged_nor_blamed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    append(&writer, 0..20);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Each look at the journal finds more than the one before.
        scope.spawn(|| {
            let mut next = 20;
            while !over.load(Ordering::Relaxed) {
                append(&writer, next..next + 20);
                next += 20;
            }
        });
        let first = Condition::Attribute("word".to_owned(), Literal(word(0)));
        let all = [of(vec![first]), Purge::default(), Purge::default()];
        let done = all.map(|what| purge(folder.path(), &what));
        over.store(true, Ordering::Relaxed);
        for done in done {
            assert_eq!(done.unwrap().left, Vec::<String>::new());
        }
    });
    assert!(held(folder.path()).iter().all(|span| *span != said(0)));
}

#[test]
fn what_is_damaged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(everywhere(folder.path()));
    let large = &files(folder.path(), "blocks")[0];
    let mut bytes = std::fs::read(large).unwrap();
    let at = bytes.len() / 4;
    bytes[at] ^= 0x55;
    std::fs::write(large, &bytes).unwrap();
    let conversation = Condition::Attribute(
        "gen_ai.conversation.id".to_owned(),
        Literal("c3".to_owned()),
    );
    let done = purge(folder.path(), &of(vec![conversation])).unwrap();
    assert_eq!(done.left.len(), 1, "{:?}", done.left);
    assert!(done.left[0].contains("damaged"), "{:?}", done.left);
    assert!(large.exists());
    // Of all that goes nothing has to be read.
    let done = purge(folder.path(), &Purge::default()).unwrap();
    assert_eq!(done.left, Vec::<String>::new());
    assert!(!large.exists());
}
