//! Joules of requests that run side by side, and whether they sum to what the devices took.
//!
//! ```text
//! LLAMA_SERVER_PATH=… cargo run --release --example energy -- MODEL.gguf 35 > energy.json
//! ```
//!
//! For two mixes of lengths, each at one, four and sixteen streams: each stream sends one request
//! after another for so many seconds, always to its own slot, so that equal requests are equal work
//! for the server too. Then four streams once more, in slots that are no neighbours: what a server
//! without a shared context pool computes one by one. JSON: each answer's energy, and the meter's
//! sums beside it. `scripts/gpu_energy_check.py` reads it.

use anyhow::Context as _;
use llamatelemetry::{
    Energy, EnergyTotals, GenerateOptions, InferResult, InferenceEngine, LoadOptions,
    TelemetryHandle, setup_telemetry,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What every stream of a phase does, and how many of them do it.
#[derive(Debug, Clone, Copy)]
struct Load {
    streams: usize,
    /// From one stream's slot to the next one's.
    slot_step: usize,
    /// Of the prompt.
    words: usize,
    /// To generate.
    tokens: u64,
}

const fn load(streams: usize, slot_step: usize, (words, tokens): (usize, u64)) -> Load {
    Load {
        streams,
        slot_step,
        words,
        tokens,
    }
}

const LONG_PROMPT: (usize, u64) = (500, 128);
const LONG_ANSWER: (usize, u64) = (120, 512);
const LOADS: [Load; 7] = [
    load(1, 1, LONG_PROMPT),
    load(4, 1, LONG_PROMPT),
    load(16, 1, LONG_PROMPT),
    load(1, 1, LONG_ANSWER),
    load(4, 1, LONG_ANSWER),
    load(16, 1, LONG_ANSWER),
    load(4, 4, LONG_ANSWER),
];
/// Nothing in flight before each phase, twice: to settle, and to see the idle power.
const REST: Duration = Duration::from_secs(3);
const NOTHING: &str = "nothing here measures energy";
/// A reading comes twice a second; this long one may be late.
const READING: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().context("which model?")?;
    let seconds = arguments.next().map_or(Ok(35), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime.block_on(measure(&model, Duration::from_secs(seconds)))?;
    serde_json::to_writer_pretty(std::io::stdout(), &found)?;
    Ok(())
}

async fn measure(model: &str, time: Duration) -> anyhow::Result<Value> {
    let settings = LoadOptions::from_environment()?.settings;
    let telemetry = setup_telemetry(&settings, Box::new(std::io::sink()))?;
    let options = LoadOptions::new(settings).with_sink(telemetry.sink());
    let engine = Arc::new(InferenceEngine::load_model(model, options).await?);
    let mut phases = Vec::new();
    for load in LOADS {
        tokio::time::sleep(REST).await;
        let rest = Watch::start(&telemetry).await.context(NOTHING)?;
        tokio::time::sleep(REST).await;
        let rest = rest.stop(&telemetry).await.context(NOTHING)?;
        let watch = Watch::start(&telemetry).await.context(NOTHING)?;
        let until = Instant::now() + time;
        let mut work = JoinSet::new();
        for stream in 0..load.streams {
            let engine = engine.clone();
            work.spawn(async move { one_stream(&engine, stream, load, until).await });
        }
        let mut answers = Vec::new();
        while let Some(stream) = work.join_next().await {
            answers.extend(stream??);
        }
        let span = watch.stop(&telemetry).await.context(NOTHING)?;
        phases.push(summary(load, &answers, &rest, &span));
    }
    if let Ok(engine) = Arc::try_unwrap(engine) {
        engine.unload().await;
    }
    telemetry.shutdown(Duration::from_secs(5));
    Ok(json!({ "phases": phases }))
}

async fn one_stream(
    engine: &InferenceEngine,
    stream: usize,
    load: Load,
    until: Instant,
) -> anyhow::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    let mut number = 0;
    let mut options = GenerateOptions {
        max_tokens: Some(load.tokens),
        ..GenerateOptions::default()
    };
    options.extra.insert("ignore_eos".to_owned(), json!(true));
    options
        .extra
        .insert("cache_prompt".to_owned(), json!(false));
    let slot = json!(stream * load.slot_step);
    options.extra.insert("id_slot".to_owned(), slot);
    while Instant::now() < until {
        number += 1;
        let prompt = format!("{stream} {number} {}", "wave ".repeat(load.words));
        let began = Instant::now();
        let mut answer = engine.stream(&prompt, &options).await?;
        let mut deltas_ms = Vec::new();
        while answer.next().await?.is_some() {
            deltas_ms.push(round(began.elapsed().as_secs_f64() * 1e3));
        }
        let result = answer.finish().await?;
        answers.push(Answer {
            seconds: began.elapsed().as_secs_f64(),
            deltas_ms,
            result,
        });
    }
    Ok(answers)
}

/// To a microsecond, of milliseconds.
fn round(millis: f64) -> f64 {
    (millis * 1e3).round() / 1e3
}

/// An answer, and when its pieces came.
struct Answer {
    seconds: f64,
    deltas_ms: Vec<f64>,
    result: InferResult,
}

/// The meter's sums from some reading on.
struct Watch {
    at: Instant,
    totals: EnergyTotals,
}

/// What the devices took between two readings.
struct Span {
    seconds: f64,
    totals: EnergyTotals,
}

impl Watch {
    /// From the next reading on; `None` where nothing measures energy.
    async fn start(telemetry: &TelemetryHandle) -> Option<Self> {
        let before = telemetry.energy_totals()?.measured;
        let limit = Instant::now() + READING;
        loop {
            let totals = telemetry.energy_totals()?;
            if totals.measured > before || Instant::now() > limit {
                let at = Instant::now();
                return Some(Self { at, totals });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self, telemetry: &TelemetryHandle) -> Option<Span> {
        // What was in flight a moment ago is settled by a reading after that.
        tokio::time::sleep(Duration::from_millis(800)).await;
        let end = Self::start(telemetry).await?;
        Some(Span {
            seconds: (end.at - self.at).as_secs_f64(),
            totals: EnergyTotals {
                measured: end.totals.measured - self.totals.measured,
                idle: end.totals.idle - self.totals.idle,
                attributed: end.totals.attributed - self.totals.attributed,
                unattributed: end.totals.unattributed - self.totals.unattributed,
                pending: end.totals.pending - self.totals.pending,
            },
        })
    }
}

/// One phase in figures. `closure` is independent of the meter's own idle power: that of the rest
/// before is taken off the counter.
fn summary(load: Load, answers: &[Answer], rest: &Span, span: &Span) -> Value {
    let energies: Vec<&Energy> = answers
        .iter()
        .filter_map(|answer| answer.result.energy.as_ref())
        .collect();
    let sum: f64 = energies.iter().map(|energy| energy.joules).sum();
    let rest_watts = rest.totals.measured / rest.seconds;
    let above_rest = span.totals.measured - rest_watts * span.seconds;
    let requests: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let Answer {
                seconds,
                deltas_ms,
                result,
            } = answer;
            json!({
                "seconds": seconds,
                "deltas_ms": deltas_ms,
                "trace_id": result.trace_id,
                "prompt_tokens": result.usage.prompt_tokens,
                "completion_tokens": result.usage.completion_tokens,
                "energy": result.energy,
            })
        })
        .collect();
    json!({
        "streams": load.streams,
        "slot_step": load.slot_step,
        "prompt_words": load.words,
        "max_tokens": load.tokens,
        "seconds": span.seconds,
        "rest_watts": rest_watts,
        "counter_joules": span.totals.measured,
        "counter_less_rest_joules": above_rest,
        "meter": {
            "idle": span.totals.idle,
            "attributed": span.totals.attributed,
            "unattributed": span.totals.unattributed,
        },
        "sum_of_answers_joules": sum,
        "closure_of_answers": sum / above_rest,
        "closure_of_settled": span.totals.attributed / above_rest,
        "requests": requests,
    })
}
