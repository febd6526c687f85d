//! `llt trace export --format run-record`

use crate::args::TraceExportArgs;
use crate::commands::Session;
use crate::commands::config::{ShownSetting, settings};
use crate::outcome::{ExitStatus, Usage};
use anyhow::Context as _;
use llamatelemetry::machine::Machine;
use llamatelemetry_store::{Condition, Query, Signal};
use llamatelemetry_telemetry::names::attribute;
use llamatelemetry_telemetry::recorded::{Moment, lines};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// All about one trace. As a document of OTLP it holds the spans and log records: what else is in
/// it is passed over where it is imported.
#[derive(Serialize)]
struct RunRecord {
    run: Run,
    #[serde(rename = "resourceSpans")]
    spans: Vec<Value>,
    #[serde(rename = "resourceLogs")]
    logs: Vec<Value>,
}

#[derive(Serialize)]
struct Run {
    trace_id: String,
    exported_at: Moment,
    exported_by: String,
    /// What the spans state.
    llama_builds: BTreeSet<String>,
    models: BTreeSet<Model>,
    /// What holds where and when this was exported.
    settings: Vec<ShownSetting>,
    machine: Machine,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    name: Option<String>,
    sha256: Option<String>,
    quantization: Option<String>,
}

pub(super) fn export(args: &TraceExportArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let name = args.trace.as_deref().ok_or_else(|| {
        Usage::new("a run record is of one trace").hint("its id, the beginning of it, or `last`")
    })?;
    let mut store = crate::commands::recorded::open(session)?;
    let id = store.trace_id(name)?;
    let query = Query {
        conditions: vec![Condition::Trace(id)],
        ..Query::default()
    };
    let mut found: [Vec<Value>; 2] = Default::default();
    let signals = [
        (Signal::Traces, "resourceSpans"),
        (Signal::Logs, "resourceLogs"),
    ];
    for ((signal, key), all) in signals.into_iter().zip(&mut found) {
        let mut outcome = Ok(());
        store.documents(signal, &query, &mut |document| {
            lines(document, &mut |line| {
                outcome = take(&line, key, all);
                match outcome {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })
        })?;
        outcome?;
    }
    crate::commands::recorded::warn_of_damage(&store, session);
    let [spans, logs] = found;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or(Duration::ZERO).as_nanos();
    let record = RunRecord {
        run: Run {
            trace_id: format!("{:032x}", u128::from_be_bytes(id)),
            exported_at: Moment(u64::try_from(now).unwrap_or(u64::MAX)),
            exported_by: format!("llamatelemetry {}", env!("CARGO_PKG_VERSION")),
            llama_builds: of_spans(&spans, |span| text(span, attribute::BUILD)),
            models: of_spans(&spans, model),
            settings: settings(session.resolved.rows()),
            machine: Machine::probe(),
        },
        spans,
        logs,
    };
    let printer = &session.printer;
    match args
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"))
    {
        None => printer.document(&record)?,
        Some(path) => {
            let text = printer.document_text(&record)?;
            write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
            printer.say(format!("run record written: {}", path.display()));
        }
    }
    Ok(ExitStatus::Done)
}

/// Adds what a line of OTLP holds.
fn take(line: &str, key: &str, all: &mut Vec<Value>) -> serde_json::Result<()> {
    let mut line: Value = serde_json::from_str(line)?;
    if let Some(Value::Array(found)) = line.get_mut(key) {
        all.append(found);
    }
    Ok(())
}

/// What spans state, each thing once.
fn of_spans<T: Ord>(resources: &[Value], find: fn(&Value) -> Option<T>) -> BTreeSet<T> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let scopes = resources
        .iter()
        .flat_map(|resource| list(resource, "scopeSpans"));
    let spans = scopes.flat_map(|scope| list(&scope, "spans"));
    spans.filter_map(|span| find(&span)).collect()
}

fn model(span: &Value) -> Option<Model> {
    let name = text(span, attribute::REQUEST_MODEL);
    let sha256 = text(span, attribute::MODEL_SHA256);
    (name.is_some() || sha256.is_some()).then(|| Model {
        name,
        sha256,
        quantization: text(span, attribute::QUANTIZATION),
    })
}

fn text(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array()?;
    let found = attributes
        .iter()
        .find(|attribute| attribute["key"] == key)?;
    found["value"]["stringValue"].as_str().map(str::to_owned)
}

/// The file is there whole or as before, and readable for its owner only.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = std::fs::File::options();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        // What is left of it is of no use.
        std::fs::remove_file(&unfinished).ok();
    }
    written
}
