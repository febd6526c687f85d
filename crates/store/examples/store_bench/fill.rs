//! Fills a store in this process; times are those of the last weeks.

use crate::load::{BATCH, GAP, Load, Planted};
use crate::post::now;
use llamatelemetry_store::{Retention, Signal, Writer, compact};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

const THREADS: usize = 2;

pub(crate) fn fill(folder: &Path, texts: &Path, spans: u64) -> Value {
    let began = now() - spans / 4 * GAP;
    let load = Mutex::new((Load::new(texts, false, Planted::Among(spans), began), spans));
    let writer = Writer::open(folder).unwrap();
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let work = || {
                let next = || {
                    let mut load = load.lock().unwrap();
                    let count = load.1.min(BATCH as u64);
                    load.1 -= count;
                    (count > 0).then(|| load.0.body(usize::try_from(count).unwrap()))
                };
                while let Some(body) = next() {
                    writer.append(Signal::Traces, body).unwrap();
                }
            };
            thread::Builder::new()
                .name(format!("fill-{number}"))
                .spawn_scoped(scope, work)
                .unwrap();
        }
    });
    writer.seal().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    drop(writer);
    let compacting = Instant::now();
    let done = compact(folder, Retention::default()).unwrap();
    json!({
        "spans_per_s": spans as f64 / seconds,
        "compact_s": compacting.elapsed().as_secs_f64(),
        "merged": done.merged,
        "written": done.written,
    })
}
