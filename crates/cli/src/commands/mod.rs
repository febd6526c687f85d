//! One module a command. Each takes what was typed, the settings and the printer.

mod answer;
mod chat;
mod completions;
mod config;
mod doctor;
mod gguf;
mod gpu;
mod keys;
mod logs;
mod metrics;
mod models;
mod ps;
mod recorded;
mod run;
mod runtime;
mod serve;
mod shared;
mod texts;
mod trace;

use crate::args::{Cli, Command, RuntimeCommand};
use crate::outcome::{self, ExitStatus};
use crate::printer::{Form, Printer, Talk};
use llamatelemetry::LogTap;
use llamatelemetry_settings::{Environment, Flags, Resolved, Settings};
use std::process::ExitCode;

/// What every command has to work with.
pub(crate) struct Session {
    /// The settings with their origins.
    pub(crate) resolved: Resolved,
    /// What was typed of them.
    pub(crate) flags: Flags,
    /// The ways out.
    pub(crate) printer: Printer,
    /// Where this program's own log can be had.
    pub(crate) log_tap: LogTap,
    /// Whether all is to be told that there is.
    pub(crate) verbose: bool,
}

impl Session {
    /// The settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.resolved.settings
    }
}

/// Runs what was typed.
pub(crate) fn dispatch(args: Cli, environment: Environment) -> ExitCode {
    let form = if args.output.json {
        Form::Json
    } else {
        Form::People
    };
    let talk = if args.output.quiet {
        Talk::Quiet
    } else {
        Talk::Normal
    };
    let printer = Printer::new(form, talk, args.output.color, &environment);
    let outcome = execute(args, environment, &printer);
    outcome::conclude(outcome, &printer)
}

fn execute(args: Cli, environment: Environment, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let log_tap = crate::logging::start(
        args.output.verbose,
        &environment,
        printer.screen(),
        printer.talk_style().is_coloured(),
    )?;
    let mut flags = Flags::default();
    args.settings.add_to(&mut flags)?;
    add_flags(&args.command, &mut flags)?;
    let resolved = llamatelemetry_settings::resolve(environment, &flags)?;
    // A shell that only wants words to complete, or a doctor who tells them himself, needs no
    // notices.
    if !matches!(args.command, Command::Completions(_) | Command::Doctor) {
        for notice in &resolved.notices {
            printer.warn(notice);
        }
    }
    let session = Session {
        resolved,
        flags,
        printer: printer.clone(),
        log_tap,
        verbose: args.output.verbose > 0,
    };
    match args.command {
        Command::Run(args) => run::run(&args, &session),
        Command::Chat(args) => chat::chat(&args, &session),
        Command::Serve(args) => serve::serve(&args, &session),
        Command::Ps => ps::ps(&session),
        Command::Stop(args) => ps::stop(&args, &session),
        Command::Keys(command) => keys::keys(&command, &session),
        Command::Embed(args) => texts::embed(&args, &session),
        Command::Rerank(args) => texts::rerank(&args, &session),
        Command::Tokenize(args) => texts::tokenize(&args, &session),
        Command::Runtime(command) => runtime::runtime(&command, &session),
        Command::Models(command) => models::models(&command, &session),
        Command::Gguf(command) => gguf::gguf(&command, &session),
        Command::Trace(command) => trace::trace(&command, &session),
        Command::Metrics(args) => metrics::metrics(&args, &session),
        Command::Logs(args) => logs::logs(&args, &session),
        Command::Gpu(args) => gpu::gpu(&args, &session),
        Command::Doctor => doctor::doctor(&session),
        Command::Config(command) => config::config(&command, &session),
        Command::Completions(args) => completions::completions(&args, &session),
    }
}

/// The flags for settings that the command itself has.
fn add_flags(command: &Command, flags: &mut Flags) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => {
            args.server.add_to(flags)?;
            args.runtime.add_to(flags)
        }
        Command::Chat(args) => {
            args.server.add_to(flags)?;
            args.runtime.add_to(flags)
        }
        Command::Embed(args) => {
            args.server.add_to(flags)?;
            args.runtime.add_to(flags)
        }
        Command::Rerank(args) => {
            args.server.add_to(flags)?;
            args.runtime.add_to(flags)
        }
        Command::Tokenize(args) => {
            args.server.add_to(flags)?;
            args.runtime.add_to(flags)
        }
        Command::Serve(args) => {
            args.serve.add_to(flags)?;
            args.server.add_to(flags)?;
            args.runtime.add_to(flags)
        }
        Command::Runtime(RuntimeCommand::Install(args)) => args.runtime.add_to(flags),
        Command::Runtime(RuntimeCommand::Tool(args)) => args.runtime.add_to(flags),
        Command::Runtime(RuntimeCommand::Explain(args) | RuntimeCommand::Env(args)) => {
            args.runtime.add_to(flags)
        }
        Command::Runtime(RuntimeCommand::List | RuntimeCommand::Remove { .. })
        | Command::Ps
        | Command::Stop(_)
        | Command::Keys(_)
        | Command::Models(_)
        | Command::Gguf(_)
        | Command::Trace(_)
        | Command::Metrics(_)
        | Command::Logs(_)
        | Command::Gpu(_)
        | Command::Doctor
        | Command::Config(_)
        | Command::Completions(_) => Ok(()),
    }
}
