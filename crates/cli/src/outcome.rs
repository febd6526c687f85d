//! What came of a command: its exit code, and for an error what a person reads.

use crate::interrupt::Interrupted;
use crate::printer::{Printer, Style};
use llamatelemetry::gguf::GgufError;
use llamatelemetry::models::ModelError;
use llamatelemetry::runtime::{Attempt, RuntimeError, Verdict};
use llamatelemetry_fetch::FetchError;
use llamatelemetry_settings::SettingsError;
use llamatelemetry_store::StoreError;
use llamatelemetry_telemetry::recorded::RecordedError;
use serde::Serialize;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// All is well.
    Done,
    /// The work was done and the answer is bad: a check that failed.
    Failed,
}

/// The command line asks for something that cannot be meant.
#[derive(Debug)]
pub(crate) struct Usage {
    message: String,
    hints: Vec<String>,
}

impl Usage {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Usage {}

/// The one place where what came of a command becomes an exit code: 0 done, 1 failed, 2 wrong
/// usage; stopped by a signal as a shell reports it.
pub(crate) fn conclude(outcome: anyhow::Result<ExitStatus>, printer: &Printer) -> ExitCode {
    let error = match outcome {
        Ok(ExitStatus::Done) => return ExitCode::SUCCESS,
        Ok(ExitStatus::Failed) => return ExitCode::from(1),
        Err(error) => error,
    };
    // Whoever read the output has seen enough.
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    if let Some(stopped) = error.downcast_ref::<Interrupted>() {
        printer.say(stopped.to_string());
        return ExitCode::from(stopped.exit_code());
    }
    let report = Report::of(&error);
    printer.screen().line(&report.text(printer.talk_style()));
    if printer.is_json() {
        // Should stdout be gone, the exit code still tells.
        printer
            .document(&ErrorDocument { error: &report })
            .unwrap_or_default();
    }
    ExitCode::from(if is_usage(&error) { 2 } else { 1 })
}

/// The command line could not be read, or help or a version was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A reader that is gone has seen enough.
    error.print().unwrap_or_default();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
        // A pipe of a child or a server is not ours.
        && error.downcast_ref::<io::Error>().is_some()
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause
                .downcast_ref::<SettingsError>()
                .is_some_and(SettingsError::is_usage)
    })
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'a Report,
}

/// Lines of a log that people are shown; a document has all that are kept.
const SHOWN_LOG: usize = 8;

/// An error for people and programs.
#[derive(Debug, Serialize)]
struct Report {
    message: String,
    /// What lies beneath it, the nearest first.
    causes: Vec<String>,
    /// What was tried, where several things were.
    tried: Vec<String>,
    /// What to do about it, the likeliest first.
    hints: Vec<String>,
    /// The last lines of llama-server's log, where that is what failed.
    log: Vec<String>,
}

impl Report {
    fn of(error: &anyhow::Error) -> Self {
        let mut report = Self {
            message: first_line(&error.to_string()),
            causes: Vec::new(),
            tried: Vec::new(),
            hints: Vec::new(),
            log: Vec::new(),
        };
        let mut last = report.message.clone();
        for cause in error.chain().skip(1) {
            let text = first_line(&cause.to_string());
            // Many errors repeat what lies beneath them.
            if !last.contains(&text) {
                report.causes.push(text.clone());
            }
            last = text;
        }
        for cause in error.chain() {
            let (hints, tried, log) = advice(cause);
            for hint in hints {
                if !report.hints.contains(&hint) {
                    report.hints.push(hint);
                }
            }
            report.tried.extend(tried);
            report.log.extend(log);
        }
        report
    }

    fn text(&self, style: Style) -> String {
        let mut lines = vec![format!("{}: {}", style.red("error"), self.message)];
        let part = |lines: &mut Vec<String>, title: String, texts: &[String]| {
            lines.extend(texts.iter().map(|text| format!("  {title}: {text}")));
        };
        part(&mut lines, style.faint("because"), &self.causes);
        part(&mut lines, style.cyan("hint"), &self.hints);
        part(&mut lines, style.faint("tried"), &self.tried);
        if !self.log.is_empty() {
            lines.push(format!("  {}:", style.faint("llama-server's last lines")));
            let shown = self.log.len().saturating_sub(SHOWN_LOG);
            lines.extend(
                self.log
                    .iter()
                    .skip(shown)
                    .map(|line| format!("    {line}")),
            );
        }
        lines.join("\n")
    }
}

/// The message itself. Errors of a server carry its log after it, which is told apart here.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.strip_suffix("; its last log lines:")
        .unwrap_or(line)
        .to_owned()
}

/// Hints, what was tried and log lines of one error in a chain.
fn advice(cause: &(dyn std::error::Error + 'static)) -> (Vec<String>, Vec<String>, Vec<String>) {
    if let Some(error) = cause.downcast_ref::<llamatelemetry::Error>() {
        let tried = error.attempts().iter().filter_map(told).collect();
        return (error.hints(), tried, error.server_log().to_vec());
    }
    if let Some(error) = cause.downcast_ref::<RuntimeError>() {
        let attempts = match error {
            RuntimeError::NoneUsable { attempts, .. } => attempts.as_slice(),
            _ => &[],
        };
        let tried = attempts.iter().filter_map(told).collect();
        return (error.hints(), tried, Vec::new());
    }
    let hints = if let Some(error) = cause.downcast_ref::<ModelError>() {
        error.hints()
    } else if let Some(error) = cause.downcast_ref::<FetchError>() {
        error.hints()
    } else if let Some(error) = cause.downcast_ref::<SettingsError>() {
        error.hints()
    } else if let Some(error) = cause.downcast_ref::<GgufError>() {
        error.hints()
    } else if let Some(error) = cause.downcast_ref::<RecordedError>() {
        error.hints()
    } else if let Some(error) = cause.downcast_ref::<StoreError>() {
        error.hints()
    } else if let Some(error) = cause.downcast_ref::<Usage>() {
        error.hints.clone()
    } else {
        Vec::new()
    };
    (hints, Vec::new(), Vec::new())
}

/// An attempt that failed, in words.
fn told(attempt: &Attempt) -> Option<String> {
    matches!(attempt.verdict, Verdict::Refused | Verdict::Skipped).then(|| {
        let title = attempt.step.title();
        if matches!(attempt.subject.as_str(), "" | "-") || attempt.subject == title {
            format!("{title}: {}", attempt.reason)
        } else {
            format!("{title} ({}): {}", attempt.subject, attempt.reason)
        }
    })
}
