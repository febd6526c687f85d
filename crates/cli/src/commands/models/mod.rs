//! `llt models list|search|pull|show|verify|recommend|prune|remove|pin|unpin`

mod render;

use super::Session;
use crate::args::{ModelsCommand, PruneArgs};
use crate::outcome::{ExitStatus, Usage};
use crate::quantity;
use llamatelemetry::machine::Machine;
use llamatelemetry::models::{
    self, CatalogueEntry, Force, FoundModel, LocalModel, MemoryAtHand, ModelReport, PruneOptions,
    PruneReport, Recommendation, Removed, Scope, Verification,
};
use serde::Serialize;
use std::time::Duration;

/// Tokens of context that a recommendation leaves room for.
const CONTEXT: u32 = 8192;

pub(crate) fn models(command: &ModelsCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        ModelsCommand::List => list(session),
        ModelsCommand::Search { words } => search(words, session),
        ModelsCommand::Pull { model } => pull(model, session),
        ModelsCommand::Show { model } => show(model, session),
        ModelsCommand::Verify { models } => verify(models, session),
        ModelsCommand::Recommend => recommend(session),
        ModelsCommand::Prune(args) => prune(args, session),
        ModelsCommand::Remove { model, force } => {
            let force = if *force { Force::Yes } else { Force::No };
            remove(model, force, session)
        }
        ModelsCommand::Pin { model } => {
            pinned(&models::pin(model, session.settings())?, "pinned", session)
        }
        ModelsCommand::Unpin { model } => pinned(
            &models::unpin(model, session.settings())?,
            "no longer pinned",
            session,
        ),
    }
}

#[derive(Serialize)]
struct ListDocument<'a> {
    models: &'a [FoundModel],
}

fn list(session: &Session) -> anyhow::Result<ExitStatus> {
    let found = models::list(session.settings())?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ListDocument { models: &found })?;
    } else if found.is_empty() {
        printer.say("no models are here; `llt models search` shows what can be fetched");
    } else {
        printer.table(&render::found(&found))?;
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct SearchDocument<'a> {
    models: &'a [&'static CatalogueEntry],
}

fn search(words: &[String], session: &Session) -> anyhow::Result<ExitStatus> {
    let text = words.join(" ");
    let found = models::search(&text);
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&SearchDocument { models: &found })?;
    } else if found.is_empty() {
        printer.say(format!("nothing in the catalogue has all of: {text}"));
        printer
            .say("the hub has more: `llt run hf:OWNER/REPO` takes any repository with GGUF files");
    } else {
        printer.table(&render::catalogue(&found))?;
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct ModelDocument<'a> {
    model: &'a LocalModel,
}

fn pull(name: &str, session: &Session) -> anyhow::Result<ExitStatus> {
    let model = models::pull(name, session.settings(), &session.printer.progress())?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ModelDocument { model: &model })?;
    } else {
        printer.table(&render::local(&model))?;
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct ShowDocument<'a> {
    #[serde(flatten)]
    report: &'a ModelReport,
}

fn show(name: &str, session: &Session) -> anyhow::Result<ExitStatus> {
    let report = models::show(name, session.settings())?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ShowDocument { report: &report })?;
    } else {
        printer.table(&render::report(&report))?;
        if report.model.is_none() {
            printer.say(format!(
                "it is not here; `llt models pull {name}` fetches it"
            ));
        }
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct VerifyDocument {
    good: bool,
    models: Vec<Verification>,
}

fn verify(names: &[String], session: &Session) -> anyhow::Result<ExitStatus> {
    let settings = session.settings();
    let names: Vec<String> = if names.is_empty() {
        let found = models::list(settings)?;
        found
            .iter()
            .map(|found| found.model.path.display().to_string())
            .collect()
    } else {
        names.to_vec()
    };
    let printer = &session.printer;
    let mut verified = Vec::new();
    for name in &names {
        let verification = models::verify(name, settings, &printer.progress())?;
        if !printer.is_json() {
            render::verification(&verification, printer)?;
        }
        verified.push(verification);
    }
    let good = verified.iter().all(Verification::is_good);
    if printer.is_json() {
        printer.document(&VerifyDocument {
            good,
            models: verified,
        })?;
    } else if names.is_empty() {
        printer.say("no models are here");
    }
    Ok(if good {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}

#[derive(Serialize)]
struct RecommendDocument<'a> {
    memory: u64,
    gpu_memory: Vec<u64>,
    models: &'a [Recommendation],
}

fn recommend(session: &Session) -> anyhow::Result<ExitStatus> {
    let machine = Machine::probe();
    let memory = &machine.memory;
    let free = memory.available.or(memory.total).unwrap_or(0);
    let at_hand = MemoryAtHand {
        system: memory.limit.map_or(free, |limit| limit.min(free)),
        gpus: machine
            .gpus()
            .iter()
            .filter_map(|gpu| gpu.memory_free)
            .collect(),
        context: CONTEXT,
    };
    let recommended = models::recommend(&at_hand);
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&RecommendDocument {
            memory: at_hand.system,
            gpu_memory: at_hand.gpus.clone(),
            models: &recommended,
        })?;
    } else {
        printer.table(&render::recommended(&recommended))?;
        let gpus = match at_hand.gpus.len() as u64 {
            0 => "no GPU".to_owned(),
            count => format!(
                "{} with {} free",
                quantity::counted(count, "GPU"),
                quantity::bytes(at_hand.gpus.iter().sum())
            ),
        };
        printer.say(format!(
            "counted with {} of memory free, {gpus}, and {CONTEXT} tokens of context",
            quantity::bytes(at_hand.system),
        ));
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct PruneDocument<'a> {
    #[serde(flatten)]
    report: &'a PruneReport,
}

fn prune(args: &PruneArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let options = PruneOptions {
        unused_for: Duration::from_secs(u64::from(args.unused_for) * 24 * 3600),
        scope: if args.hub {
            Scope::HomeAndHub
        } else {
            Scope::Home
        },
        dry_run: !args.yes,
    };
    let report = models::prune(session.settings(), &options)?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&PruneDocument { report: &report })?;
        return Ok(ExitStatus::Done);
    }
    if !report.removed.is_empty() || !report.kept.is_empty() {
        printer.table(&render::pruned(&report))?;
    }
    let freed = quantity::bytes(report.freed);
    if report.removed.is_empty() {
        printer.say("nothing to remove");
    } else if report.dry_run {
        printer.say(format!("{freed} would be free; --yes removes"));
    } else {
        printer.say(format!("{freed} are free again"));
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct RemoveDocument<'a> {
    removed: &'a Removed,
}

fn remove(name: &str, force: Force, session: &Session) -> anyhow::Result<ExitStatus> {
    if name.is_empty() {
        return Err(Usage::new("the name is empty").into());
    }
    let removed = models::remove(name, session.settings(), force)?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&RemoveDocument { removed: &removed })?;
    } else {
        let files = quantity::counted(removed.files.len() as u64, "file");
        let bytes = quantity::bytes(removed.bytes);
        printer.say(format!("removed {}: {files}, {bytes}", removed.name));
    }
    Ok(ExitStatus::Done)
}

fn pinned(model: &LocalModel, what: &str, session: &Session) -> anyhow::Result<ExitStatus> {
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ModelDocument { model })?;
    } else {
        printer.say(format!("{} is {what}", model.name));
    }
    Ok(ExitStatus::Done)
}
