//! `llt trace export`

use crate::args::{ExportFormat, ExportSignal, TraceExportArgs};
use crate::commands::{Session, recorded};
use crate::outcome::{ExitStatus, Usage};
use crate::printer::Printer;
use crate::quantity;
use anyhow::Context as _;
use llamatelemetry_store::{Condition, Query, Signal, StoreError};
use llamatelemetry_telemetry::recorded::{Recorded, lines};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;

pub(super) fn export(args: &TraceExportArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    if args.trace.is_some() && args.format != ExportFormat::RunRecord {
        return Err(Usage::new("only a run record is of one trace")
            .hint("--format run-record; or choose traces by what they have, see --help")
            .into());
    }
    match args.format {
        ExportFormat::RunRecord => super::run_record::export(args, session),
        ExportFormat::Otlp => otlp(args, session),
        ExportFormat::Parquet => super::parquet::export(args, session),
    }
}

fn otlp(args: &TraceExportArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut store = recorded::open(session)?;
    let signals: &[Signal] = match args.signal {
        ExportSignal::Traces => &[Signal::Traces],
        ExportSignal::Metrics => &[Signal::Metrics],
        ExportSignal::Logs => &[Signal::Logs],
        ExportSignal::All => &Signal::ALL,
    };
    let query = recorded::query(&args.query, None);
    let printer = &session.printer;
    let mut to = Output::create(args.output.as_deref(), printer)?;
    for signal in signals {
        write(&mut store, *signal, &query, &mut to)?;
    }
    let written = to.finish()?;
    recorded::warn_of_damage(&store, session);
    if let Some(path) = &args.output {
        let count = quantity::counted(written, "line");
        printer.say(format!("{count} of OTLP written: {}", path.display()));
    }
    Ok(ExitStatus::Done)
}

fn write(
    store: &mut Recorded,
    signal: Signal,
    query: &Query,
    to: &mut Output<'_>,
) -> anyhow::Result<()> {
    let query = chosen(store, signal, query)?;
    // What goes wrong while writing is told when the store is done.
    let mut outcome = Ok(());
    store.documents(signal, &query, &mut |document| {
        lines(document, &mut |line| {
            outcome = to.line(&line);
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
    })?;
    outcome
}

/// The query for the rows of a signal that belong to the traces meant.
pub(super) fn chosen(
    store: &mut Recorded,
    signal: Signal,
    query: &Query,
) -> Result<Query, StoreError> {
    // Points belong to no trace.
    let chosen = !query.conditions.is_empty() && signal != Signal::Metrics;
    Ok(
        if chosen || (signal == Signal::Traces && query.time.is_some()) {
            let ids = store.trace_ids(query)?;
            Query {
                conditions: vec![Condition::AnyTrace(ids.into_iter().collect())],
                ..Query::default()
            }
        } else {
            Query {
                conditions: Vec::new(),
                ..query.clone()
            }
        },
    )
}

/// Where lines go.
enum Output<'a> {
    Stdout(&'a Printer, u64),
    File(&'a Path, BufWriter<File>, u64),
}

impl<'a> Output<'a> {
    fn create(path: Option<&'a Path>, printer: &'a Printer) -> anyhow::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(printer, 0));
        };
        let mut options = File::options();
        // What was said may stand in it.
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).with_context(|| cannot_write(path))?;
        Ok(Self::File(path, BufWriter::new(file), 0))
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        match self {
            Self::Stdout(printer, count) => {
                *count += 1;
                Ok(printer.line(line)?)
            }
            Self::File(path, file, count) => {
                *count += 1;
                let written = file.write_all(line.as_bytes());
                let written: io::Result<()> = written.and_then(|()| file.write_all(b"\n"));
                written.with_context(|| cannot_write(path))
            }
        }
    }

    /// How many lines there are.
    fn finish(self) -> anyhow::Result<u64> {
        match self {
            Self::Stdout(_, count) => Ok(count),
            Self::File(path, mut file, count) => {
                file.flush().with_context(|| cannot_write(path))?;
                Ok(count)
            }
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
