//! `llt metrics`

use super::{Session, recorded};
use crate::args::MetricsArgs;
use crate::outcome::ExitStatus;
use crate::quantity;
use crate::table::Table;
use llamatelemetry_store::{Rollup, Signal};
use serde::Serialize;
use std::collections::BTreeMap;

const MINUTE: u64 = 60_000_000_000;

/// What the requests of one operation to one model cost. What no request states is `None`; times
/// are of those that were answered.
#[derive(Debug, Serialize)]
struct Figures {
    model: String,
    operation: String,
    requests: u64,
    errors: u64,
    input_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    output_tokens: Option<u64>,
    ttft_p50_seconds: Option<f64>,
    ttft_p99_seconds: Option<f64>,
    duration_p50_seconds: Option<f64>,
    duration_p99_seconds: Option<f64>,
    /// Output tokens by the whole time of the requests, of those that were answered.
    tokens_per_second: Option<f64>,
    joules: Option<f64>,
    joules_per_token: Option<f64>,
}

#[derive(Serialize)]
struct MetricsDocument<'a> {
    metrics: &'a [Figures],
}

pub(crate) fn metrics(args: &MetricsArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut store = recorded::open(session)?;
    let minutes = args.since.map(|time| {
        let time = recorded::since(time);
        time.start / MINUTE..time.end / MINUTE
    });
    let mut all: BTreeMap<(String, String), Sums> = BTreeMap::new();
    for (key, sums) in store.totals(minutes.as_ref())? {
        let of = all.entry((key.model, key.operation)).or_default();
        let part = if key.failed {
            &mut of.failed
        } else {
            &mut of.answered
        };
        part.merge(&sums);
    }
    let mut figures: Vec<Figures> = all.into_iter().map(figures_of).collect();
    figures.sort_by_key(|figures| std::cmp::Reverse(figures.requests));
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&MetricsDocument { metrics: &figures })?;
    } else if !figures.is_empty() {
        printer.table(&table(&figures))?;
    } else if store.is_empty(Signal::Traces) {
        recorded::say_empty("requests", session);
    } else {
        printer.say("no request was stored in that time");
    }
    recorded::warn_of_damage(&store, session);
    Ok(ExitStatus::Done)
}

/// Sums over requests, by their outcome.
#[derive(Default)]
struct Sums {
    answered: Rollup,
    failed: Rollup,
}

fn figures_of(((model, operation), sums): ((String, String), Sums)) -> Figures {
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

fn table(all: &[Figures]) -> Table {
    let energy = all.iter().any(|figures| figures.joules.is_some());
    let mut table = Table::new()
        .left("model")
        .left("operation")
        .right("requests")
        .right("errors")
        .right("in")
        .right("cached")
        .right("out")
        .right("ttft p50")
        .right("p99")
        .right("time p50")
        .right("p99")
        .right("tokens/s");
    if energy {
        table = table.right("joules").right("J/token");
    }
    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    let time = |time: Option<f64>| time.map(quantity::seconds).unwrap_or_default();
    for figures in all {
        let rate = figures.tokens_per_second.map(|rate| format!("{rate:.1}"));
        let mut row = vec![
            figures.model.clone(),
            figures.operation.clone(),
            figures.requests.to_string(),
            figures.errors.to_string(),
            count(figures.input_tokens),
            count(figures.cached_tokens),
            count(figures.output_tokens),
            time(figures.ttft_p50_seconds),
            time(figures.ttft_p99_seconds),
            time(figures.duration_p50_seconds),
            time(figures.duration_p99_seconds),
            rate.unwrap_or_default(),
        ];
        if energy {
            let joules = figures.joules.map(|joules| format!("{joules:.1}"));
            row.push(joules.unwrap_or_default());
            let each = figures.joules_per_token.map(|each| format!("{each:.3}"));
            row.push(each.unwrap_or_default());
        }
        table.row(row);
    }
    table
}
