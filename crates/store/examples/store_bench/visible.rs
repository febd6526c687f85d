//! How soon a span can be read after it was sent, while others come at a steady rate.

use crate::load::{BATCH, Load, Planted, trace_id};
use crate::post::{Client, now};
use llamatelemetry_store::{Reader, Signal};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) fn visible(url: &str, folder: &Path, seconds: u64, rate: u64, texts: &Path) -> Value {
    let over = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut load = Load::new(texts, false, Planted::Nothing, now());
    let pause = Duration::from_secs_f64(BATCH as f64 / rate as f64);
    let mut waited = Vec::new();
    let mut sent = 0_u64;
    thread::scope(|scope| {
        let steady = || {
            let mut client = Client::new(url);
            let mut next = Instant::now();
            while !over.load(Ordering::Relaxed) {
                assert_eq!(client.post(&load.body(BATCH)), 200);
                sent += 1;
                next += pause;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        };
        thread::Builder::new()
            .name("steady".to_owned())
            .spawn_scoped(scope, steady)
            .unwrap();
        let mut client = Client::new(url);
        let reader = Reader::open(folder).unwrap();
        // Numbers that the steady ones do not reach.
        let mut number = 1 << 40;
        while Instant::now() < until {
            number += 1;
            let body = crate::load::probe(number);
            let started = Instant::now();
            assert_eq!(client.post(&body), 200);
            loop {
                let snapshot = reader.snapshot().unwrap();
                let rows = snapshot.rows(Signal::Traces);
                if rows > 0
                    && !snapshot
                        .trace(trace_id(number))
                        .unwrap()
                        .resource_spans
                        .is_empty()
                {
                    break;
                }
            }
            waited.push(started.elapsed().as_secs_f64() * 1e3);
            thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Ordering::Relaxed);
    });
    waited.sort_by(f64::total_cmp);
    let at = |share: usize| waited[(waited.len() - 1) * share / 100];
    json!({
        "probes": waited.len(),
        "rate": (sent * BATCH as u64) as f64 / seconds as f64,
        "readable_p50_ms": at(50),
        "readable_p99_ms": at(99),
    })
}
