//! `llt trace show`

use crate::args::TraceShowArgs;
use crate::commands::{Session, recorded};
use crate::outcome::ExitStatus;
use llamatelemetry_telemetry::recorded::{Detail, SpanTree, json, spans};

pub(super) fn show(args: &TraceShowArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut store = recorded::open(session)?;
    let id = store.trace_id(&args.trace);
    recorded::warn_of_damage(&store, session);
    let document = store.trace(id?)?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.line(json(document))?;
    } else {
        let detail = if session.verbose {
            Detail::All
        } else {
            Detail::Roots
        };
        let spans = spans(document);
        printer.answer(&SpanTree::new(&spans, detail).to_string())?;
    }
    Ok(ExitStatus::Done)
}
