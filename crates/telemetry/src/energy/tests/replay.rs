//! What was recorded on a GPU, handed to a meter in the order in which it happened.

use super::super::work::Timeline;
use super::super::{Meter, Reading, Watts};
use flate2::read::GzDecoder;
use llamatelemetry_record::{
    ContextPool, Endpoint, Energy, LiveRequest, Phases, RequestRecord, ServerTimings, SpanId,
    TimingSource, TraceId,
};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Recorded by `scripts/gpu_energy.py` on one H200.
const H200: &[u8] = include_bytes!("../../../testdata/energy-h200.jsonl.gz");

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    About {},
    Energy { at: f64, joules: f64 },
    Power { at: f64, instant: f64 },
    Phase(Phase),
    Request(Request),
}

/// A stretch of equal load, in seconds since the recording began.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) begin: f64,
    pub(super) end: f64,
}

/// A request as its client saw it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Request {
    pub(super) phase: String,
    pub(super) sent: f64,
    pub(super) headers: f64,
    pub(super) end: f64,
    pub(super) slot: u32,
    /// From sending to the first delta, then from each to the next, ms.
    pub(super) steps_ms: Vec<f64>,
    pub(super) timings: ServerTimings,
}

impl Request {
    fn deltas(&self) -> impl Iterator<Item = f64> + '_ {
        self.steps_ms.iter().scan(self.sent, |at, step| {
            *at += step / 1e3;
            Some(*at)
        })
    }

    pub(super) fn first(&self) -> f64 {
        self.sent + self.steps_ms[0] / 1e3
    }

    pub(super) fn seconds(&self) -> f64 {
        self.end - self.sent
    }

    /// When it did what; the recording began at `base`.
    pub(super) fn timeline(&self, base: Instant) -> Timeline {
        let moment = |at: f64| base + Duration::from_secs_f64(at);
        let deltas: Vec<f64> = self.deltas().collect();
        Timeline {
            start: Some(moment(self.headers)),
            first: deltas.first().copied().map(moment),
            end: deltas.last().copied().map(moment),
            prompt_tokens: Some(self.timings.prompt_n as f64),
            prompt_bytes: None,
            slot: Some(self.slot),
            generated: deltas
                .iter()
                .zip(0..)
                .map(|(at, n)| (moment(*at), f64::from(n)))
                .collect(),
        }
    }
}

/// The recording.
pub(super) struct Recording {
    pub(super) phases: Vec<Phase>,
    pub(super) requests: Vec<Request>,
    counter: Vec<(f64, f64)>,
    power: Vec<(f64, f64)>,
    base: Instant,
}

/// A request with what the meter said of it.
pub(super) struct Outcome {
    pub(super) request: Request,
    pub(super) energy: Energy,
    /// What it said at once.
    pub(super) estimate: Option<Energy>,
}

#[derive(Clone, Copy)]
enum Event {
    Sent(usize),
    Headers(usize),
    Delta(usize),
    Ended(usize),
    Read(f64),
    Power(f64),
}

impl Recording {
    pub(super) fn h200() -> Self {
        let mut recording = Self {
            phases: Vec::new(),
            requests: Vec::new(),
            counter: Vec::new(),
            power: Vec::new(),
            base: Instant::now(),
        };
        for line in BufReader::new(GzDecoder::new(H200)).lines() {
            match serde_json::from_str(&line.unwrap()).unwrap() {
                Line::About {} => {}
                Line::Energy { at, joules } => recording.counter.push((at, joules)),
                Line::Power { at, instant } => recording.power.push((at, instant)),
                Line::Phase(phase) => recording.phases.push(phase),
                Line::Request(request) => recording.requests.push(request),
            }
        }
        recording
    }

    pub(super) fn phase(&self, name: &str) -> &Phase {
        self.phases.iter().find(|phase| phase.name == name).unwrap()
    }

    /// The counter at a time, by lines between its readings, J.
    pub(super) fn counter(&self, at: f64) -> f64 {
        // The counter shows what was used up to half of its period before.
        let at = at + 0.05;
        let next = self.counter.partition_point(|(time, _)| *time < at);
        let ((t0, j0), (t1, j1)) = (self.counter[next - 1], self.counter[next]);
        j0 + (j1 - j0) * (at - t0) / (t1 - t0)
    }

    /// Mean power between two times, W.
    pub(super) fn watts(&self, from: f64, to: f64) -> f64 {
        (self.counter(to) - self.counter(from)) / (to - from)
    }

    /// The readings as the sampler takes them: the counter twice a second.
    fn readings(&self) -> Vec<(f64, f64)> {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for &(at, joules) in &self.counter {
            if kept.last().is_none_or(|(last, _)| at >= last + 0.495) {
                kept.push((at, joules));
            }
        }
        kept
    }

    /// Everything that happened, in order.
    fn events(&self) -> Vec<(f64, Event)> {
        let mut events = Vec::new();
        for (index, request) in self.requests.iter().enumerate() {
            events.push((request.sent, Event::Sent(index)));
            events.push((request.headers, Event::Headers(index)));
            events.extend(request.deltas().map(|at| (at, Event::Delta(index))));
            events.push((request.end, Event::Ended(index)));
        }
        let read = |(at, joules): (f64, f64)| (at, Event::Read(joules));
        events.extend(self.readings().into_iter().map(read));
        let power = |&(at, watts): &(f64, f64)| (at, Event::Power(watts));
        events.extend(self.power.iter().map(power));
        events.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        events
    }

    /// Runs the meter over all that happened between two times.
    pub(super) fn run(&self, meter: &mut Meter, from: f64, to: f64) -> Vec<Outcome> {
        let moment = |at: f64| self.base + Duration::from_secs_f64(at);
        let mut live: HashMap<usize, Arc<LiveRequest>> = HashMap::new();
        let mut estimates = HashMap::new();
        let mut outcomes = Vec::new();
        for (at, event) in self.events() {
            if !(from..to).contains(&at) {
                continue;
            }
            let now = moment(at);
            let reading = |joules, watts| Reading {
                at: now,
                joules,
                watts,
                foreign_share: 0.0,
            };
            match event {
                Event::Sent(index) => {
                    let request = self.announced(index, now);
                    meter.started(&request);
                    live.insert(index, request);
                }
                Event::Headers(index) => {
                    let Some(request) = live.get(&index) else {
                        continue;
                    };
                    request.mark_slot_started(now);
                    request.mark_slot(self.requests[index].slot);
                }
                Event::Delta(index) => {
                    let Some(request) = live.get(&index) else {
                        continue;
                    };
                    request.mark_delta(now);
                }
                Event::Ended(index) => {
                    let Some(request) = live.remove(&index) else {
                        continue;
                    };
                    let record = self.record(index, &request);
                    estimates.insert(index, meter.estimate(&record));
                    meter.ended(record, now);
                }
                Event::Read(joules) => meter.reading("gpu", &reading(Some(joules), None)),
                Event::Power(watts) => {
                    meter.reading("gpu", &reading(None, Some(Watts::Now(watts))));
                }
            }
            for (record, energy) in meter.settled(now) {
                let index = index_of(&record);
                outcomes.push(Outcome {
                    request: self.requests[index].clone(),
                    energy: energy.unwrap(),
                    estimate: estimates.remove(&index).unwrap(),
                });
            }
        }
        outcomes
    }

    fn announced(&self, index: usize, sent: Instant) -> Arc<LiveRequest> {
        let span = SpanId((index as u64 + 1).to_be_bytes());
        let endpoint = Endpoint::NativeCompletion;
        let live = LiveRequest::new(TraceId([1; 16]), span, endpoint, sent)
            // Prompts were sent as numbers of about this length.
            .with_prompt_bytes(self.requests[index].timings.prompt_n * 7)
            .with_context(ContextPool::PerSlot);
        Arc::new(live)
    }

    fn record(&self, index: usize, live: &LiveRequest) -> Arc<RequestRecord> {
        let timings = self.requests[index].timings;
        let mut record = RequestRecord::new(
            live.trace_id,
            live.span_id,
            Endpoint::NativeCompletion,
            SystemTime::now(),
        );
        record.model = "synthetic-8b".to_owned();
        let seen = live.progress();
        let between = |from: Option<Instant>, to: Option<Instant>| Some(to? - from?);
        record.phases = Phases {
            queue: between(Some(live.sent), seen.slot_started),
            prefill: between(seen.slot_started, seen.first_delta),
            decode: between(seen.first_delta, seen.last_delta),
            total: between(Some(live.sent), seen.last_delta).unwrap(),
            source: TimingSource::Stream,
        };
        record.slot = Some(self.requests[index].slot);
        record.server_timings = Some(timings);
        record.usage = timings.usage();
        Arc::new(record)
    }
}

fn index_of(record: &RequestRecord) -> usize {
    usize::try_from(u64::from_be_bytes(record.span_id.0)).unwrap() - 1
}
