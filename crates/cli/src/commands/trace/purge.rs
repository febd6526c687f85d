//! `llt trace purge`

use crate::args::TracePurgeArgs;
use crate::commands::{Session, recorded};
use crate::outcome::{ExitStatus, Usage};
use crate::quantity::counted;
use anyhow::Context as _;
use llamatelemetry_store::{Condition, Literal, Purge, Purged, purge as remove};
use llamatelemetry_telemetry::names::attribute;
use serde::Serialize;
use std::io::{self, IsTerminal as _};

/// What went, or would go.
#[derive(Serialize)]
struct PurgeDocument<'a> {
    dry_run: bool,
    spans: u64,
    points: u64,
    logs: u64,
    traces: u64,
    files: u64,
    /// Files that may still hold some of it, each with the reason.
    left: &'a [String],
}

pub(super) fn purge(args: &TracePurgeArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut what = asked(args, session)?;
    let folder = session.settings().home.store();
    if args.dry_run || !args.yes {
        what.dry_run = true;
        let counted = remove(&folder, &what)?;
        if args.dry_run || counted.rows() == 0 {
            return tell(&counted, args.dry_run, session);
        }
        if !agreed(&counted, session)? {
            session.printer.say("nothing was removed");
            return Ok(ExitStatus::Done);
        }
        what.dry_run = false;
    }
    let purged = remove(&folder, &what)?;
    tell(&purged, false, session)
}

/// What was typed as what goes.
fn asked(args: &TracePurgeArgs, session: &Session) -> anyhow::Result<Purge> {
    let query = recorded::query(&args.query, None);
    let mut conditions = query.conditions;
    conditions.extend(
        args.conversation.iter().map(|id| {
            Condition::Attribute(attribute::CONVERSATION.to_owned(), Literal(id.clone()))
        }),
    );
    if !args.traces.is_empty() {
        let mut store = recorded::open(session)?;
        let ids = args.traces.iter().map(|name| store.trace_id(name));
        conditions.push(Condition::AnyTrace(ids.collect::<Result<_, _>>()?));
    }
    let until = args.older_than.map(|age| recorded::since(age).start);
    let time = match (query.time, until) {
        (Some(time), until) => Some(time.start..until.unwrap_or(time.end)),
        (None, until) => until.map(|until| 0..until),
    };
    if !args.all && conditions.is_empty() && time.is_none() {
        return Err(
            Usage::new("what is to be removed? name traces or what they have, or --all").into(),
        );
    }
    Ok(Purge {
        time,
        conditions,
        dry_run: false,
    })
}

/// Asks whoever sits at the terminal.
fn agreed(counted: &Purged, session: &Session) -> anyhow::Result<bool> {
    if session.printer.is_json() || !io::stdin().is_terminal() {
        return Err(Usage::new(format!(
            "{} would go, and nobody is there to be asked: --yes removes, --dry-run only counts",
            rows(counted)
        ))
        .into());
    }
    let question = format!("remove {} for good? [y/N]", rows(counted));
    session.printer.warn(question);
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn tell(purged: &Purged, dry_run: bool, session: &Session) -> anyhow::Result<ExitStatus> {
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&PurgeDocument {
            dry_run,
            spans: purged.spans,
            points: purged.points,
            logs: purged.logs,
            traces: purged.traces,
            files: purged.files,
            left: &purged.left,
        })?;
    } else if purged.rows() == 0 {
        printer.say("nothing that is stored meets all of that");
    } else if dry_run {
        printer.say(format!("{} would go; --yes removes", rows(purged)));
    } else {
        printer.say(format!(
            "removed {}; {} written anew or removed",
            rows(purged),
            counted(purged.files, "file")
        ));
    }
    for left in &purged.left {
        printer.warn(format!("may still hold some of it: {left}"));
    }
    Ok(if purged.left.is_empty() {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}

/// `5 spans of 2 traces, 4 metric points, 2 log records`
fn rows(purged: &Purged) -> String {
    format!(
        "{} of {}, {}, {}",
        counted(purged.spans, "span"),
        counted(purged.traces, "trace"),
        counted(purged.points, "metric point"),
        counted(purged.logs, "log record"),
    )
}
