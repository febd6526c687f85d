//! `llt trace list`

use crate::args::TraceListArgs;
use crate::commands::{Session, recorded};
use crate::outcome::ExitStatus;
use crate::printer::Style;
use crate::quantity;
use crate::table::Table;
use llamatelemetry_store::{Query, Reader, Signal};
use llamatelemetry_telemetry::recorded::{Recorded, TraceSummary};
use std::collections::BTreeMap;
use std::time::Duration;

/// Digits of an id that are shown at least.
const SHORT: usize = 8;
/// How often is looked for more.
const PAUSE: Duration = Duration::from_millis(25);
/// So long after it began a trace may still come: its spans are stored when it has ended.
const LATE: Duration = Duration::from_secs(600);

pub(super) fn list(args: &TraceListArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let reader = Reader::open(&session.settings().home.store())?;
    let mut store = Recorded::new(reader.snapshot()?);
    let query = recorded::query(&args.query, Some(args.limit));
    let traces = store.traces(&query)?;
    let printer = &session.printer;
    if args.follow {
        recorded::warn_of_damage(&store, session);
        return follow(&reader, query, traces, session);
    }
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

/// Prints what is there, oldest first, and then what comes until it is stopped. A trace is printed
/// when it is first seen.
fn follow(
    reader: &Reader,
    mut query: Query,
    mut traces: Vec<TraceSummary>,
    session: &Session,
) -> anyhow::Result<ExitStatus> {
    traces.reverse();
    // What is older than the oldest trace above was left out on purpose.
    let floor = traces.first().map_or(0, |trace| trace.started_at.0);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut looked_at = None;
    query.limit = None;
    loop {
        for trace in traces.drain(..) {
            if seen
                .insert(trace.trace_id.clone(), trace.started_at.0)
                .is_none()
            {
                print(&trace, session)?;
            }
        }
        std::thread::sleep(PAUSE);
        let snapshot = reader.snapshot()?;
        let state = Some((snapshot.rows(Signal::Traces), snapshot.bytes()));
        // The listing of a folder that did not change is all that a look costs.
        if state == looked_at {
            continue;
        }
        looked_at = state;
        let window = recorded::since(LATE);
        seen.retain(|_, time| window.contains(time));
        query.time = Some(window.start.max(floor)..window.end);
        traces = Recorded::new(snapshot).traces(&query)?;
        traces.reverse();
    }
}

fn print(trace: &TraceSummary, session: &Session) -> anyhow::Result<()> {
    let printer = &session.printer;
    if printer.is_json() {
        return Ok(printer.document_line(trace)?);
    }
    let style = printer.style();
    let end = if trace.failed {
        style.red(trace.error.as_deref().unwrap_or("failed"))
    } else {
        trace.finish_reasons.join(", ")
    };
    let id: String = trace.trace_id.chars().take(SHORT).collect();
    let line = format!(
        "{} {id} {:>8} {:>11} {}  {end}",
        style.faint(&trace.started_at.to_seconds()),
        quantity::seconds(trace.duration_seconds),
        tokens(trace),
        trace.name.replace(char::is_control, " "),
    );
    Ok(printer.line(line.trim_end())?)
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
