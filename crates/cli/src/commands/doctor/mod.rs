//! `llt doctor`

mod home;
mod llama;
mod machine;
mod network;

use super::Session;
use crate::outcome::ExitStatus;
use crate::printer::Printer;
use llamatelemetry_settings::misspelt;
use serde::Serialize;

pub(crate) fn doctor(session: &Session) -> anyhow::Result<ExitStatus> {
    let progress = session.printer.progress();
    let machine = llamatelemetry::machine::Machine::probe();
    let mut findings = vec![machine::system(&machine), machine::gpu(&machine)];
    findings.extend(home::checks(session.settings()));
    findings.extend(settings(session));
    let explanation = llamatelemetry::runtime::explain(session.settings(), &progress);
    findings.push(llama::runtime(&explanation));
    findings.extend(llama::build(
        session.settings(),
        explanation.chosen.is_some(),
    )?);
    findings.push(llama::config_files());
    findings.push(llama::sockets(session.settings()));
    findings.extend(network::checks(session.settings())?);
    tell(&findings, &session.printer)
}

/// What was looked at, and what is to be said of it.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    detail: String,
    /// What to do about it, the likeliest first.
    fix: Vec<String>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// All is well.
    Good,
    /// Worth knowing.
    Note,
    /// Something does not work, or will not.
    Warning,
    /// Models cannot run.
    Broken,
}

impl Finding {
    fn new(check: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self {
            check,
            status,
            detail: detail.into(),
            fix: Vec::new(),
        }
    }

    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Good, detail)
    }

    fn fix(mut self, fix: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fix.extend(fix.into_iter().map(Into::into));
        self
    }
}

fn settings(session: &Session) -> Vec<Finding> {
    const CHECK: &str = "settings";
    let read = session.resolved.config_file.as_ref();
    let file = read.map_or_else(
        || "no config file".to_owned(),
        |path| format!("config file {}", path.display()),
    );
    let mut findings = vec![Finding::good(CHECK, file)];
    let misspelt = misspelt(&session.settings().environment);
    for variable in &misspelt {
        let detail = format!("the environment variable {} means nothing", variable.name);
        let fixes = variable
            .nearest
            .iter()
            .map(|name| format!("did you mean {name}?"));
        findings.push(Finding::new(CHECK, Status::Warning, detail).fix(fixes));
    }
    let told: Vec<String> = misspelt.iter().map(ToString::to_string).collect();
    for notice in &session.resolved.notices {
        if !told.contains(notice) {
            findings.push(Finding::new(CHECK, Status::Warning, notice));
        }
    }
    findings
}

#[derive(Serialize)]
struct Document<'a> {
    healthy: bool,
    checks: &'a [Finding],
}

fn tell(findings: &[Finding], printer: &Printer) -> anyhow::Result<ExitStatus> {
    let count = |status| findings.iter().filter(|one| one.status == status).count() as u64;
    let broken = count(Status::Broken);
    if printer.is_json() {
        printer.document(&Document {
            healthy: broken == 0,
            checks: findings,
        })?;
    } else {
        let style = printer.style();
        let width = findings
            .iter()
            .map(|one| one.check.len())
            .max()
            .unwrap_or(0);
        for finding in findings {
            let status = match finding.status {
                Status::Good => style.green("good   "),
                Status::Note => style.cyan("note   "),
                Status::Warning => style.yellow("warning"),
                Status::Broken => style.red("broken "),
            };
            let mut lines = finding.detail.lines();
            let first = lines.next().unwrap_or_default();
            printer.line(format!("{status}  {:width$}  {first}", finding.check))?;
            let indent = " ".repeat(width + 11);
            for line in lines {
                printer.line(format!("{indent}{line}"))?;
            }
            for fix in &finding.fix {
                printer.line(format!("{indent}→ {fix}"))?;
            }
        }
        let warnings = count(Status::Warning);
        printer.say(match (broken, warnings) {
            (0, 0) => "all is well".to_owned(),
            (0, _) => crate::quantity::counted(warnings, "warning"),
            _ => format!(
                "{broken} broken, {}",
                crate::quantity::counted(warnings, "warning")
            ),
        });
    }
    Ok(if broken == 0 {
        ExitStatus::Done
    } else {
        ExitStatus::Failed
    })
}
