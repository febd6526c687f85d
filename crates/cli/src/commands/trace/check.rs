//! `llt trace check`

use crate::args::TraceCheckArgs;
use crate::commands::{Session, recorded};
use crate::outcome::ExitStatus;
use crate::printer::{Printer, Style};
use crate::quantity;
use crate::table::Table;
use anyhow::Context as _;
use llamatelemetry_store::{Query, Signal};
use llamatelemetry_telemetry::check::{Checked, Checker, Finding, Level, Rule, read};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

/// Kinds of findings shown in the table at most.
const ROWS: usize = 1000;

/// The last line of the JSON.
#[derive(Serialize)]
struct Summary {
    checked: Checked,
    violations: u64,
    improvements: u64,
    informations: u64,
}

/// Findings gathered for the table: those that differ in nothing but where they are stand in one
/// row.
#[derive(Default)]
struct Gathered {
    rows: BTreeMap<Row, Count>,
    left_out: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// The gravest first.
    level: std::cmp::Reverse<Level>,
    rule: Rule,
    subject: String,
    message: String,
}

struct Count {
    times: u64,
    first_span: String,
}

impl Gathered {
    fn take(&mut self, finding: Finding) {
        let row = Row {
            level: std::cmp::Reverse(finding.level),
            rule: finding.rule,
            subject: finding.subject,
            message: finding.message,
        };
        if let Some(count) = self.rows.get_mut(&row) {
            count.times += 1;
        } else if self.rows.len() < ROWS {
            let first_span = finding.span_id.unwrap_or_default();
            let count = Count {
                times: 1,
                first_span,
            };
            self.rows.insert(row, count);
        } else {
            self.left_out += 1;
        }
    }
}

pub(super) fn check(args: &TraceCheckArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let printer = &session.printer;
    let mut checker = Checker::new(args.profile);
    let mut counts = BTreeMap::<Level, u64>::new();
    let mut gathered = Gathered::default();
    // What goes wrong while printing is told when the document is done.
    let mut written = Ok(());
    let mut found = |finding: Finding| {
        *counts.entry(finding.level).or_default() += 1;
        if !printer.is_json() {
            // What is merely worth knowing is counted, and told to those who ask for more.
            if finding.level != Level::Information || session.verbose {
                gathered.take(finding);
            }
        } else if written.is_ok() {
            written = printer.document_line(&finding);
        }
    };
    for path in &args.files {
        read(recorded::input(path)?, &mut |document| {
            checker.check(document, &mut found);
        })
        .with_context(|| path.display().to_string())?;
    }
    if args.files.is_empty() {
        let mut store = recorded::open(session)?;
        let query = Query {
            time: Some(recorded::since(args.since)),
            ..Query::default()
        };
        for signal in Signal::ALL {
            store.documents(signal, &query, &mut |document| {
                checker.check(&document, &mut found);
                ControlFlow::Continue(())
            })?;
        }
        recorded::warn_of_damage(&store, session);
    }
    let extent = checker.finish(&mut found);
    written?;
    let of = |level| counts.get(&level).copied().unwrap_or(0);
    let summary = Summary {
        checked: extent,
        violations: of(Level::Violation),
        improvements: of(Level::Improvement),
        informations: of(Level::Information),
    };
    if printer.is_json() {
        printer.document_line(&summary)?;
    } else {
        tell(&gathered, &summary, session)?;
    }
    Ok(if summary.violations == 0 {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}

fn tell(gathered: &Gathered, summary: &Summary, session: &Session) -> io::Result<()> {
    let printer = &session.printer;
    if !gathered.rows.is_empty() {
        let mut table = Table::new()
            .left("LEVEL")
            .left("RULE")
            .left("WHERE")
            .left("WHAT")
            .right("TIMES")
            .left("FIRST SPAN");
        let style = printer.style();
        for (row, count) in &gathered.rows {
            table.row([
                level(row.level.0, style),
                row.rule.id().to_owned(),
                row.subject.clone(),
                row.message.clone(),
                count.times.to_string(),
                count.first_span.clone(),
            ]);
        }
        printer.table(&table)?;
    }
    if gathered.left_out > 0 {
        printer.say(format!(
            "and {} of further kinds",
            counted(gathered.left_out, "finding")
        ));
    }
    let Checked {
        spans,
        points,
        logs,
        unrelated,
    } = summary.checked;
    let hidden = if summary.informations > 0 && !session.verbose {
        " (-v shows them)"
    } else {
        ""
    };
    printer.say(format!(
        "{}, {}, {}: {}, {}, {}",
        counted(spans, "span"),
        counted(points, "metric point"),
        counted(logs, "log record"),
        counted(summary.violations, "violation"),
        counted(summary.improvements, "improvement"),
        counted(summary.informations, "piece") + " of information" + hidden,
    ));
    if unrelated > 0 {
        printer.warn(format!(
            "how {} stand to others was not checked: there are too many",
            counted(unrelated, "span")
        ));
    }
    Ok(())
}

fn counted(count: u64, thing: &str) -> String {
    quantity::counted(count, thing)
}

fn level(level: Level, style: Style) -> String {
    match level {
        Level::Violation => style.red(level.as_str()),
        Level::Improvement => style.yellow(level.as_str()),
        Level::Information => level.as_str().to_owned(),
    }
}

/// One rule, as JSON.
#[derive(Serialize)]
struct RuleFacts {
    rule: Rule,
    level: Level,
    what: &'static str,
}

/// Lists the rules.
pub(super) fn rules(printer: &Printer) -> anyhow::Result<ExitStatus> {
    let mut table = Table::new().left("RULE").left("LEVEL").left("FINDS");
    for rule in Rule::ALL {
        let facts = RuleFacts {
            rule: *rule,
            level: rule.level(),
            what: rule.what(),
        };
        if printer.is_json() {
            printer.document_line(&facts)?;
        } else {
            table.row([
                rule.id().to_owned(),
                rule.level().as_str().to_owned(),
                rule.what().to_owned(),
            ]);
        }
    }
    if !printer.is_json() {
        printer.table(&table)?;
    }
    Ok(ExitStatus::Done)
}
