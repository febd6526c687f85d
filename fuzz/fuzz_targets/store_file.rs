//! Any bytes as files of the store, and files that are right by their checksums and wrong behind
//! them: they are read, or named as damaged, and what lies beside them stays as it was.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llamatelemetry_fuzz::{Request, folder};
use llamatelemetry_store::fuzzing::{self, Change, Part};
use llamatelemetry_store::{
    Condition, Literal, Query, Reader, Retention, Signal, Snapshot, compact,
};
use std::path::Path;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    requests: Vec<Request>,
    changes: Vec<(u8, u8, u16, u8, Inserted<'a>)>,
    replaces: Option<&'a str>,
    /// Payloads of a journal that fit their checksums.
    payloads: Vec<(u8, &'a [u8])>,
    journal: &'a [u8],
    blocks: &'a [u8],
}

#[derive(Debug, Arbitrary)]
enum Inserted<'a> {
    Nothing,
    /// As numbers stand in footers.
    Number(u64),
    /// Numbers at the edge of something.
    Power(u8),
    Bytes(&'a [u8]),
}

impl Inserted<'_> {
    fn bytes(&self) -> Vec<u8> {
        let number = |mut number: u64| {
            let mut bytes = Vec::new();
            while number >= 0x80 {
                bytes.push(number.to_le_bytes()[0] | 0x80);
                number >>= 7;
            }
            bytes.push(number.to_le_bytes()[0]);
            bytes
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::Number(value) => number(*value),
            Self::Power(power) => number((1 << (power % 64)) - u64::from(power / 128)),
            Self::Bytes(bytes) => bytes.to_vec(),
        }
    }
}

fuzz_target!(|input: Input<'_>| run(&input));

fn run(input: &Input<'_>) {
    let parts = [Part::Chunk, Part::Packed, Part::Footer, Part::Directory];
    let changes: Vec<Change> = (input.changes.iter())
        .map(|(part, which, at, remove, insert)| Change {
            part: parts[usize::from(*part) % parts.len()],
            which: usize::from(*which),
            at: usize::from(*at),
            remove: usize::from(*remove % 12),
            insert: insert.bytes(),
        })
        .collect();
    let requests: Vec<_> = input.requests.iter().map(Request::encode).collect();
    let replaces: Vec<&str> = input.replaces.into_iter().collect();
    let changed = fuzzing::blocks(&requests, &replaces, &changes);
    let whole = fuzzing::blocks(&requests, &[], &[]);
    let payloads: Vec<_> = (input.payloads.iter())
        .map(|(signal, bytes)| (Signal::ALL[usize::from(*signal) % 3], bytes.to_vec()))
        .collect();

    let folder = folder();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    };
    write("blocks/changed.blocks", &changed);
    write("blocks/any.blocks", input.blocks);
    for number in 0..6 {
        write(&format!("blocks/{number}.blocks"), &whole);
    }
    write("segments/dead/lock", b"");
    write("segments/dead/1.journal", input.journal);
    write("segments/dead/2.journal", &fuzzing::journal(&payloads));
    write("segments/dead/3.journal", &fuzzing::journal(&requests));

    let before = read(folder.path());
    compact(folder.path(), Retention::default()).expect("damage is no reason to stop");
    let after = read(folder.path());
    // A directory that is right by its checksum may say that its file takes the others' place.
    if replaces.is_empty() && changes.iter().all(|change| change.part != Part::Directory) {
        assert_eq!(before, after);
    }
}

/// Asks all there is to ask; gives the rows that can be read.
fn read(folder: &Path) -> [usize; 3] {
    let reader = Reader::open(folder).expect("a folder");
    let snapshot = reader.snapshot().expect("damage is no failure");
    snapshot.rollups(None).expect("damage is no failure");
    for signal in Signal::ALL {
        assert!(snapshot.rows(signal) < u64::MAX);
        for conditions in questions() {
            let query = Query {
                time: Some(0..u64::MAX / 2),
                conditions,
                limit: Some(3),
            };
            snapshot.find(signal, &query).expect("damage is no failure");
        }
    }
    reader.snapshot().expect("a second time");
    Signal::ALL.map(|signal| rows(&snapshot, signal))
}

fn questions() -> [Vec<Condition>; 7] {
    let literal = |text: &str| Literal(text.to_owned());
    [
        vec![],
        vec![Condition::Trace([0; 16]), Condition::Span([0; 8])],
        vec![
            Condition::Name("name 0".to_owned()),
            Condition::LongerThan(1),
        ],
        vec![
            Condition::Attribute("gen_ai.request.model".to_owned(), literal("1")),
            Condition::Failed(true),
        ],
        vec![
            Condition::Has("gen_ai.input.messages".to_owned()),
            Condition::Holds("Text".to_owned()),
        ],
        vec![Condition::Service(String::new()), Condition::Severity(1)],
        vec![Condition::Has(String::new()), Condition::ShorterThan(1)],
    ]
}

fn rows(snapshot: &Snapshot, signal: Signal) -> usize {
    let mut found = snapshot
        .find(signal, &Query::default())
        .expect("damage is no failure");
    match signal {
        Signal::Traces => (found.traces().expect("damage is no failure").resource_spans)
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
            .map(|scope| scope.spans.len())
            .sum(),
        Signal::Logs => (found.logs().expect("damage is no failure").resource_logs)
            .into_iter()
            .flat_map(|resource| resource.scope_logs)
            .map(|scope| scope.log_records.len())
            .sum(),
        Signal::Metrics => (found
            .metrics()
            .expect("damage is no failure")
            .resource_metrics)
            .into_iter()
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .map(|metric| llamatelemetry_fuzz::points(&metric).len())
            .sum(),
    }
}
