//! What the meter says of requests on a real GPU. The limits are those that energy is to meet;
//! `docs/energy.md` has the figures.

use super::super::work::{self, Guess, Timeline, Work};
use super::super::{Meter, tracks::Key, weights::Fit};
use super::replay::{Outcome, Recording, Request};
use llamatelemetry_record::{Energy, EnergyMethod};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const STREAMS: [&str; 3] = ["1x", "4x", "16x"];
const MIXES: [&str; 3] = ["512+128", "128+512", "1024+64"];

fn phases() -> impl Iterator<Item = String> {
    MIXES
        .iter()
        .flat_map(|mix| STREAMS.iter().map(move |streams| format!("{streams}{mix}")))
}

fn of_phase<'a>(outcomes: &'a [Outcome], phase: &str) -> Vec<&'a Outcome> {
    let of = |outcome: &&Outcome| outcome.request.phase == phase;
    outcomes.iter().filter(of).collect()
}

/// Idle power beside a phase, W: the means of the rests before and after it, averaged.
fn idle_beside(recording: &Recording, name: &str) -> f64 {
    let phase = recording.phase(name);
    let before = recording.watts(phase.begin - 2.0, phase.begin - 0.2);
    let after = recording.watts(phase.end + 1.3, phase.end + 3.0);
    f64::midpoint(before, after)
}

/// What the counter says of a phase above idle, J.
fn above_idle(recording: &Recording, name: &str) -> f64 {
    let phase = recording.phase(name);
    let end = phase.end + 0.3;
    let counted = recording.counter(end) - recording.counter(phase.begin);
    counted - idle_beside(recording, name) * (end - phase.begin)
}

fn sum(outcomes: &[&Outcome]) -> f64 {
    outcomes.iter().map(|outcome| outcome.energy.joules).sum()
}

#[test]
fn joules_of_all_requests_sum_to_the_counter_less_idle() {
    let recording = Recording::h200();
    let mut meter = Meter::new();
    let outcomes = recording.run(&mut meter, 0.0, f64::MAX);
    assert_eq!(outcomes.len(), recording.requests.len());
    for name in phases() {
        let ratio = sum(&of_phase(&outcomes, &name)) / above_idle(&recording, &name);
        assert!((ratio - 1.0).abs() < 0.05, "{name}: {ratio}");
    }
    let totals = meter.totals();
    let parts = totals.idle + totals.attributed + totals.unattributed + totals.pending;
    assert!(
        (parts - totals.measured).abs() < 1e-6 * totals.measured,
        "{totals:?}"
    );
}

#[test]
fn requests_of_two_seconds_are_known_to_15_percent() {
    let recording = Recording::h200();
    let outcomes = recording.run(&mut Meter::new(), 0.0, recording.phase("idle after").end);
    let long: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.request.seconds() >= 2.0)
        .collect();
    assert!(long.len() > 400);
    for outcome in &long {
        let Energy { joules, error, .. } = outcome.energy;
        assert!(error <= 0.15 * joules, "{joules} ± {error}");
    }
    for outcome in &outcomes {
        let energy = &outcome.energy;
        assert_eq!(energy.method, EnergyMethod::Counter);
        let parts = energy.prefill_joules.unwrap() + energy.decode_joules.unwrap();
        assert!(
            (parts - energy.joules).abs() < 1e-9 && energy.joules > 0.0,
            "{energy:?}"
        );
    }
}

#[test]
fn equal_requests_side_by_side_get_equal_joules() {
    let recording = Recording::h200();
    let outcomes = recording.run(&mut Meter::new(), 0.0, f64::MAX);
    for name in phases() {
        let mut all = of_phase(&outcomes, &name);
        all.sort_by(|a, b| a.request.sent.total_cmp(&b.request.sent));
        // Those that were sent and answered together did the same under the same conditions.
        let together = |a: &&Outcome, b: &&Outcome| {
            let near = |a: f64, b: f64| (a - b).abs() < 0.05;
            near(a.request.sent, b.request.sent)
                && near(a.request.headers, b.request.headers)
                && near(a.request.first(), b.request.first())
                && near(a.request.end, b.request.end)
        };
        for group in all.chunk_by(together) {
            let mean = sum(group) / group.len() as f64;
            for outcome in group {
                let energy = outcome.energy;
                assert!(
                    (energy.joules - mean).abs() <= energy.error,
                    "{name}: {energy:?}, mean {mean}"
                );
            }
        }
    }
}

#[test]
fn equal_requests_of_a_phase_get_equal_joules() {
    let recording = Recording::h200();
    let outcomes = recording.run(&mut Meter::new(), 0.0, f64::MAX);
    let (mut within, mut all) = (0, 0);
    for name in phases() {
        let of_phase = of_phase(&outcomes, &name);
        let requests: Vec<&Request> = of_phase.iter().map(|outcome| &outcome.request).collect();
        let full = full_until(&requests);
        let equal = of_phase
            .iter()
            .filter(|outcome| outcome.request.end <= full);
        let mut groups: BTreeMap<(usize, i64), Vec<&Outcome>> = BTreeMap::new();
        for outcome in equal {
            let met = company(&outcome.request, &requests);
            groups.entry(met).or_default().push(outcome);
        }
        for group in groups.values().filter(|group| group.len() > 1) {
            let mean = sum(group) / group.len() as f64;
            let near =
                |outcome: &&&Outcome| (outcome.energy.joules - mean).abs() <= outcome.energy.error;
            within += group.iter().filter(near).count();
            all += group.len();
        }
    }
    assert!(
        all > 500 && within as f64 >= 0.95 * all as f64,
        "{within} of {all}"
    );
}

/// Until when as many were in flight as the phase has streams: the first end after which nobody
/// sent again.
fn full_until(requests: &[&Request]) -> f64 {
    let last = requests
        .iter()
        .map(|request| request.sent)
        .fold(0.0, f64::max);
    let ends = requests.iter().map(|request| request.end);
    ends.filter(|end| *end > last).fold(f64::MAX, f64::min)
}

/// In whose company a request generated its answer: the runs of neighbouring slots that the server
/// took one after the other, and how many generated beside it on average, in steps of a quarter
/// of an octave. Requests that differ in these were not the same work.
fn company(request: &Request, requests: &[&Request]) -> (usize, i64) {
    const LOOKS: usize = 20;
    let (mut runs, mut others) = (0, 0);
    for look in 0..LOOKS {
        let part = (look as f64 + 0.5) / LOOKS as f64;
        let at = request.first() + part * (request.end - request.first());
        let mut slots: Vec<u32> = requests
            .iter()
            .filter(|other| other.first() <= at && at <= other.end)
            .map(|other| other.slot)
            .collect();
        slots.sort_unstable();
        others += slots.len();
        runs += slots.chunk_by(|a, b| *b == *a + 1).count();
    }
    let mean = others as f64 / LOOKS as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a small number")]
    let octaves = (4.0 * mean.log2()).round() as i64;
    ((runs + LOOKS / 2) / LOOKS, octaves)
}

#[test]
fn an_answers_figure_at_once_is_true_to_its_error() {
    let recording = Recording::h200();
    let outcomes = recording.run(&mut Meter::new(), 0.0, recording.phase("idle after").end);
    let estimates = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.energy, outcome.estimate?)));
    let off: Vec<bool> = estimates
        .map(|(last, first)| (last.joules - first.joules).abs() > first.error)
        .collect();
    let wrong = off.iter().filter(|off| **off).count() as f64 / off.len() as f64;
    assert!(off.len() > 700 && wrong < 0.05, "{wrong}");
}

#[test]
fn weights_of_one_mix_predict_the_counter_of_another() {
    let recording = Recording::h200();
    for learnt in MIXES {
        let fit = learn(&recording, learnt);
        for told in MIXES {
            for streams in STREAMS {
                let name = format!("{streams}{told}");
                let said = predict(&recording, &name, &fit);
                let ratio = said / above_idle(&recording, &name);
                assert!((ratio - 1.0).abs() < 0.10, "{learnt} on {name}: {ratio}");
            }
        }
    }
}

/// Weights as a meter has learnt them from one mix alone, at all three numbers of streams.
fn learn(recording: &Recording, mix: &str) -> Fit {
    let mut meter = Meter::new();
    for phase in recording
        .phases
        .iter()
        .filter(|phase| phase.name.ends_with(mix))
    {
        recording.run(&mut meter, phase.begin - 3.5, phase.end + 1.0);
    }
    let key = Key::named("synthetic-8b");
    *meter.devices["gpu"].fit(Some(&key))
}

/// What the work of a phase should take, J.
fn predict(recording: &Recording, name: &str, fit: &Fit) -> f64 {
    let base = Instant::now();
    let of = |request: &&Request| request.phase == name;
    let timelines: Vec<Timeline> = recording
        .requests
        .iter()
        .filter(of)
        .map(|request| request.timeline(base))
        .collect();
    let lines: Vec<&Timeline> = timelines.iter().collect();
    let phase = recording.phase(name);
    let [from, to] = [phase.begin, phase.end + 0.3].map(|at| base + Duration::from_secs_f64(at));
    let mut all = Work::NONE;
    for share in work::work(&lines, from, to, &Guess::default()) {
        all.add(&share.all());
    }
    fit.cost(&all)
}
