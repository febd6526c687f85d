//! `llt keys`

use super::Session;
use crate::args::{KeyArgs, KeysCommand};
use crate::outcome::ExitStatus;
use crate::table::Table;
use llamatelemetry_gateway::{KeyEntry, KeyFile, NewKey};
use llamatelemetry_telemetry::recorded::Moment;
use serde::Serialize;

/// A key for documents. What it is known by is nobody's business.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    created: Moment,
    expires: Option<Moment>,
    models: &'a [String],
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Added<'a> {
    key: &'a str,
    #[serde(flatten)]
    shown: Shown<'a>,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    keys: Vec<Shown<'a>>,
}

pub(crate) fn keys(command: &KeysCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    let file = KeyFile::of(&session.settings().home);
    match command {
        KeysCommand::Add(args) => add(&file, args, session)?,
        KeysCommand::List => list(&file, session)?,
        KeysCommand::Revoke { name } => revoke(&file, name, session)?,
    }
    Ok(ExitStatus::Done)
}

fn add(file: &KeyFile, args: &KeyArgs, session: &Session) -> anyhow::Result<()> {
    let (entry, key) = file.add(NewKey {
        name: args.name.clone(),
        lifetime: args.expires,
        models: args.model.clone(),
        requests_per_minute: args.requests_per_minute,
        tokens_per_minute: args.tokens_per_minute,
    })?;
    super::ps::reload_all(session)?;
    let printer = &session.printer;
    if printer.is_json() {
        let (key, shown) = (key.expose(), shown(&entry));
        printer.document(&Added { key, shown })?;
    } else {
        printer.line(key.expose())?;
        printer.say("keep it: it cannot be shown again");
    }
    Ok(())
}

fn list(file: &KeyFile, session: &Session) -> anyhow::Result<()> {
    let keys = file.list()?;
    let printer = &session.printer;
    if printer.is_json() {
        let keys = keys.iter().map(shown).collect();
        printer.document(&Listed { keys })?;
        return Ok(());
    }
    if keys.is_empty() {
        printer.say("there are no keys; `llt keys add NAME` makes one");
        return Ok(());
    }
    let mut table = Table::new()
        .left("NAME")
        .left("CREATED")
        .left("EXPIRES")
        .right("REQUESTS/MIN")
        .right("TOKENS/MIN")
        .left("MODELS");
    let limit = |limit: Option<u32>| limit.map_or_else(|| "any".to_owned(), |n| n.to_string());
    for key in &keys {
        let models = if key.models.is_empty() {
            "all".to_owned()
        } else {
            key.models.join(", ")
        };
        table.row([
            key.name.clone(),
            moment(key.created).to_seconds(),
            key.expires
                .map_or_else(|| "never".to_owned(), |end| moment(end).to_seconds()),
            limit(key.requests_per_minute),
            limit(key.tokens_per_minute),
            models,
        ]);
    }
    printer.table(&table)?;
    Ok(())
}

fn revoke(file: &KeyFile, name: &str, session: &Session) -> anyhow::Result<()> {
    let entry = file.revoke(name)?;
    super::ps::reload_all(session)?;
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&shown(&entry))?;
    } else {
        printer.say(format!("{name} is taken away"));
    }
    Ok(())
}

fn shown(entry: &KeyEntry) -> Shown<'_> {
    Shown {
        name: &entry.name,
        created: moment(entry.created),
        expires: entry.expires.map(moment),
        models: &entry.models,
        requests_per_minute: entry.requests_per_minute,
        tokens_per_minute: entry.tokens_per_minute,
    }
}

fn moment(seconds_since_1970: u64) -> Moment {
    Moment(seconds_since_1970.saturating_mul(1_000_000_000))
}
