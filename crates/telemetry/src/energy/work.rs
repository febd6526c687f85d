//! What a slot does, in numbers that its energy depends on.

use std::time::Instant;

/// Kinds of work: tokens of prompts, time, and decode steps by the size of their batch.
pub(super) const KINDS: usize = 2 + BATCHES.len();
/// Largest batch of each class of decode steps; the last class has no end. A step reads all
/// weights once, whatever it computes for, and llama.cpp takes other kernels for other sizes, so
/// a step's energy follows no line: it is learnt for each class.
const BATCHES: [usize; 7] = [1, 2, 4, 8, 16, 32, usize::MAX];
const PROMPT_TOKENS: usize = 0;
const SECONDS: usize = 1;
const STEPS: usize = 2;

/// An amount of work, by kind: prompt tokens evaluated, the share of seconds in which any slot
/// worked, and for each class of batch the share of decode steps. What slots do together is
/// divided evenly among them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work(pub(super) [f64; KINDS]);

impl Work {
    pub(super) const NONE: Self = Self([0.0; KINDS]);

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

/// The work of one request in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    pub(super) prefill: Work,
    pub(super) decode: Work,
    /// Standard deviation of what of `prefill` is a guess, since the request has not ended.
    pub(super) guessed: Work,
}

impl Share {
    const NONE: Self = Self {
        prefill: Work::NONE,
        decode: Work::NONE,
        guessed: Work::NONE,
    };

    pub(super) fn all(&self) -> Work {
        let mut all = self.prefill;
        all.add(&self.decode);
        all
    }
}

/// A mean that forgets, and how far single values lie from it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Typical {
    mean: f64,
    variance: f64,
    known: bool,
}

impl Typical {
    /// How much a new value changes it.
    const CHANGE: f64 = 0.2;
    /// Deviation before there were values enough, as a share of the mean.
    const FIRST: f64 = 0.5;

    pub(super) fn see(&mut self, value: f64) {
        if !self.known {
            *self = Self {
                mean: value,
                variance: (Self::FIRST * value).powi(2),
                known: true,
            };
            return;
        }
        let off = value - self.mean;
        self.mean += Self::CHANGE * off;
        self.variance += Self::CHANGE * (off * off - self.variance);
    }

    /// The standard deviation as a share of the mean.
    fn deviation(&self) -> f64 {
        if self.known && self.mean > 0.0 {
            self.variance.sqrt() / self.mean
        } else {
            1.0
        }
    }
}

/// What stands in for the length of a prompt, which only a request's record tells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Guess {
    /// Tokens of a prompt.
    pub(super) tokens: Typical,
    /// Tokens a second while a prompt is evaluated.
    pub(super) pace: Typical,
}

impl Guess {
    /// Tokens a second of this request's prompt, and the standard deviation of that.
    fn pace(&self, timeline: &Timeline) -> (f64, f64) {
        if let Some(known) = timeline.prompt_pace() {
            return (known, 0.0);
        }
        let whole = timeline.prefill_seconds().filter(|seconds| *seconds > 0.0);
        let (pace, deviation) = match whole {
            Some(seconds) if self.tokens.deviation() < self.pace.deviation() => {
                (self.tokens.mean / seconds, self.tokens.deviation())
            }
            _ => (self.pace.mean, self.pace.deviation()),
        };
        (pace, pace * deviation)
    }
}

/// When a request did what, as far as is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Timeline {
    /// A slot began to work; `None` while it waits for one.
    pub(super) start: Option<Instant>,
    /// The first token came.
    pub(super) first: Option<Instant>,
    /// The slot was done; `None` while it works.
    pub(super) end: Option<Instant>,
    /// Prompt tokens evaluated, once known.
    pub(super) prompt_tokens: Option<f64>,
    /// How many tokens were there when, counted from the first one on, in order.
    pub(super) generated: Vec<(Instant, f64)>,
}

impl Timeline {
    /// Whether a slot works on it at some time between the two moments.
    pub(super) fn touches(&self, from: Instant, to: Instant) -> bool {
        self.start.is_some_and(|start| start < to) && self.end.is_none_or(|end| end > from)
    }

    /// Whether a slot works on it at this moment.
    pub(super) fn works_at(&self, at: Instant) -> bool {
        self.start.is_some_and(|start| start < at) && self.end.is_none_or(|end| end > at)
    }

    fn decodes_at(&self, at: Instant) -> bool {
        self.works_at(at) && self.first.is_some_and(|first| first < at)
    }

    /// Tokens generated up to this moment, by lines between what was seen; past that, by the pace
    /// so far.
    fn generated_at(&self, at: Instant) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let mut before = (first, 0.0);
        for &point in &self.generated {
            if point.0 >= at {
                return line(before, point, at);
            }
            if point.0 > before.0 {
                before = point;
            }
        }
        if before.0 > first && self.end.is_none_or(|end| end > before.0) {
            line((first, 0.0), before, at)
        } else {
            before.1
        }
    }

    /// How long the prompt's evaluation took; `None` while it runs.
    fn prefill_seconds(&self) -> Option<f64> {
        let end = self.first.or(self.end)?;
        Some(end.saturating_duration_since(self.start?).as_secs_f64())
    }

    /// Prompt tokens a second while they are evaluated, once known.
    pub(super) fn prompt_pace(&self) -> Option<f64> {
        let seconds = self.prefill_seconds()?;
        (seconds > 0.0).then_some(self.prompt_tokens? / seconds)
    }
}

/// The value at `at` on the line through two points.
fn line(from: (Instant, f64), to: (Instant, f64), at: Instant) -> f64 {
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
    let whole = seconds(from.0, to.0);
    if whole > 0.0 {
        from.1 + (to.1 - from.1) * seconds(from.0, at) / whole
    } else {
        from.1
    }
}

/// What each of these requests did between the two moments.
pub(super) fn work(
    timelines: &[&Timeline],
    from: Instant,
    to: Instant,
    guess: &Guess,
) -> Vec<Share> {
    let mut shares = vec![Share::NONE; timelines.len()];
    let mut moments = vec![from, to];
    for timeline in timelines {
        let marks = [timeline.start, timeline.first, timeline.end];
        moments.extend(
            marks
                .into_iter()
                .flatten()
                .filter(|at| (from..to).contains(at)),
        );
    }
    moments.sort_unstable();
    moments.dedup();
    for piece in moments.windows(2) {
        let &[begin, end] = piece else { continue };
        let middle = begin + (end - begin) / 2;
        let working = timelines
            .iter()
            .filter(|line| line.works_at(middle))
            .count();
        let decoding = timelines
            .iter()
            .filter(|line| line.decodes_at(middle))
            .count();
        let class = BATCHES.iter().position(|&most| decoding <= most);
        let seconds = (end - begin).as_secs_f64();
        for (timeline, share) in timelines.iter().zip(&mut shares) {
            if timeline.decodes_at(middle) {
                let tokens = timeline.generated_at(end) - timeline.generated_at(begin);
                let step = STEPS + class.unwrap_or(BATCHES.len() - 1);
                share.decode.0[step] += tokens.max(0.0) / decoding as f64;
                share.decode.0[SECONDS] += seconds / working as f64;
            } else if timeline.works_at(middle) {
                let (pace, deviation) = guess.pace(timeline);
                share.prefill.0[PROMPT_TOKENS] += pace * seconds;
                share.prefill.0[SECONDS] += seconds / working as f64;
                share.guessed.0[PROMPT_TOKENS] += deviation * seconds;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
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
}
