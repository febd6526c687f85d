//! From a device that the sampler reads to the joules on a request's span.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::sample::{chat, settings};
use llamatelemetry_machine::SamplerConfig;
use llamatelemetry_machine::sampler::{
    Absence, Detail, DeviceError, GpuDevice, GpuSource, GpuValues,
};
use llamatelemetry_record::{
    ContextPool, EnergyMethod, LiveRequest, Phases, RequestRecord, Sink as _, TimingSource,
};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use llamatelemetry_testbed::until;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const IDLE: f64 = 100.0;
const WORKING: f64 = 400.0;
const LONG: Duration = Duration::from_secs(20);

/// A device with a counter that never stands still.
#[derive(Debug)]
struct Meter {
    watts: f64,
    since: Instant,
    joules: f64,
}

static METER: Mutex<Option<Meter>> = Mutex::new(None);

/// The counter now; from now on the device draws so much, if that is told.
fn meter(watts: Option<f64>) -> f64 {
    let mut meter = METER.lock().unwrap();
    let now = Instant::now();
    let meter = meter.get_or_insert(Meter {
        watts: IDLE,
        since: now,
        joules: 0.0,
    });
    meter.joules += meter.watts * (now - meter.since).as_secs_f64();
    meter.since = now;
    meter.watts = watts.unwrap_or(meter.watts);
    meter.joules
}

#[derive(Debug)]
struct Device;

impl GpuSource for Device {
    fn name(&self) -> &'static str {
        "test"
    }

    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence> {
        Ok(vec![GpuDevice {
            uuid: Some("GPU-test".into()),
            ..GpuDevice::default()
        }])
    }

    fn read(
        &mut self,
        _position: usize,
        _detail: Detail,
        values: &mut GpuValues,
    ) -> Result<(), DeviceError> {
        meter(None);
        let watts = METER.lock().unwrap().as_ref().map(|meter| meter.watts);
        values.power_instant_watts = watts;
        Ok(())
    }

    fn energy(&mut self, _position: usize) -> Result<Option<f64>, DeviceError> {
        Ok(Some(meter(None)))
    }
}

fn device() -> SamplerConfig {
    SamplerConfig::of(vec![Box::new(Device)], Vec::new())
}

#[test]
fn a_request_has_the_joules_that_its_device_drew_for_it() {
    let (home, mut settings) = settings(&[]);
    let path = home.root().join("trace.jsonl");
    settings.telemetry.file = Some(path.clone());
    let facts = ResourceFacts {
        sampler: Some(device),
        ..ResourceFacts::default()
    };
    let telemetry = Telemetry::setup(&settings, facts, None).unwrap();
    let idle_joules = || {
        telemetry
            .energy_totals()
            .filter(|totals| totals.idle > 2.0 * IDLE)
    };
    until("the idle power", LONG, idle_joules);

    let record = chat();
    let live = LiveRequest::new(
        record.trace_id,
        record.span_id,
        record.endpoint,
        Instant::now(),
    )
    .with_context(ContextPool::PerSlot);
    let live = Arc::new(live);
    meter(Some(WORKING));
    telemetry.started(&live);
    live.mark_slot_started(live.sent);
    live.mark_delta(Instant::now());
    let begin = telemetry.energy_totals().unwrap().measured;
    let worked = || {
        live.mark_delta(Instant::now());
        let totals = telemetry.energy_totals()?;
        (totals.measured > begin + 2.0 * WORKING).then_some(())
    };
    until("two seconds of work", LONG, worked);
    let end = Instant::now();
    live.mark_delta(end);
    meter(Some(IDLE));
    let seen = live.progress();
    let first = seen.first_delta.unwrap();
    let record = Arc::new(RequestRecord {
        phases: Phases {
            queue: Some(Duration::ZERO),
            prefill: Some(first - live.sent),
            decode: Some(end - first),
            total: end - live.sent,
            source: TimingSource::Stream,
        },
        server_timings: None,
        ..record
    });
    let at_once = telemetry.energy(&record).unwrap();
    assert_eq!(at_once.method, EnergyMethod::CounterAndPower);
    telemetry.record(record);

    let span = until("the span", LONG, || {
        let text = std::fs::read_to_string(&path).ok()?;
        let export = text
            .lines()
            .find(|export| export.contains("resourceSpans"))?;
        serde_json::from_str::<serde_json::Value>(export).ok()
    });
    let spans = &span["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let number = |name: &str| {
        let mut attributes = spans[0]["attributes"].as_array().unwrap().iter();
        let found = attributes.find(|attribute| attribute["key"] == name);
        found.unwrap_or_else(|| panic!("{name} is missing"))["value"]["doubleValue"]
            .as_f64()
            .unwrap()
    };
    let truth = (WORKING - IDLE) * (end - live.sent).as_secs_f64();
    let (joules, error) = (number("llamacpp.energy"), number("llamacpp.energy.error"));
    assert!(
        (joules - truth).abs() <= error,
        "{joules} ± {error}, {truth}"
    );
    assert!(error < 0.3 * truth, "{error} of {truth}");
    let each = number("llamacpp.energy.per_output_token");
    assert!((each * 48.0 - joules).abs() < 1e-6 * joules, "48 tokens");
    assert!(
        (at_once.joules - joules).abs() <= at_once.error,
        "{at_once:?}, {joules}"
    );
}
