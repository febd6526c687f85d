//! `llt ps` and `llt stop`

use super::Session;
use super::answer::block_on;
use crate::args::StopArgs;
use crate::outcome::ExitStatus;
use crate::quantity;
use crate::table::Table;
use llamatelemetry_gateway::control::{Status, running};
use llamatelemetry_telemetry::recorded::Moment;
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Serialize)]
struct Listed {
    servers: Vec<Status>,
}

#[derive(Debug, Serialize)]
struct Stopped {
    model: Option<String>,
    pids: Vec<u32>,
}

/// Shows each `llt serve` of this home with its models.
pub(crate) fn ps(session: &Session) -> anyhow::Result<ExitStatus> {
    let servers: Vec<Status> = block_on(async {
        let found = running(session.settings()).await?;
        Ok(found.into_iter().map(|running| running.status).collect())
    })?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&Listed { servers })?;
        return Ok(ExitStatus::Done);
    }
    if servers.is_empty() {
        printer.say("nothing runs; `llt serve MODEL` starts a server");
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::new()
        .left("MODEL")
        .left("STATE")
        .right("IN FLIGHT")
        .right("WAITING")
        .right("SLOTS")
        .right("MEMORY")
        .right("PID")
        .left("SINCE")
        .left("AT");
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for server in &servers {
        let since = Moment(server.started.saturating_mul(1_000_000_000)).to_seconds();
        let at = server.url.clone().unwrap_or_else(|| "-".to_owned());
        let pid = server.pid.to_string();
        if server.models.is_empty() {
            let none = ["-".to_owned(), "no model".to_owned()];
            let blank = std::iter::repeat_n("-".to_owned(), 4);
            table.row(none.into_iter().chain(blank).chain([pid, since, at]));
            continue;
        }
        for model in &server.models {
            table.row([
                model.name.clone(),
                model.state.clone().unwrap_or_else(|| "-".to_owned()),
                number(model.in_flight),
                number(model.waiting),
                number(model.slots),
                model
                    .memory_bytes
                    .map_or_else(|| "-".to_owned(), quantity::bytes),
                pid.clone(),
                since.clone(),
                at.clone(),
            ]);
        }
    }
    printer.table(&table)?;
    for server in servers.iter().filter(|server| server.ends_s.is_some()) {
        let left = Duration::try_from_secs_f64(server.ends_s.unwrap_or_default());
        let left = quantity::duration(left.unwrap_or_default());
        printer.say(format!("{} ends in {left} if nobody asks", server.pid));
    }
    Ok(ExitStatus::Done)
}

/// Stops a model, or every server of this home.
pub(crate) fn stop(args: &StopArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let stopped = block_on(async {
        let mut stopped = Vec::new();
        for server in running(session.settings()).await? {
            let told = match &args.model {
                None => server.stop().await.map(|()| true),
                Some(model) if server.serves(model) => server.unload(model).await.map(|()| true),
                Some(_) => Ok(false),
            };
            if told? {
                stopped.push(server.status.pid);
            }
        }
        Ok(stopped)
    })?;
    let printer = &session.printer;
    if let Some(model) = &args.model
        && stopped.is_empty()
    {
        anyhow::bail!("no `llt serve` of this home serves `{model}`");
    }
    if printer.is_json() {
        printer.document(&Stopped {
            model: args.model.clone(),
            pids: stopped,
        })?;
    } else if stopped.is_empty() {
        printer.say("nothing runs");
    } else {
        let what = args.model.as_deref().unwrap_or("servers");
        printer.say(format!(
            "{what}: told to {} to stop",
            quantity::counted(stopped.len() as u64, "process")
        ));
    }
    Ok(ExitStatus::Done)
}

/// Has every server of this home read its settings and keys anew.
pub(super) fn reload_all(session: &Session) -> anyhow::Result<()> {
    let told = block_on(async {
        let servers = running(session.settings()).await?;
        for server in &servers {
            server.reload().await?;
        }
        Ok(servers.len())
    })?;
    if told > 0 {
        let servers = quantity::counted(told as u64, "server");
        session
            .printer
            .say(format!("{servers} told to read the keys anew"));
    }
    Ok(())
}
