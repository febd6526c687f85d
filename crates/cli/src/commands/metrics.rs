//! `llt metrics`

use super::{Session, recorded};
use crate::args::MetricsArgs;
use crate::outcome::ExitStatus;
use crate::quantity;
use crate::table::Table;
use llamatelemetry_store::Signal;
use llamatelemetry_telemetry::recorded::{Figures, figures};
use serde::Serialize;

const MINUTE: u64 = 60_000_000_000;

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
    let figures = figures(&store.totals(minutes.as_ref())?);
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
