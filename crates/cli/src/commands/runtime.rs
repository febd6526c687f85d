//! `llt runtime install|list|explain|tool|env|remove`

use super::Session;
use crate::args::{InstallArgs, RuntimeCommand, RuntimeSource, ToolName};
use crate::outcome::ExitStatus;
use crate::printer::Printer;
use crate::quantity;
use crate::table::Table;
use llamatelemetry::runtime::{
    self, Explanation, InstallOptions, Installed, Runtime, Step, Tool, Verdict,
};
use serde::Serialize;
use std::path::Path;

pub(crate) fn runtime(command: &RuntimeCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        RuntimeCommand::Install(args) => install(args, session),
        RuntimeCommand::List => list(session),
        RuntimeCommand::Explain(_) => explain(session),
        RuntimeCommand::Tool(args) => tool(args.tool, session),
        RuntimeCommand::Env(_) => env(session),
        RuntimeCommand::Remove { name } => remove(name, session),
    }
}

#[derive(Serialize)]
struct RuntimeDocument<'a> {
    runtime: &'a Runtime,
}

fn install(args: &InstallArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let (settings, progress) = (session.settings(), session.printer.progress());
    let runtime = if args.anew || args.only.is_some() {
        let options = InstallOptions {
            only: args.only.map(step),
        };
        runtime::install(settings, options, &progress)?
    } else {
        runtime::bootstrap(settings, &progress)?
    };
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&RuntimeDocument { runtime: &runtime })?;
    } else {
        printer.table(&facts(&runtime))?;
    }
    Ok(ExitStatus::Done)
}

fn step(source: RuntimeSource) -> Step {
    match source {
        RuntimeSource::UserPath => Step::UserPath,
        RuntimeSource::Store => Step::Store,
        RuntimeSource::SearchPath => Step::SearchPath,
        RuntimeSource::Release => Step::Release,
        RuntimeSource::Build => Step::Build,
    }
}

fn facts(runtime: &Runtime) -> Table {
    let mut table = Table::new().left("").left("");
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("name", runtime.identity.clone());
    row("server", runtime.server.display().to_string());
    row("build", runtime.build.text.clone());
    if let Some(compiler) = &runtime.build.compiler {
        row("compiler", compiler.clone());
    }
    row("source", runtime.source.title());
    row("back end", runtime.backend.to_string());
    for device in &runtime.devices {
        let memory = quantity::bytes(device.memory_total);
        row(
            "device",
            format!("{}: {}, {memory}", device.name, device.description),
        );
    }
    table
}

#[derive(Serialize)]
struct ListDocument<'a> {
    runtimes: &'a [Installed],
}

fn list(session: &Session) -> anyhow::Result<ExitStatus> {
    let installed = runtime::list(session.settings())?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ListDocument {
            runtimes: &installed,
        })?;
        return Ok(ExitStatus::Done);
    }
    if installed.is_empty() {
        printer.say("no builds are in the home; `llt runtime install` makes one");
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::new()
        .left("name")
        .left("build")
        .left("back end")
        .right("size")
        .left("source")
        .left("");
    for one in &installed {
        table.row([
            one.runtime.identity.clone(),
            one.runtime.build.text.clone(),
            one.runtime.backend.to_string(),
            quantity::bytes(one.size),
            one.runtime.source.title(),
            if one.current { "in use" } else { "" }.to_owned(),
        ]);
    }
    printer.table(&table)?;
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct ExplainDocument<'a> {
    #[serde(flatten)]
    explanation: &'a Explanation,
}

fn explain(session: &Session) -> anyhow::Result<ExitStatus> {
    let explanation = runtime::explain(session.settings(), &session.printer.progress());
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ExplainDocument {
            explanation: &explanation,
        })?;
        return Ok(ExitStatus::Done);
    }
    tell(&explanation, printer)?;
    Ok(ExitStatus::Done)
}

fn tell(explanation: &Explanation, printer: &Printer) -> std::io::Result<()> {
    let style = printer.style();
    let because = &explanation.wanted_because;
    printer.line(format!("wanted: {} ({because})", explanation.wanted))?;
    printer.line("")?;
    for (number, attempt) in explanation.attempts.iter().enumerate() {
        let verdict = match attempt.verdict {
            Verdict::Chosen => style.green("chosen"),
            Verdict::Possible => style.cyan("possible"),
            Verdict::Refused => style.red("refused"),
            Verdict::Skipped => style.faint("skipped"),
        };
        let title = attempt.step.title();
        printer.line(format!(
            "{}. {title} [{}]: {verdict}",
            number + 1,
            attempt.backend
        ))?;
        if !matches!(attempt.subject.as_str(), "" | "-") && attempt.subject != title {
            printer.line(format!("   {}", attempt.subject))?;
        }
        printer.line(format!("   {}", attempt.reason))?;
    }
    printer.line("")?;
    match &explanation.chosen {
        Some(runtime) => printer.line(format!(
            "a load would use {}: {}",
            runtime.identity,
            runtime.server.display()
        )),
        None => printer.line("nothing is there yet: a load would make one"),
    }
}

#[derive(Serialize)]
struct ToolDocument<'a> {
    tool: Tool,
    path: &'a Path,
    runtime: &'a Runtime,
}

fn tool(name: ToolName, session: &Session) -> anyhow::Result<ExitStatus> {
    let tool = match name {
        ToolName::Bench => Tool::Bench,
        ToolName::FitParams => Tool::FitParams,
        ToolName::Quantize => Tool::Quantize,
        ToolName::Imatrix => Tool::Imatrix,
        ToolName::Perplexity => Tool::Perplexity,
        ToolName::GgufSplit => Tool::GgufSplit,
        ToolName::RpcServer => Tool::RpcServer,
        ToolName::Converter => Tool::Converter,
    };
    let (settings, progress) = (session.settings(), session.printer.progress());
    let runtime = runtime::bootstrap(settings, &progress)?;
    let path = runtime::tool(settings, &runtime, tool, &progress)?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&ToolDocument {
            tool,
            path: &path,
            runtime: &runtime,
        })?;
    } else {
        printer.line(path.display().to_string())?;
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct EnvDocument<'a> {
    runtime: &'a Runtime,
    /// Lines for a POSIX shell.
    lines: Vec<String>,
}

fn env(session: &Session) -> anyhow::Result<ExitStatus> {
    let runtime = runtime::bootstrap(session.settings(), &session.printer.progress())?;
    let lines = runtime::environment(&runtime);
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&EnvDocument {
            runtime: &runtime,
            lines,
        })?;
    } else {
        for line in lines {
            printer.line(line)?;
        }
    }
    Ok(ExitStatus::Done)
}

#[derive(Serialize)]
struct RemoveDocument<'a> {
    removed: &'a Installed,
}

fn remove(name: &str, session: &Session) -> anyhow::Result<ExitStatus> {
    let removed = runtime::remove(session.settings(), name)?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&RemoveDocument { removed: &removed })?;
    } else {
        printer.say(format!(
            "removed {} ({})",
            removed.runtime.identity,
            quantity::bytes(removed.size)
        ));
    }
    Ok(ExitStatus::Done)
}
