//! Two processes that write and one that reads, for a minute in the test command and for longer by
//! `cargo xtask soak store`: at every moment the reader sees what was answered, and in the end
//! exactly that.

use crate::messages::{chat, request};
use llamatelemetry_store::{Condition, Query, Reader, Signal, Writer};
use prost::Message as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set for the processes that write.
const FOLDER: &str = "STORE_SOAK_FOLDER";
const FIRST: &str = "STORE_SOAK_FIRST";
/// How long, in seconds.
const SECONDS: &str = "STORE_SOAK_SECONDS";
/// Where the result is written, as JSON.
const REPORT: &str = "STORE_SOAK_REPORT";

const SPANS: u64 = 512;
/// Spans of the second writer begin at this number.
const OTHERS: u64 = 1 << 40;
/// Between two requests of a writer.
const PAUSE: Duration = Duration::from_millis(100);

#[expect(
    clippy::disallowed_methods,
    reason = "how a test process is told what to do"
)]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn duration() -> Duration {
    let seconds = told(SECONDS).map_or(60, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Not a test by itself: a process that writes, and says each number once it was answered.
#[test]
fn writes_for_a_while() {
    let (Some(folder), Some(first)) = (told(FOLDER), told(FIRST)) else {
        return;
    };
    let first: u64 = first.parse().unwrap();
    let writer = Writer::open(Path::new(&folder)).unwrap();
    let until = Instant::now() + duration();
    let mut next = Instant::now();
    for number in 0.. {
        let from = first + number * SPANS;
        let bytes = request((from..from + SPANS).map(chat).collect()).encode_to_vec();
        writer.append(Signal::Traces, bytes).unwrap();
        println!("answered {number}");
        next += PAUSE;
        if next > until {
            break;
        }
        // Paced: what is looked for are faults, not limits.
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn start(folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["soak::writes_for_a_while", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Counts the requests that a writer says were answered; gives its memory at a third of the way and
/// at the end, MB.
fn follow(mut child: Child, answered: &AtomicU64) -> [f64; 2] {
    let started = Instant::now();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut memory = [0.0; 2];
    for line in lines.map_while(Result::ok) {
        if line.contains("answered ") {
            answered.fetch_add(1, Ordering::SeqCst);
            let half = usize::from(started.elapsed() > duration() / 3);
            if half == 0 || answered.load(Ordering::SeqCst).is_multiple_of(8) {
                memory[half] = resident(child.id()).unwrap_or(memory[half]);
            }
        }
    }
    assert!(child.wait().unwrap().success());
    memory
}

fn resident(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

#[test]
fn two_writers_and_a_reader_agree_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let children = [0, OTHERS].map(|first| start(folder.path(), first));
    let answered: [AtomicU64; 2] = Default::default();
    let reader = Reader::open(folder.path()).unwrap();
    let (mut snapshots, mut slowest, mut rows) = (0_u64, Duration::ZERO, 0);
    let memory = thread::scope(|scope| {
        let following: Vec<_> = (children.into_iter().zip(&answered))
            .map(|(child, answered)| {
                thread::Builder::new()
                    .name("follow".to_owned())
                    .spawn_scoped(scope, || follow(child, answered))
                    .unwrap()
            })
            .collect();
        while following.iter().any(|thread| !thread.is_finished()) {
            let before = answered
                .each_ref()
                .map(|count| count.load(Ordering::SeqCst));
            let started = Instant::now();
            let snapshot = reader.snapshot().unwrap();
            slowest = slowest.max(started.elapsed());
            let now = snapshot.rows(Signal::Traces);
            assert!(
                now >= before.iter().sum::<u64>() * SPANS,
                "{now} {before:?}"
            );
            assert!(now >= rows, "{now} after {rows}");
            assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
            for (count, first) in before.into_iter().zip([0, OTHERS]) {
                // One of those that were answered, another each time.
                if let Some(number) = (snapshots * 7_919).checked_rem(count) {
                    let span = chat(first + number * SPANS);
                    let id = span.trace_id[..].try_into().unwrap();
                    let trace = snapshot.trace(id).unwrap();
                    let spans = &trace.resource_spans[0].scope_spans[0].spans;
                    assert_eq!((spans.len(), &spans[0]), (4, &span));
                }
            }
            rows = now;
            snapshots += 1;
        }
        let ended = following.into_iter().map(|thread| thread.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    let spans = answered
        .iter()
        .map(|count| count.load(Ordering::SeqCst))
        .sum::<u64>()
        * SPANS;
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.rows(Signal::Traces), spans);
    let last = Query {
        conditions: vec![Condition::Has("gen_ai.conversation.id".to_owned())],
        ..Query::default()
    };
    let mut found = snapshot.find(Signal::Traces, &last).unwrap();
    assert_eq!(found.trace_ids().unwrap().len() as u64, spans / 4);
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    if let Some(path) = told(REPORT) {
        let report = serde_json::json!({
            "seconds": duration().as_secs(),
            "spans": spans,
            "snapshots": snapshots,
            "slowest_snapshot_ms": slowest.as_secs_f64() * 1e3,
            "lost": 0,
            "writers_rss_mb_at_a_third": memory.iter().map(|memory| memory[0]).collect::<Vec<_>>(),
            "writers_rss_mb_at_the_end": memory.iter().map(|memory| memory[1]).collect::<Vec<_>>(),
        });
        std::fs::write(path, serde_json::to_vec_pretty(&report).unwrap()).unwrap();
    }
}
