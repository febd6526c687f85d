//! When a request did what, and what stands in for what only its record tells.

use std::time::Instant;

/// A mean that forgets, and how far single values lie from it.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Typical {
    mean: f64,
    variance: f64,
    known: bool,
}

impl Typical {
    /// How much a new value changes it.
    const CHANGE: f64 = 0.2;
    /// Deviation before there were values enough, as a share of the mean.
    const FIRST: f64 = 0.5;

    pub(in super::super) fn see(&mut self, value: f64) {
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
pub(in super::super) struct Guess {
    /// Tokens of a prompt.
    pub(in super::super) tokens: Typical,
    /// Tokens evaluated for each byte of a prompt.
    pub(in super::super) tokens_per_byte: Typical,
    /// Tokens a second while a prompt is evaluated.
    pub(in super::super) pace: Typical,
}

impl Guess {
    /// Tokens a second of this request's prompt, and the standard deviation of that.
    pub(super) fn pace(&self, timeline: &Timeline) -> (f64, f64) {
        if let Some(known) = timeline.prompt_pace() {
            return (known, 0.0);
        }
        let whole = timeline.prefill_seconds().filter(|seconds| *seconds > 0.0);
        let bytes = timeline.prompt_bytes.filter(|_| self.tokens_per_byte.known);
        let by_bytes = bytes.zip(whole).map(|(bytes, seconds)| {
            let pace = self.tokens_per_byte.mean * bytes / seconds;
            (pace, self.tokens_per_byte.deviation())
        });
        let by_length = whole.map(|seconds| (self.tokens.mean / seconds, self.tokens.deviation()));
        let by_pace = Some((self.pace.mean, self.pace.deviation()));
        let (pace, deviation) = [by_bytes, by_length, by_pace]
            .into_iter()
            .flatten()
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .unwrap_or((0.0, 1.0));
        (pace, pace * deviation)
    }
}

/// When a request did what, as far as is known.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Timeline {
    /// A slot began to work; `None` while it waits for one.
    pub(in super::super) start: Option<Instant>,
    /// The first token came.
    pub(in super::super) first: Option<Instant>,
    /// The slot was done; `None` while it works.
    pub(in super::super) end: Option<Instant>,
    /// Prompt tokens evaluated, once known.
    pub(in super::super) prompt_tokens: Option<f64>,
    /// Bytes of the prompt, where somebody counted them.
    pub(in super::super) prompt_bytes: Option<f64>,
    /// Its slot, where it is known and decides with which others a step is taken.
    pub(in super::super) slot: Option<u32>,
    /// How many tokens were there when, counted from the first one on, in order.
    pub(in super::super) generated: Vec<(Instant, f64)>,
}

impl Timeline {
    /// Whether a slot works on it at some time between the two moments.
    pub(in super::super) fn touches(&self, from: Instant, to: Instant) -> bool {
        self.start.is_some_and(|start| start < to) && self.end.is_none_or(|end| end > from)
    }

    /// Whether a slot works on it at this moment.
    pub(in super::super) fn works_at(&self, at: Instant) -> bool {
        self.start.is_some_and(|start| start < at) && self.end.is_none_or(|end| end > at)
    }

    pub(super) fn decodes_at(&self, at: Instant) -> bool {
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

    /// Tokens generated between two moments.
    pub(super) fn tokens_within(&self, begin: Instant, end: Instant) -> f64 {
        (self.generated_at(end) - self.generated_at(begin)).max(0.0)
    }

    /// How long the prompt's evaluation took; `None` while it runs.
    fn prefill_seconds(&self) -> Option<f64> {
        let end = self.first.or(self.end)?;
        Some(end.saturating_duration_since(self.start?).as_secs_f64())
    }

    /// Prompt tokens a second while they are evaluated, once known.
    pub(in super::super) fn prompt_pace(&self) -> Option<f64> {
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
