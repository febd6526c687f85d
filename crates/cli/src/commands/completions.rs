//! `llt completions`

use super::Session;
use crate::args::CompletionsArgs;
use crate::outcome::ExitStatus;
use serde::Serialize;

#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

pub(crate) fn completions(args: &CompletionsArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::command(), "llt", &mut script);
    let script = String::from_utf8(script)?;
    if session.printer.is_json() {
        let shell = args.shell.to_string();
        session.printer.document(&Script { shell, script })?;
    } else {
        session.printer.data(&script)?;
    }
    Ok(ExitStatus::Done)
}
