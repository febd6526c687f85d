//! What requests cost, from the sums that the store keeps.

use llamatelemetry_store::{Rollup, Rollups, Totals};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What the requests of one operation to one model cost. What no request states is `None`; times
/// are of those that were answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The model as it was asked for.
    pub model: String,
    /// The operation: `chat`.
    pub operation: String,
    /// Requests, failed ones included.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Prompt tokens, those from the cache included.
    pub input_tokens: Option<u64>,
    /// Prompt tokens that came from the cache.
    pub cached_tokens: Option<u64>,
    /// Generated tokens.
    pub output_tokens: Option<u64>,
    /// Time to first token that half of the requests do not exceed, s.
    pub ttft_p50_seconds: Option<f64>,
    /// Time to first token that 99 of 100 requests do not exceed, s.
    pub ttft_p99_seconds: Option<f64>,
    /// The same of the whole time, s.
    pub duration_p50_seconds: Option<f64>,
    /// The same of the whole time, s.
    pub duration_p99_seconds: Option<f64>,
    /// Output tokens by the whole time of the requests, of those that were answered.
    pub tokens_per_second: Option<f64>,
    /// Energy, J.
    pub joules: Option<f64>,
    /// Energy by generated token, J.
    pub joules_per_token: Option<f64>,
}

/// Figures of a step of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// When it begins, ms since 1970.
    pub from_ms: u64,
    /// What its requests cost.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What was asked of each model, the most requests first.
pub fn figures(totals: &Totals) -> Vec<Figures> {
    let parts = totals.iter();
    let parts = parts.map(|(key, sums)| ((), &key.model, &key.operation, key.failed, sums));
    let mut figures: Vec<Figures> = sums(parts)
        .into_iter()
        .map(|(((), model, operation), sums)| figures_of(model, operation, sums))
        .collect();
    figures.sort_by_key(|figures| Reverse(figures.requests));
    figures
}

/// The same by steps of this many minutes, the oldest first. Steps without requests are left out.
pub fn figures_by_step(rollups: &Rollups, minutes: u64) -> Vec<Step> {
    let minutes = minutes.max(1);
    let parts = rollups.iter().map(|(key, sums)| {
        let step = key.minute / minutes * minutes;
        (step, &key.model, &key.operation, key.failed, sums)
    });
    sums(parts)
        .into_iter()
        .map(|((minute, model, operation), sums)| Step {
            from_ms: minute.saturating_mul(60_000),
            figures: figures_of(model, operation, sums),
        })
        .collect()
}

/// Sums over requests, by their outcome.
#[derive(Default)]
struct Sums {
    answered: Rollup,
    failed: Rollup,
}

fn sums<'a, K: Ord>(
    parts: impl Iterator<Item = (K, &'a String, &'a String, bool, &'a Rollup)>,
) -> BTreeMap<(K, String, String), Sums> {
    let mut all: BTreeMap<_, Sums> = BTreeMap::new();
    for (step, model, operation, failed, sums) in parts {
        let of = all.entry((step, model.clone(), operation.clone()));
        let of = of.or_default();
        let part = if failed {
            &mut of.failed
        } else {
            &mut of.answered
        };
        part.merge(sums);
    }
    all
}

fn figures_of(model: String, operation: String, sums: Sums) -> Figures {
    let Sums { answered, failed } = sums;
    // The sums count what is stated; where nothing is, they are 0.
    let known = |sum: u64| (sum > 0).then_some(sum);
    let seconds = |nanos: f64| nanos / 1e9;
    let output = known(answered.output_tokens + failed.output_tokens);
    let joules = known(answered.microjoules + failed.microjoules).map(|sum| sum as f64 / 1e6);
    let time = known(answered.duration.sum()).map(|sum| seconds(sum as f64));
    let rate = known(answered.output_tokens).zip(time);
    Figures {
        model,
        operation,
        requests: answered.spans + failed.spans,
        errors: failed.spans,
        input_tokens: known(answered.input_tokens + failed.input_tokens),
        cached_tokens: known(answered.cached_tokens + failed.cached_tokens),
        output_tokens: output,
        ttft_p50_seconds: answered.first_chunk.quantile(0.5).map(seconds),
        ttft_p99_seconds: answered.first_chunk.quantile(0.99).map(seconds),
        duration_p50_seconds: answered.duration.quantile(0.5).map(seconds),
        duration_p99_seconds: answered.duration.quantile(0.99).map(seconds),
        tokens_per_second: rate.map(|(tokens, time)| tokens as f64 / time),
        joules,
        joules_per_token: joules.zip(output).map(|(sum, tokens)| sum / tokens as f64),
    }
}
