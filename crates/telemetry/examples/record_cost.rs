//! What a finished request pays for telemetry: the time that `Sink::record` takes on the caller's
//! thread, with spans going out over OTLP to a receiver on this machine.
//!
//! `cargo run --release -p llamatelemetry-telemetry --example record_cost`

#![expect(clippy::print_stdout, reason = "an example's output")]

use llamatelemetry_record::{
    Content, Endpoint, FinishReason, Message, Phases, RequestParameters, RequestRecord,
    ServerTimings, Sink as _, SpanId, TimingSource, TraceId, Usage,
};
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const REQUESTS: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let endpoint = format!("http://{}", receiver()?);
    println!(
        "{:28} {:>10} {:>10} {:>10}",
        "case", "p50 µs", "p99 µs", "mean µs"
    );
    for (case, content) in [("content off", None), ("content on, 8 KiB", Some(8 << 10))] {
        let mut settings = resolve(
            Environment::from_pairs([("HOME", "/nonexistent")]),
            &Flags::default(),
        )?
        .settings;
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "200000"),
        ];
        settings.telemetry.otel = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None)?;
        let records: Vec<_> = (0..REQUESTS).map(|_| Arc::new(record(content))).collect();
        let mut times: Vec<Duration> = records
            .into_iter()
            .map(|record| {
                let before = Instant::now();
                telemetry.record(record);
                before.elapsed()
            })
            .collect();
        times.sort_unstable();
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        let mean = times.iter().sum::<Duration>() / u32::try_from(times.len())?;
        println!(
            "{case:28} {:>10.2} {:>10.2} {:>10.2}",
            microseconds(times[REQUESTS / 2]),
            microseconds(times[REQUESTS * 99 / 100]),
            microseconds(mean),
        );
        let before = Instant::now();
        let delivery = telemetry.shutdown(Duration::from_secs(60));
        println!("  {delivery:?}, the rest sent in {:?}", before.elapsed());
    }
    Ok(())
}

fn record(content: Option<usize>) -> RequestRecord {
    let milliseconds = |time| Some(Duration::from_millis(time));
    RequestRecord {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        parent: None,
        endpoint: Endpoint::ChatCompletions,
        streamed: true,
        started_at: SystemTime::now(),
        phases: Phases {
            queue: milliseconds(2),
            prefill: milliseconds(65),
            decode: milliseconds(470),
            total: Duration::from_millis(537),
            source: TimingSource::Stream,
        },
        server_timings: Some(ServerTimings {
            cache_n: 10,
            prompt_n: 26,
            prompt_ms: 65.0,
            predicted_n: 48,
            predicted_ms: 470.0,
            draft_n: None,
            draft_n_accepted: None,
        }),
        model: "smollm2".into(),
        model_sha256: Some("ab".repeat(32)),
        quantization: Some("Q4_1".into()),
        llama_build: Some("b11434-0123abc".into()),
        response_id: Some("chatcmpl-Jph8tn95D8EMefWWcqWxDCd0xBybNR9j".into()),
        response_model: Some("SmolLM2-135M-Instruct.Q4_1.gguf".into()),
        conversation_id: None,
        slot: Some(0),
        parameters: RequestParameters {
            temperature: Some(0.0),
            max_tokens: Some(48),
            ..RequestParameters::default()
        },
        usage: Usage {
            prompt_tokens: Some(36),
            cached_tokens: Some(10),
            completion_tokens: Some(48),
            reasoning_tokens: None,
        },
        finish_reason: Some(FinishReason::Length),
        failure: None,
        waits: Vec::new(),
        marks: Vec::new(),
        retries_of: Vec::new(),
        resends: 0,
        deltas: 0,
        gaps: Vec::new(),
        baggage: Vec::new(),
        trace_state: None,
        server: None,
        energy: None,
        content: content.map(|size| Content {
            input: vec![Message::text("user", "words ".repeat(size / 12))],
            output: vec![Message::text("assistant", "words ".repeat(size / 12))],
            ..Content::default()
        }),
    }
}

/// Takes whatever comes and says that all is well.
fn receiver() -> std::io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::Builder::new()
        .name("receiver".to_owned())
        .spawn(move || {
            for connection in listener.incoming().flatten() {
                drop(take(connection));
            }
        })?;
    Ok(address)
}

fn take(mut connection: std::net::TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = connection.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or_default();
        if bytes.len() >= end + 4 + length {
            bytes.drain(..end + 4 + length);
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        }
    }
}
