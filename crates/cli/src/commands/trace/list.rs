//! `llt trace list`

use crate::args::TraceListArgs;
use crate::commands::{Session, recorded};
use crate::outcome::ExitStatus;
use crate::printer::Style;
use crate::quantity;
use crate::table::Table;
use llamatelemetry_store::Signal;
use llamatelemetry_telemetry::recorded::TraceSummary;

/// Digits of an id that are shown at least.
const SHORT: usize = 8;

pub(super) fn list(args: &TraceListArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut store = recorded::open(session)?;
    let query = recorded::query(&args.query, Some(args.limit));
    let traces = store.traces(&query)?;
    let printer = &session.printer;
    if printer.is_json() {
        for trace in &traces {
            printer.document_line(trace)?;
        }
    } else if !traces.is_empty() {
        printer.table(&table(&traces, printer.style()))?;
    } else if store.is_empty(Signal::Traces) {
        recorded::say_empty("traces", session);
    } else {
        printer.say("no stored trace meets all of that");
    }
    recorded::warn_of_damage(&store, session);
    Ok(ExitStatus::Done)
}

fn table(traces: &[TraceSummary], style: Style) -> Table {
    let energy = traces.iter().any(|trace| trace.joules.is_some());
    let mut table = Table::new()
        .left("began")
        .left("trace")
        .left("what")
        .right("time")
        .right("first token")
        .right("tokens")
        .left("end");
    if energy {
        table = table.right("joules");
    }
    let digits = distinct(traces);
    for trace in traces {
        let end = if trace.failed {
            style.red(trace.error.as_deref().unwrap_or("failed"))
        } else {
            trace.finish_reasons.join(", ")
        };
        let mut row = vec![
            trace.started_at.to_seconds(),
            trace.trace_id.chars().take(digits).collect(),
            trace.name.clone(),
            quantity::seconds(trace.duration_seconds),
            trace
                .ttft_seconds
                .map(quantity::seconds)
                .unwrap_or_default(),
            tokens(trace),
            end,
        ];
        if energy {
            let joules = trace.joules.map(|joules| format!("{joules:.2}"));
            row.push(joules.unwrap_or_default());
        }
        table.row(row);
    }
    table
}

/// In and out.
fn tokens(trace: &TraceSummary) -> String {
    match (trace.input_tokens, trace.output_tokens) {
        (Some(input), Some(output)) => format!("{input} + {output}"),
        (Some(input), None) => input.to_string(),
        (None, Some(output)) => format!("? + {output}"),
        (None, None) => String::new(),
    }
}

/// So many digits that no two of the ids begin alike.
fn distinct(traces: &[TraceSummary]) -> usize {
    let mut ids: Vec<&str> = traces.iter().map(|trace| &*trace.trace_id).collect();
    ids.sort_unstable();
    let shared = ids.windows(2).map(|pair| {
        let digits = pair[0].bytes().zip(pair[1].bytes());
        digits.take_while(|(one, other)| one == other).count()
    });
    shared.max().map_or(SHORT, |shared| SHORT.max(shared + 1))
}
