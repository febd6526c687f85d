//! A simulated device whose truth is known: an oracle for the meter, nothing that is ever shown.

use super::super::{Meter, Reading, Watts};
use llamatelemetry_record::{
    Endpoint, Energy, EnergyMethod, LiveRequest, Phases, RequestRecord, SpanId, TimingSource,
    TraceId, Usage,
};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const IDLE: f64 = 100.0;
/// Joules of a prompt token, and watts of one slot that generates at 100 tokens a second.
const PROMPT_TOKEN: f64 = 0.02;
const SLOT: f64 = 150.0;

/// A request: when it is sent and gets its slot, how long its prompt and its answer take, ms.
#[derive(Clone, Copy)]
struct Job {
    sent: u64,
    prefill: u64,
    decode: u64,
}

impl Job {
    fn prompt_tokens(self) -> u64 {
        self.prefill * 10
    }

    fn end(self) -> u64 {
        self.sent + self.prefill + self.decode
    }

    /// What it really took by this time, J.
    fn joules(self, at: u64) -> f64 {
        let prefill = at.saturating_sub(self.sent).min(self.prefill);
        let decode = at.saturating_sub(self.sent + self.prefill).min(self.decode);
        prefill as f64 * 10.0 * PROMPT_TOKEN + decode as f64 / 1e3 * SLOT
    }
}

/// How a device is read.
#[derive(Clone, Copy, PartialEq)]
enum Sensor {
    Counter,
    PowerOnly,
    /// The counter begins anew at this time.
    Reset(u64),
    /// No reading between these times.
    Gap(u64, u64),
}

struct Plant {
    base: Instant,
    jobs: Vec<Job>,
    sensor: Sensor,
    foreign_share: f64,
}

impl Plant {
    fn new(jobs: &[Job]) -> Self {
        Self {
            base: Instant::now() + Duration::from_secs(1),
            jobs: jobs.to_vec(),
            sensor: Sensor::Counter,
            foreign_share: 0.0,
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.base + Duration::from_millis(millis)
    }

    fn joules(&self, at: u64) -> f64 {
        // The counter stands still between its steps.
        let at = at / 100 * 100;
        let work: f64 = self.jobs.iter().map(|job| job.joules(at)).sum();
        IDLE * at as f64 / 1e3 + work / (1.0 - self.foreign_share)
    }

    fn reading(&self, at: u64) -> Reading {
        let joules = match self.sensor {
            Sensor::PowerOnly => None,
            Sensor::Reset(reset) if at >= reset => Some(self.joules(at) - self.joules(reset)),
            _ => at.is_multiple_of(500).then(|| self.joules(at)),
        };
        let watts = (self.joules(at + 100) - self.joules(at)) / 0.1;
        Reading {
            at: self.at(at),
            joules: joules.filter(|_| at.is_multiple_of(500)),
            watts: Some(Watts::Mean(watts)),
            foreign_share: self.foreign_share,
        }
    }

    /// Runs to the end; each job's energy, in order.
    fn run(&self, meter: &mut Meter, reversed: bool) -> Vec<Option<Energy>> {
        let mut energies = vec![None; self.jobs.len()];
        let mut live: Vec<Option<Arc<LiveRequest>>> = vec![None; self.jobs.len()];
        let last = self.jobs.iter().map(|job| job.end()).max().unwrap_or(0) + 3000;
        for now in (0..last).step_by(10) {
            let mut order: Vec<usize> = (0..self.jobs.len()).collect();
            if reversed {
                order.reverse();
            }
            for index in order {
                let job = self.jobs[index];
                if now == job.sent {
                    let request = self.announce(index, now);
                    meter.started(&request);
                    live[index] = Some(request);
                }
                let Some(request) = &live[index] else {
                    continue;
                };
                if now >= job.sent + job.prefill {
                    request.mark_delta(self.at(now));
                }
                if now == job.end() {
                    meter.ended(self.record(index), self.at(now));
                    live[index] = None;
                }
            }
            let silent = matches!(self.sensor, Sensor::Gap(from, to) if (from..to).contains(&now));
            if now.is_multiple_of(100) && !silent {
                meter.reading("gpu", &self.reading(now));
            }
            for (record, energy) in meter.settled(self.at(now)) {
                energies[usize::from(record.span_id.0[7]) - 1] = energy;
            }
        }
        energies
    }

    fn announce(&self, index: usize, now: u64) -> Arc<LiveRequest> {
        let endpoint = Endpoint::ChatCompletions;
        let live = LiveRequest::new(TraceId([1; 16]), span(index), endpoint, self.at(now));
        live.mark_slot_started(self.at(now));
        Arc::new(live)
    }

    fn record(&self, index: usize) -> Arc<RequestRecord> {
        let job = self.jobs[index];
        let endpoint = Endpoint::ChatCompletions;
        let mut record =
            RequestRecord::new(TraceId([1; 16]), span(index), endpoint, SystemTime::now());
        record.model = "model".to_owned();
        record.phases = Phases {
            queue: Some(Duration::ZERO),
            prefill: Some(Duration::from_millis(job.prefill)),
            decode: Some(Duration::from_millis(job.decode)),
            total: Duration::from_millis(job.prefill + job.decode),
            source: TimingSource::Stream,
        };
        record.usage = Usage {
            prompt_tokens: Some(job.prompt_tokens()),
            cached_tokens: Some(0),
            completion_tokens: Some(job.decode / 10 + 1),
            ..Usage::default()
        };
        Arc::new(record)
    }
}

fn span(index: usize) -> SpanId {
    SpanId([0, 0, 0, 0, 0, 0, 0, u8::try_from(index + 1).unwrap()])
}

fn job(sent: u64, prefill: u64, decode: u64) -> Job {
    Job {
        sent,
        prefill,
        decode,
    }
}

fn closes(meter: &Meter) {
    let totals = meter.totals();
    let parts = totals.idle + totals.attributed + totals.unattributed + totals.pending;
    assert!((parts - totals.measured).abs() < 1e-6, "{totals:?}");
    assert!(
        totals.attributed >= 0.0 && totals.unattributed >= -1e-9,
        "{totals:?}"
    );
}

/// A mix of lengths, with and without others beside.
fn mix() -> Vec<Job> {
    vec![
        job(5000, 200, 3000),
        job(6000, 500, 2500),
        job(10_030, 1000, 1000),
        job(10_070, 100, 4000),
        job(10_500, 100, 4000),
        job(17_000, 300, 300),
    ]
}

#[test]
fn each_request_gets_what_it_took_within_its_error() {
    let plant = Plant::new(&mix());
    let mut meter = Meter::new();
    let energies = plant.run(&mut meter, false);
    for (job, energy) in plant.jobs.iter().zip(energies) {
        let energy = energy.unwrap();
        let truth = job.joules(u64::MAX);
        assert!(
            (energy.joules - truth).abs() <= energy.error,
            "{truth} J: {energy:?}"
        );
        assert_eq!(energy.method, EnergyMethod::Counter);
        assert!(energy.prefill_joules.unwrap() >= 0.0 && energy.decode_joules.unwrap() >= 0.0);
    }
    closes(&meter);
}

#[test]
fn the_order_of_what_happens_at_once_does_not_matter() {
    let plant = Plant::new(&[
        job(4000, 200, 2000),
        job(4000, 200, 2000),
        job(4000, 400, 1800),
    ]);
    let forward = plant.run(&mut Meter::new(), false);
    let backward = plant.run(&mut Meter::new(), true);
    for (one, other) in forward.iter().zip(&backward) {
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(
            (one.joules - other.joules).abs() < 1e-6,
            "{one:?} {other:?}"
        );
    }
    // The first two are equal.
    let [first, second] = [forward[0].unwrap(), forward[1].unwrap()];
    assert!((first.joules - second.joules).abs() < 1e-6);
}

#[test]
fn a_missing_reading_makes_a_longer_window() {
    let mut plant = Plant::new(&[job(4000, 200, 4000)]);
    plant.sensor = Sensor::Gap(4900, 6100);
    let mut meter = Meter::new();
    let energy = plant.run(&mut meter, false)[0].unwrap();
    let truth = plant.jobs[0].joules(u64::MAX);
    assert!(
        (energy.joules - truth).abs() <= energy.error,
        "{truth} J: {energy:?}"
    );
    closes(&meter);
}

#[test]
fn a_counter_that_begins_anew_is_bridged_by_power() {
    let mut plant = Plant::new(&[job(4000, 200, 4000)]);
    plant.sensor = Sensor::Reset(6000);
    let mut meter = Meter::new();
    let energy = plant.run(&mut meter, false)[0].unwrap();
    let truth = plant.jobs[0].joules(u64::MAX);
    assert_eq!(energy.method, EnergyMethod::CounterAndPower);
    assert!(
        (energy.joules - truth).abs() <= energy.error,
        "{truth} J: {energy:?}"
    );
    closes(&meter);
}

#[test]
fn a_device_without_a_counter_is_known_by_its_power() {
    let mut plant = Plant::new(&[job(4000, 200, 4000)]);
    plant.sensor = Sensor::PowerOnly;
    let mut meter = Meter::new();
    let energy = plant.run(&mut meter, false)[0].unwrap();
    let truth = plant.jobs[0].joules(u64::MAX);
    assert_eq!(energy.method, EnergyMethod::Power);
    assert!(
        (energy.joules - truth).abs() <= energy.error,
        "{truth} J: {energy:?}"
    );
    closes(&meter);
}

#[test]
fn what_other_programs_used_is_nobodys() {
    let mut plant = Plant::new(&[job(4000, 200, 4000)]);
    plant.foreign_share = 0.4;
    let mut meter = Meter::new();
    // Their share is told from the start; the device is idle where nothing is in flight.
    let energy = plant.run(&mut meter, false)[0].unwrap();
    let truth = plant.jobs[0].joules(u64::MAX);
    let totals = meter.totals();
    assert!(totals.unattributed > 0.2 * truth, "{totals:?}");
    assert!(energy.joules < totals.attributed + 1e-9);
    closes(&meter);
}

#[test]
fn time_goes_on_and_nothing_is_attributed_while_nothing_runs() {
    let plant = Plant::new(&[]);
    let mut meter = Meter::new();
    for now in (0..600_000).step_by(500) {
        meter.reading("gpu", &plant.reading(now));
    }
    let totals = meter.totals();
    assert!(totals.attributed.abs() < 1e-9 && totals.unattributed.abs() < 1e-9);
    assert!((totals.idle - totals.measured).abs() < 1e-6 && totals.measured > 59_000.0);
}

#[test]
fn a_request_that_was_dropped_is_unattributed_and_one_unannounced_unknown() {
    let plant = Plant::new(&[job(1000, 100, 2000)]);
    let mut meter = Meter::new();
    let live = plant.announce(0, 1000);
    for now in (0..3000).step_by(500) {
        if now == 1000 {
            meter.started(&live);
        }
        meter.reading("gpu", &plant.reading(now));
    }
    drop(live);
    for now in (3000..9000).step_by(500) {
        meter.reading("gpu", &plant.reading(now));
        assert!(meter.settled(plant.at(now)).is_empty());
    }
    let totals = meter.totals();
    assert!(
        totals.unattributed > 200.0 && totals.attributed.abs() < 1e-6,
        "{totals:?}"
    );
    assert!(!meter.is_busy());
    closes(&meter);
    meter.ended(plant.record(0), plant.at(9000));
    let settled = meter.settled(plant.at(9000));
    assert_eq!((settled.len(), settled[0].1), (1, None));
}

#[test]
fn without_a_device_energy_is_unknown_at_once() {
    let plant = Plant::new(&[job(0, 100, 1000)]);
    let mut meter = Meter::new();
    meter.started(&plant.announce(0, 0));
    assert_eq!(meter.estimate(&plant.record(0)), None);
    meter.ended(plant.record(0), plant.at(1100));
    let settled = meter.settled(plant.at(1100));
    assert_eq!((settled.len(), settled[0].1), (1, None));
}
