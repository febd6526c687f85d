//! `llt trace export --format parquet`

use super::export::chosen;
use crate::args::{ExportSignal, TraceExportArgs};
use crate::commands::{Session, recorded};
use crate::interrupt;
use crate::outcome::{ExitStatus, Usage};
use crate::quantity;
use anyhow::Context as _;
use llamatelemetry_store::{Reader, Signal};
use llamatelemetry_tables::{Stop, view, write_parquet};
use llamatelemetry_telemetry::recorded::Recorded;
use std::path::Path;

pub(super) fn export(args: &TraceExportArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let (signal, name) = match args.signal {
        ExportSignal::Traces => (Signal::Traces, "spans"),
        ExportSignal::Metrics => (Signal::Metrics, "metric_points"),
        ExportSignal::Logs => (Signal::Logs, "logs"),
        ExportSignal::All => {
            return Err(Usage::new("a Parquet file holds one signal")
                .hint("one file each: --signal traces, --signal metrics, --signal logs")
                .into());
        }
    };
    let path = args
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    let path = path.ok_or_else(|| {
        Usage::new("Parquet is written into a file").hint("--output spans.parquet")
    })?;
    let snapshot = Reader::open(&session.settings().home.store())?.snapshot()?;
    let query = recorded::query(&args.query, None);
    let query = chosen(&mut Recorded::new(snapshot.clone()), signal, &query)?;
    let view = view(name).context("a view that is not there")?;
    let stop = Stop::new();
    let stopping = stop.clone();
    let written = interrupt::stopping(
        move || stopping.stop(),
        || Ok(write_parquet(view, snapshot, query, path, stop)?),
    )?;
    for damage in &written.damaged {
        session.printer.warn(damage);
    }
    let rows = quantity::counted(written.rows, "row");
    session
        .printer
        .say(format!("{rows} written: {}", path.display()));
    Ok(ExitStatus::Done)
}
