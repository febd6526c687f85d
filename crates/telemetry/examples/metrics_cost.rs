//! What counting one request costs on the pipeline's thread, and one scrape.
//!
//! `cargo run --release -p llamatelemetry-telemetry --example metrics_cost`

#![expect(clippy::print_stdout, reason = "an example's output")]

use llamatelemetry_record::{
    Endpoint, FinishReason, Phases, RequestRecord, ServerTimings, SpanId, TimingSource, TraceId,
};
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_telemetry::metrics::Format;
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

const REQUESTS: usize = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    for aggregation in [
        "explicit_bucket_histogram",
        "base2_exponential_bucket_histogram",
    ] {
        let home = Environment::from_pairs([("HOME", "/nonexistent")]);
        let mut settings = resolve(home, &Flags::default())?.settings;
        settings.telemetry.otel = [
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                aggregation,
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None)?;
        let metrics = telemetry.metrics().ok_or("no metrics")?;
        let record = record();
        let mut times: Vec<Duration> = (0..REQUESTS)
            .map(|_| {
                let before = Instant::now();
                metrics.observe(&record, true);
                before.elapsed()
            })
            .collect();
        times.sort_unstable();
        let microseconds = |place: usize| times[place].as_secs_f64() * 1e6;
        let before = Instant::now();
        let text = metrics.prometheus(Format::OpenMetrics);
        let scrape = before.elapsed();
        println!(
            "{aggregation:36} p50 {:.2} µs  p99 {:.2} µs; a scrape of {} bytes {scrape:?}",
            microseconds(REQUESTS / 2),
            microseconds(REQUESTS * 99 / 100),
            text.len(),
        );
    }
    Ok(())
}

/// A streamed chat of which everything is known that is counted.
fn record() -> RequestRecord {
    let milliseconds = |time| Some(Duration::from_millis(time));
    let mut record = RequestRecord::new(
        TraceId::random(),
        SpanId::random(),
        Endpoint::ChatCompletions,
        SystemTime::now(),
    );
    let timings = ServerTimings {
        cache_n: 10,
        prompt_n: 26,
        prompt_ms: 65.0,
        predicted_n: 48,
        predicted_ms: 470.0,
        draft_n: Some(20),
        draft_n_accepted: Some(15),
    };
    record.streamed = true;
    record.phases = Phases {
        queue: milliseconds(2),
        prefill: milliseconds(65),
        decode: milliseconds(470),
        total: Duration::from_millis(537),
        source: TimingSource::Stream,
    };
    record.usage = timings.usage();
    record.server_timings = Some(timings);
    record.model = "smollm2".into();
    record.response_model = Some("SmolLM2-135M-Instruct.Q4_1.gguf".into());
    record.finish_reason = Some(FinishReason::Length);
    record
}
