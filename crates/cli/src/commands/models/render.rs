//! What `llt models` shows to people.

use crate::printer::Printer;
use crate::quantity;
use crate::table::Table;
use llamatelemetry::models::{
    CatalogueEntry, CatalogueSource, Fit, FoundModel, LocalModel, ModelReport, ModelSource,
    PruneReport, Recommendation, Verdict, Verification,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) fn found(models: &[FoundModel]) -> Table {
    let mut table = Table::new()
        .left("name")
        .right("size")
        .right("last use")
        .left("from")
        .left("")
        .left("file");
    for found in models {
        let mut marks = Vec::new();
        if found.in_use {
            marks.push("in use".to_owned());
        }
        if found.pinned {
            marks.push("pinned".to_owned());
        }
        if !found.duplicates.is_empty() {
            marks.push(quantity::counted(
                found.duplicates.len() as u64,
                "duplicate",
            ));
        }
        table.row([
            found.model.name.clone(),
            quantity::bytes(found.model.size),
            found.last_use.map_or_else(|| "never".to_owned(), ago),
            source(&found.model.source),
            marks.join(", "),
            found.model.path.display().to_string(),
        ]);
    }
    table
}

pub(super) fn catalogue(models: &[&'static CatalogueEntry]) -> Table {
    let mut table = Table::new()
        .left("name")
        .right("size")
        .right("parameters")
        .left("type")
        .right("context")
        .left("licence")
        .left("good for");
    for entry in models {
        table.row([
            entry.name.clone(),
            size_of(entry),
            quantity::parameters(entry.parameters),
            entry.quantization.clone(),
            entry.context.to_string(),
            entry.licence.clone(),
            entry.good_for.clone(),
        ]);
    }
    table
}

fn size_of(entry: &CatalogueEntry) -> String {
    let about = if entry.size_exact { "" } else { "~" };
    format!("{about}{}", quantity::bytes(entry.size))
}

/// One fact a row.
struct Facts(Table);

impl Facts {
    fn new() -> Self {
        Self(Table::new().left("").left(""))
    }

    fn row(&mut self, name: &str, value: impl Into<String>) {
        self.0.row([name.to_owned(), value.into()]);
    }
}

pub(super) fn local(model: &LocalModel) -> Table {
    let mut facts = Facts::new();
    add_local(&mut facts, model);
    facts.0
}

fn add_local(facts: &mut Facts, model: &LocalModel) {
    facts.row("name", &model.name);
    facts.row("file", model.path.display().to_string());
    if model.shards.len() > 1 {
        facts.row("parts", model.shards.len().to_string());
    }
    if let Some(projector) = &model.projector {
        facts.row("projector", projector.display().to_string());
    }
    facts.row("size", quantity::bytes(model.size));
    facts.row("sha256", model.sha256.as_deref().unwrap_or("not known yet"));
    facts.row("from", source(&model.source));
}

pub(super) fn report(report: &ModelReport) -> Table {
    let mut facts = Facts::new();
    if let Some(model) = &report.model {
        add_local(&mut facts, model);
    }
    if let Some(entry) = report.catalogue {
        add_entry(&mut facts, entry, report.model.is_none());
    }
    if let Some(found) = &report.facts {
        if report.catalogue.is_none() {
            facts.row("parameters", quantity::parameters(found.parameters));
        }
        facts.row("architecture", &found.architecture);
        if let Some(context) = found.context_length {
            facts.row("context", format!("{context} tokens"));
        }
        if let Some(layers) = found.layers {
            facts.row("layers", layers.to_string());
        }
        let template = if found.chat_template.is_some() {
            "yes"
        } else {
            "no"
        };
        facts.row("chat template", template);
    }
    if report.architecture_known == Some(false) {
        facts.row(
            "warning",
            "the llama.cpp that is built here does not know the architecture",
        );
    }
    if report.model.is_some() {
        let used = report.last_use.map_or_else(|| "never".to_owned(), ago);
        facts.row("last use", used);
        if report.in_use {
            facts.row("in use", "now");
        }
        if report.pinned {
            facts.row("pinned", "yes");
        }
    }
    facts.0
}

fn add_entry(facts: &mut Facts, entry: &CatalogueEntry, whole: bool) {
    facts.row("title", &entry.title);
    if !entry.aliases.is_empty() {
        facts.row("also called", entry.aliases.join(", "));
    }
    facts.row("good for", &entry.good_for);
    facts.row("licence", &entry.licence);
    facts.row(
        "parameters",
        format!(
            "{}, {}",
            quantity::parameters(entry.parameters),
            entry.quantization
        ),
    );
    if whole {
        facts.row("size", size_of(entry));
        facts.row("context", format!("{} tokens", entry.context));
        let from = match &entry.source {
            CatalogueSource::Hub(hub) => format!("hf:{}/{}", hub.repo, hub.file),
            CatalogueSource::Wheels(wheels) => {
                let names: Vec<String> = wheels
                    .iter()
                    .map(|wheel| format!("pip:{}=={}", wheel.package, wheel.version))
                    .collect();
                names.join(" ")
            }
        };
        facts.row("from", from);
        facts.row("sha256", entry.sha256.as_deref().unwrap_or("not known yet"));
    }
}

fn source(source: &ModelSource) -> String {
    match source {
        ModelSource::Path => "a path".to_owned(),
        ModelSource::Folder => "a folder of models".to_owned(),
        ModelSource::Hub { repo, .. } => format!("hf:{repo}"),
        ModelSource::Url { url } => url.clone(),
        ModelSource::Pip { package, version } => format!("pip:{package}=={version}"),
        ModelSource::Ollama { name } => format!("ollama:{name}"),
        ModelSource::LmStudio => "LM Studio".to_owned(),
    }
}

pub(super) fn recommended(models: &[Recommendation]) -> Table {
    let mut table = Table::new()
        .left("name")
        .right("needs")
        .left("fits")
        .left("why");
    for one in models {
        let fit = match one.fit {
            Fit::OneGpu => "one GPU",
            Fit::SeveralGpus => "several GPUs",
            Fit::Partly => "GPUs in part",
            Fit::System => "memory",
            Fit::TooLarge => "no",
        };
        table.row([
            one.model.name.clone(),
            quantity::bytes(one.needed),
            fit.to_owned(),
            one.reason.clone(),
        ]);
    }
    table
}

pub(super) fn pruned(report: &PruneReport) -> Table {
    let mut table = Table::new().left("").left("name").right("size").left("why");
    let remove = if report.dry_run {
        "would remove"
    } else {
        "removed"
    };
    for one in &report.removed {
        table.row([
            remove.to_owned(),
            one.name.clone(),
            quantity::bytes(one.bytes),
            one.path.display().to_string(),
        ]);
    }
    for one in &report.kept {
        table.row([
            "kept".to_owned(),
            one.name.clone(),
            quantity::bytes(one.bytes),
            one.reason.clone(),
        ]);
    }
    table
}

pub(super) fn verification(verification: &Verification, printer: &Printer) -> std::io::Result<()> {
    let style = printer.style();
    for file in &verification.files {
        let verdict = match file.verdict {
            Verdict::Good => style.green("good"),
            Verdict::Bad => style.red("bad"),
            Verdict::Unknown => style.yellow("nothing to compare with"),
        };
        printer.line(format!(
            "{}: {verdict}: {}",
            verification.name,
            file.path.display()
        ))?;
        printer.line(format!("  sha256 {}", file.sha256))?;
        if let (Verdict::Bad, Some(expected)) = (file.verdict, &file.expected) {
            printer.line(format!("  expected {expected}"))?;
        }
    }
    Ok(())
}

/// How long ago a moment was, for people.
fn ago(seconds_since_1970: u64) -> String {
    let then = UNIX_EPOCH + Duration::from_secs(seconds_since_1970);
    // A clock that was set back makes the future; that is "now".
    let past = SystemTime::now().duration_since(then).unwrap_or_default();
    match past.as_secs() {
        0..60 => "now".to_owned(),
        60..3600 => quantity::counted(past.as_secs() / 60, "minute"),
        3600..86_400 => quantity::counted(past.as_secs() / 3600, "hour"),
        _ => quantity::counted(past.as_secs() / 86_400, "day"),
    }
}
