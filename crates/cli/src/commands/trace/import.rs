//! `llt trace import`

use crate::args::TraceImportArgs;
use crate::commands::{Session, recorded};
use crate::outcome::ExitStatus;
use crate::quantity::counted;
use anyhow::Context as _;
use llamatelemetry_telemetry::check::read;
use llamatelemetry_telemetry::recorded::{Import, Imported};

#[derive(serde::Serialize)]
struct ImportDocument {
    imported: Imported,
}

pub(super) fn import(args: &TraceImportArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut import = Import::into(&session.settings().home.store())?;
    for path in &args.files {
        // A store that takes no more is told when the file is done.
        let mut outcome = Ok(());
        read(recorded::input(path)?, &mut |document| {
            if outcome.is_ok() {
                outcome = import.add(document);
            }
        })
        .with_context(|| path.display().to_string())?;
        outcome?;
    }
    let imported = import.finish()?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ImportDocument { imported })?;
    } else {
        printer.say(format!(
            "imported {}, {}, {}",
            counted(imported.spans, "span"),
            counted(imported.points, "metric point"),
            counted(imported.logs, "log record"),
        ));
    }
    Ok(ExitStatus::Done)
}
