//! What a slot does, in numbers that its energy depends on.

mod timeline;

use std::collections::BTreeMap;
use std::time::Instant;
pub(super) use timeline::{Guess, Timeline};

/// Kinds of work: tokens of prompts, time, and decode steps by the size of their batch.
pub(super) const KINDS: usize = 2 + BATCHES.len();
/// Largest batch of each class of decode steps; the last class has no end. A step reads all
/// weights once, whatever it computes for, and llama.cpp takes other kernels for other sizes, so
/// a step's energy follows no line: it is learnt for each class.
const BATCHES: [usize; 7] = [1, 2, 4, 8, 16, 32, usize::MAX];
const PROMPT_TOKENS: usize = 0;
const SECONDS: usize = 1;
/// The first class of steps among the kinds.
pub(super) const STEPS: usize = 2;

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
        let seconds = (end - begin).as_secs_f64();
        let decoding: Vec<&Timeline> = timelines
            .iter()
            .filter(|line| line.decodes_at(middle))
            .copied()
            .collect();
        let (steps, tokens) = steps(&decoding, begin, end);
        for (timeline, share) in timelines.iter().zip(&mut shares) {
            if timeline.decodes_at(middle) {
                let part = if tokens > 0.0 {
                    timeline.tokens_within(begin, end) / tokens
                } else {
                    0.0
                };
                for (sum, all) in share.decode.0[STEPS..].iter_mut().zip(steps) {
                    *sum += all * part;
                }
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

/// The steps taken between two moments by batch class, and the tokens that came of them.
///
/// A server whose slots have each their own part of the context computes only neighbouring slots
/// together: a step for slots 15, 0, 1 and 2 is one for a single sequence and one for three, and
/// takes that much longer. Nobody chose its slot, so what a step takes is everybody's alike.
fn steps(decoding: &[&Timeline], begin: Instant, end: Instant) -> ([f64; BATCHES.len()], f64) {
    let mut steps = [0.0; BATCHES.len()];
    let mut all = 0.0;
    let slots: Option<Vec<u32>> = decoding.iter().map(|line| line.slot).collect();
    let together = batches(slots);
    for line in decoding {
        let size = match (&together, line.slot) {
            (Some(batches), Some(slot)) => batches.get(&slot).copied().unwrap_or(1),
            _ => decoding.len(),
        };
        let class = BATCHES.iter().position(|&most| size <= most);
        let tokens = line.tokens_within(begin, end);
        steps[class.unwrap_or(BATCHES.len() - 1)] += tokens / size as f64;
        all += tokens;
    }
    (steps, all)
}

/// How many slots are computed together with each of these; `None` where they are not all known,
/// or one is told of twice.
fn batches(slots: Option<Vec<u32>>) -> Option<BTreeMap<u32, usize>> {
    let mut slots = slots?;
    slots.sort_unstable();
    let mut batches = BTreeMap::new();
    for run in slots.chunk_by(|a, b| *b == *a + 1) {
        for slot in run {
            if batches.insert(*slot, run.len()).is_some() {
                return None;
            }
        }
    }
    Some(batches)
}

#[cfg(test)]
mod tests;
