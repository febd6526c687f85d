use super::*;
use std::time::Duration;

fn timeline(base: Instant, marks: [u64; 3], prompt: f64, generated: f64) -> Timeline {
    let [start, first, end] = marks.map(|millis| base + Duration::from_millis(millis));
    Timeline {
        start: Some(start),
        first: Some(first),
        end: Some(end),
        prompt_tokens: Some(prompt),
        generated: vec![(end, generated)],
        ..Timeline::default()
    }
}

#[test]
fn windows_divide_the_work_and_lose_none() {
    let base = Instant::now();
    let at = |millis| base + Duration::from_millis(millis);
    let lines = [
        timeline(base, [0, 100, 1100], 500.0, 200.0),
        timeline(base, [50, 300, 800], 100.0, 50.0),
    ];
    let lines: Vec<&Timeline> = lines.iter().collect();
    let mut sums = [Work::NONE; 2];
    for begin in (0..1200).step_by(170) {
        for (sum, share) in
            sums.iter_mut()
                .zip(work(&lines, at(begin), at(begin + 170), &Guess::default()))
        {
            sum.add(&share.all());
        }
    }
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    near(sums[0].0[PROMPT_TOKENS], 500.0);
    near(sums[1].0[PROMPT_TOKENS], 100.0);
    // Alone from 100 to 300 and from 800 on, together from 300 to 800.
    near(sums[0].0[STEPS], 100.0);
    near(sums[0].0[STEPS + 1], 50.0);
    near(sums[1].0[STEPS + 1], 25.0);
    near(sums[0].0[SECONDS] + sums[1].0[SECONDS], 1.1);
}

#[test]
fn slots_that_are_no_neighbours_take_steps_of_their_own() {
    let base = Instant::now();
    let at = |millis| base + Duration::from_millis(millis);
    let in_slots = |slots: [Option<u32>; 4]| -> [f64; KINDS] {
        let lines = slots.map(|slot| Timeline {
            slot,
            ..timeline(base, [0, 0, 1000], 0.0, 100.0)
        });
        let lines: Vec<&Timeline> = lines.iter().collect();
        let shares = work(&lines, at(1), at(1000), &Guess::default());
        for share in &shares {
            assert_eq!(share, &shares[0], "each bears the same");
        }
        let mut all = Work::NONE;
        for share in &shares {
            all.add(&share.all());
        }
        all.0
    };
    let steps = 99.9;
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    let together = in_slots([Some(4), Some(3), Some(5), Some(6)]);
    near(together[STEPS + 2], steps);
    near(together[STEPS], 0.0);
    let apart = in_slots([Some(15), Some(0), Some(1), Some(2)]);
    near(apart[STEPS + 2], steps);
    near(apart[STEPS], steps);
    // Where a slot is not known, all are taken for neighbours.
    near(
        in_slots([Some(15), Some(0), None, Some(2)])[STEPS + 2],
        steps,
    );
    near(
        in_slots([Some(15), Some(0), Some(0), Some(2)])[STEPS + 2],
        steps,
    );
}

#[test]
fn a_prompt_in_flight_is_as_long_as_its_bytes_say_where_that_is_surest() {
    let base = Instant::now();
    let mut guess = Guess::default();
    for (tokens, bytes) in [(100.0, 400.0), (1000.0, 4000.0), (50.0, 200.0)] {
        guess.tokens.see(tokens);
        guess.pace.see(tokens * 10.0);
        guess.tokens_per_byte.see(tokens / bytes);
    }
    let running = Timeline {
        start: Some(base),
        first: Some(base + Duration::from_secs(2)),
        prompt_bytes: Some(2000.0),
        ..Timeline::default()
    };
    let (pace, deviation) = guess.pace(&running);
    assert!(
        (pace - 250.0).abs() < 1e-9,
        "500 tokens in two seconds, {pace}"
    );
    assert!(deviation < 0.5 * pace);
}

#[test]
fn one_that_waits_does_nothing_and_one_that_runs_goes_on_at_its_pace() {
    let base = Instant::now();
    let at = |millis| base + Duration::from_millis(millis);
    let waiting = Timeline::default();
    let running = Timeline {
        start: Some(base),
        first: Some(at(100)),
        generated: vec![(at(200), 10.0)],
        ..Timeline::default()
    };
    let shares = work(&[&waiting, &running], at(200), at(300), &Guess::default());
    assert_eq!(shares[0].all(), Work::NONE);
    assert!((shares[1].decode.0[STEPS] - 10.0).abs() < 1e-9);
    let mut guess = Guess::default();
    guess.pace.see(1000.0);
    let guessed = work(&[&running], at(0), at(100), &guess);
    assert!((guessed[0].prefill.0[PROMPT_TOKENS] - 100.0).abs() < 1e-9);
    assert!((guessed[0].guessed.0[PROMPT_TOKENS] - 50.0).abs() < 1e-9);
}
