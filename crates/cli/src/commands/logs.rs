//! `llt logs`

use super::{Session, recorded};
use crate::args::{LogLevel, LogsArgs};
use crate::outcome::ExitStatus;
use crate::printer::Style;
use llamatelemetry_store::{Condition, Query, Reader, Signal};
use llamatelemetry_telemetry::recorded::{Detail, LogLine, Recorded};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often is looked for more.
const PAUSE: Duration = Duration::from_millis(25);
/// So long after it happened a record may still come: writers gather some before they write.
const LATE: Duration = Duration::from_secs(60);
/// Digits of a trace's id that are shown.
const SHORT: usize = 8;

pub(crate) fn logs(args: &LogsArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let reader = Reader::open(&session.settings().home.store())?;
    let mut store = Recorded::new(reader.snapshot()?);
    let query = query(args, &mut store)?;
    let printer = &session.printer;
    let lines = store.logs(&query)?;
    for line in &lines {
        print(line, session)?;
    }
    recorded::warn_of_damage(&store, session);
    if args.follow {
        return follow(&reader, query, &lines, session);
    }
    if lines.is_empty() && !printer.is_json() {
        if store.is_empty(Signal::Logs) {
            recorded::say_empty("log records", session);
        } else {
            printer.say("no stored log record meets all of that");
        }
    }
    Ok(ExitStatus::Done)
}

fn query(args: &LogsArgs, store: &mut Recorded) -> anyhow::Result<Query> {
    let LogsArgs {
        since,
        level,
        trace,
        text,
        limit,
        follow: _,
    } = args;
    let mut conditions = Vec::new();
    if let Some(trace) = trace {
        conditions.push(Condition::Trace(store.trace_id(trace)?));
    }
    conditions.extend(level.map(|level| Condition::Severity(severity(level))));
    conditions.extend(text.iter().cloned().map(Condition::Holds));
    Ok(Query {
        time: since.map(recorded::since),
        conditions,
        limit: Some(*limit),
    })
}

/// The least severity of a level in OTLP.
fn severity(level: LogLevel) -> u64 {
    match level {
        LogLevel::Trace => 1,
        LogLevel::Debug => 5,
        LogLevel::Info => 9,
        LogLevel::Warn => 13,
        LogLevel::Error => 17,
        LogLevel::Fatal => 21,
    }
}

/// Prints what comes until it is stopped.
fn follow(
    reader: &Reader,
    mut query: Query,
    printed: &[LogLine],
    session: &Session,
) -> anyhow::Result<ExitStatus> {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for line in printed {
        seen.insert(serde_json::to_string(line)?, line.time.0);
    }
    // What is older than the oldest line above was left out on purpose.
    let floor = printed.first().map_or(0, |line| line.time.0);
    let mut told: BTreeSet<String> = BTreeSet::new();
    query.limit = None;
    // The listing of a folder that did not change is all that a look costs.
    let mut looked_at = None;
    loop {
        std::thread::sleep(PAUSE);
        let snapshot = reader.snapshot()?;
        let state = Some((snapshot.rows(Signal::Logs), snapshot.bytes()));
        if state == looked_at {
            continue;
        }
        looked_at = state;
        let window = recorded::since(LATE);
        query.time = Some(window.start.max(floor)..window.end);
        let mut store = Recorded::new(snapshot);
        for line in store.logs(&query)? {
            if seen
                .insert(serde_json::to_string(&line)?, line.time.0)
                .is_none()
            {
                print(&line, session)?;
            }
        }
        seen.retain(|_, time| window.contains(time));
        for damage in store.damaged() {
            if told.insert(damage.to_owned()) {
                session.printer.warn(damage);
            }
        }
    }
}

fn print(line: &LogLine, session: &Session) -> anyhow::Result<()> {
    let printer = &session.printer;
    if printer.is_json() {
        printer.document_line(line)?;
        return Ok(());
    }
    let detail = if session.verbose {
        Detail::All
    } else {
        Detail::Brief
    };
    let style = printer.style();
    let trace: String = line
        .trace_id
        .iter()
        .flat_map(|id| id.chars())
        .take(SHORT)
        .collect();
    let said = format!(
        "{} {} {trace:SHORT$} {}",
        style.faint(&line.time.to_seconds()),
        level(line, style),
        line.text(detail)
    );
    Ok(printer.line(said.trim_end())?)
}

fn level(line: &LogLine, style: Style) -> String {
    let text = format!("{:5}", line.level);
    match line.severity {
        17.. => style.red(&text),
        13..17 => style.yellow(&text),
        _ => text,
    }
}
