//! llama.cpp: is there one, could one be built, and what would get in its way.

use super::{Finding, Status};
use llamatelemetry::runtime::{Explanation, Lack, Requirement, Verdict, requirements};
use llamatelemetry::server::launches;
use llamatelemetry_fetch::{FetchError, Pip};
use llamatelemetry_settings::Settings;
use std::path::Path;
use std::process::Command;

pub(super) fn runtime(explanation: &Explanation) -> Finding {
    const CHECK: &str = "llama.cpp";
    if let Some(runtime) = &explanation.chosen {
        let detail = format!(
            "{}, {}: {}",
            runtime.build.text,
            runtime.backend,
            runtime.source.title()
        );
        return Finding::good(CHECK, detail);
    }
    let possible = explanation
        .attempts
        .iter()
        .find(|attempt| attempt.verdict == Verdict::Possible);
    if let Some(attempt) = possible {
        let detail = format!("none yet; a load would take {}", attempt.step.title());
        return Finding::new(CHECK, Status::Note, detail)
            .fix(["`llt runtime install` makes it before it is needed"]);
    }
    let reasons: Vec<String> = explanation
        .attempts
        .iter()
        .map(|attempt| format!("{}: {}", attempt.step.title(), attempt.reason))
        .collect();
    let detail = format!("none, and none can be had\n{}", reasons.join("\n"));
    Finding::new(CHECK, Status::Broken, detail).fix(["`llt runtime explain` says more"])
}

/// What a build needs. Where a runtime is there already, nothing of it is missed.
pub(super) fn build(settings: &Settings, have_runtime: bool) -> anyhow::Result<Vec<Finding>> {
    let missing = if have_runtime {
        Status::Note
    } else {
        Status::Broken
    };
    let mut findings: Vec<Finding> = requirements(settings)?
        .into_iter()
        .map(|requirement| one(requirement, missing))
        .collect();
    findings.push(python(settings));
    Ok(findings)
}

fn one(requirement: Requirement, missing: Status) -> Finding {
    let check = match requirement.name.as_str() {
        "C++ compiler" => "compiler",
        "CUDA compiler" => "nvcc",
        "cmake" => "cmake",
        "ninja" => "ninja",
        _ => "build tool",
    };
    let name = &requirement.name;
    match requirement.found {
        Ok(found) => Finding::good(check, found),
        Err(Lack::Fetched { at_least }) => Finding::new(
            check,
            Status::Note,
            format!("no {name} {at_least} or newer; a build fetches one from the registry"),
        ),
        Err(Lack::Optional(error)) => Finding::new(
            check,
            Status::Note,
            format!("{error}; it is needed for builds with CUDA only"),
        ),
        Err(Lack::Missing(error)) => {
            Finding::new(check, missing, error.to_string()).fix(error.hints())
        }
    }
}

fn python(settings: &Settings) -> Finding {
    const CHECK: &str = "python";
    let lacks = |error: &FetchError| {
        Finding::new(CHECK, Status::Warning, error.to_string()).fix(error.hints())
    };
    let pip = match Pip::find(settings) {
        Ok(pip) => pip,
        Err(error) => return lacks(&error),
    };
    let python = pip.python().to_owned();
    match Command::new(&python)
        .args(["-m", "pip", "--version"])
        .output()
    {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let version = text.split(" from ").next().unwrap_or_default().trim();
            Finding::good(CHECK, format!("{version} of {}", python.display()))
        }
        Ok(_) => lacks(&FetchError::PipMissing { python }),
        Err(error) => Finding::new(
            CHECK,
            Status::Warning,
            format!("cannot run {}: {error}", python.display()),
        ),
    }
}

/// llama-server reads this file whatever it is told, and nothing turns that off.
pub(super) fn config_files() -> Finding {
    const CHECK: &str = "config.ini";
    let path = Path::new("/etc/llama.cpp/config.ini");
    if !path.exists() {
        return Finding::good(CHECK, "llama-server has no config file of its own");
    }
    Finding::new(
        CHECK,
        Status::Warning,
        format!(
            "every llama-server of this machine reads {}",
            path.display()
        ),
    )
    .fix(["what it sets and we do not holds: move it away if that is not wanted"])
}

pub(super) fn sockets(settings: &Settings) -> Finding {
    const CHECK: &str = "servers";
    match launches(&settings.environment) {
        Ok(found) => {
            let folder = found.folder.display();
            if found.dead == 0 {
                Finding::good(
                    CHECK,
                    format!("{} running; sockets in {folder}", found.alive),
                )
            } else {
                let detail = format!(
                    "{} running; {} that died left files in {folder}",
                    found.alive, found.dead
                );
                Finding::new(CHECK, Status::Note, detail)
                    .fix(["nothing to do: the next start removes them"])
            }
        }
        Err(error) => Finding::new(CHECK, Status::Broken, error.to_string()).fix(error.hints()),
    }
}
