//! Appends OTLP trace requests from a file of length-prefixed bodies, then asks questions.
//!
//! `cargo run --release -p llamatelemetry-store --example ingest -- BODIES FOLDER [ROUNDS]`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "an example's output, and one story told in a row"
)]

use llamatelemetry_store::{Condition, Literal, Query, Reader, Signal, Writer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The same spans as of another hour: other traces, other times.
fn again(body: &[u8], round: usize) -> Vec<u8> {
    if round == 0 {
        return body.to_vec();
    }
    let mut request = ExportTraceServiceRequest::decode(body).unwrap();
    let spans = request
        .resource_spans
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_spans)
        .flat_map(|scope| &mut scope.spans);
    for span in spans {
        for id in [
            &mut span.trace_id,
            &mut span.span_id,
            &mut span.parent_span_id,
        ] {
            id.iter_mut()
                .zip(round.to_le_bytes())
                .for_each(|(byte, mask)| *byte ^= mask);
        }
        let later = round as u64 * 3_600_000_000_000;
        span.start_time_unix_nano += later;
        span.end_time_unix_nano += later;
    }
    request.encode_to_vec()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&arguments[1])?;
    let folder = Path::new(&arguments[2]);
    let rounds: usize = arguments.get(3).map_or(Ok(1), |text| text.parse())?;
    let mut bodies = Vec::new();
    let mut rest = &bytes[..];
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (body, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        bodies.push(body);
        rest = tail;
    }
    let spans = bodies.len() * 512 * rounds;
    let writer = Writer::open(folder)?;
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= bodies.len() * rounds {
                        break;
                    }
                    let body = again(bodies[place % bodies.len()], place / bodies.len());
                    writer.append(Signal::Traces, body).unwrap();
                }
            });
        }
    });
    let taken = started.elapsed();
    println!("{:.0} spans/s answered", spans as f64 / taken.as_secs_f64());
    writer.seal()?;
    println!(
        "{:.0} spans/s sealed",
        spans as f64 / started.elapsed().as_secs_f64()
    );
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
    {
        println!("{line} (bodies {} MB)", bytes.len() >> 20);
    }
    let timed = |what: &str, work: &mut dyn FnMut() -> usize| {
        for _ in 0..2 {
            let started = Instant::now();
            let found = work();
            println!(
                "{what}: {:.2} ms, {found}",
                started.elapsed().as_secs_f64() * 1e3
            );
        }
    };
    let opened = Instant::now();
    let reader = Reader::open(folder)?;
    let snapshot = reader.snapshot()?;
    println!("open: {:.2} ms", opened.elapsed().as_secs_f64() * 1e3);
    println!(
        "{:.1} bytes/span on disk",
        snapshot.bytes() as f64 / snapshot.rows(Signal::Traces) as f64
    );
    let first = snapshot
        .find(
            Signal::Traces,
            &Query {
                limit: Some(1),
                ..Query::default()
            },
        )?
        .traces()?;
    let id = first.resource_spans[0].scope_spans[0].spans[0]
        .trace_id
        .clone();
    timed("trace by id", &mut || {
        snapshot
            .trace(id.clone().try_into().unwrap())
            .unwrap()
            .resource_spans
            .len()
    });
    let equal = |key: &str, value: &str, limit| Query {
        conditions: vec![Condition::Attribute(
            key.to_owned(),
            Literal(value.to_owned()),
        )],
        limit,
        ..Query::default()
    };
    timed("rare attribute", &mut || {
        let query = equal("gen_ai.usage.input_tokens", "1234", None);
        snapshot.find(Signal::Traces, &query).unwrap().len()
    });
    timed("common attribute, first 100", &mut || {
        let query = equal("gen_ai.request.model", "smollm2", Some(100));
        snapshot
            .find(Signal::Traces, &query)
            .unwrap()
            .traces()
            .unwrap()
            .resource_spans
            .len()
    });
    timed("roll-up", &mut || snapshot.rollups(None).unwrap().len());
    Ok(())
}
