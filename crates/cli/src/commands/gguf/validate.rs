//! `llt gguf validate`

use crate::outcome::ExitStatus;
use crate::printer::Printer;
use crate::quantity;
use llamatelemetry::gguf::{CheckReport, Gguf};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Validation {
    files: Vec<FileCheck>,
}

#[derive(Serialize)]
struct FileCheck {
    path: PathBuf,
    verdict: Verdict,
    /// Why the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<CheckReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Nothing is wrong.
    Sound,
    /// It can be read, but llama.cpp refuses to load it.
    Refused,
    /// It cannot be read.
    Broken,
}

pub(super) fn validate(files: &[PathBuf], printer: &Printer) -> anyhow::Result<ExitStatus> {
    let checks: Vec<FileCheck> = files.iter().map(|path| check(path)).collect();
    let sound = checks.iter().all(|check| check.verdict == Verdict::Sound);
    if printer.is_json() {
        printer.document(&Validation { files: checks })?;
    } else {
        for check in &checks {
            tell(check, printer)?;
        }
    }
    Ok(if sound {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}

fn check(path: &Path) -> FileCheck {
    let checked = Gguf::open(path).and_then(|file| file.check());
    let (verdict, error, report) = match checked {
        Ok(report) if report.refusals().next().is_some() => (Verdict::Refused, None, Some(report)),
        Ok(report) => (Verdict::Sound, None, Some(report)),
        Err(error) => (
            Verdict::Broken,
            Some(format!("{:#}", anyhow::Error::from(error))),
            None,
        ),
    };
    FileCheck {
        path: path.to_owned(),
        verdict,
        error,
        report,
    }
}

fn tell(check: &FileCheck, printer: &Printer) -> std::io::Result<()> {
    let style = printer.style();
    let verdict = match check.verdict {
        Verdict::Sound => style.green("sound"),
        Verdict::Refused => style.yellow("refused by llama.cpp"),
        Verdict::Broken => style.red("broken"),
    };
    printer.line(format!("{}: {verdict}", check.path.display()))?;
    if let Some(error) = &check.error {
        printer.line(format!("  {error}"))?;
    }
    let Some(report) = &check.report else {
        return Ok(());
    };
    printer.line(format!(
        "  {}, {}, {}, {} of tensor data",
        quantity::counted(report.keys, "key"),
        quantity::counted(report.strings, "string"),
        quantity::counted(report.tensors, "tensor"),
        quantity::bytes(report.tensor_bytes),
    ))?;
    for note in &report.notes {
        let refused = if note.refused {
            " (llama.cpp refuses it)"
        } else {
            ""
        };
        printer.line(format!("  byte {}: {}{refused}", note.offset, note.finding))?;
    }
    if report.notes_left_out > 0 {
        printer.line(format!(
            "  and {} more",
            quantity::counted(report.notes_left_out, "note")
        ))?;
    }
    Ok(())
}
