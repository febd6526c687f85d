//! `llt config show`

use super::Session;
use crate::args::ConfigCommand;
use crate::outcome::{ExitStatus, Usage};
use crate::table::Table;
use llamatelemetry_settings::{Origin, SettingRow, nearest_settings};
use serde::Serialize;
use std::path::PathBuf;

pub(crate) fn config(command: &ConfigCommand, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        ConfigCommand::Show { key, origin } => show(key.as_deref(), *origin, session),
    }
}

#[derive(Serialize)]
struct Shown {
    /// The config file that was read, if there is one.
    config_file: Option<PathBuf>,
    settings: Vec<ShownSetting>,
    /// What is odd but does no harm.
    notices: Vec<String>,
}

/// A setting for documents.
#[derive(Serialize)]
pub(super) struct ShownSetting {
    key: String,
    value: serde_json::Value,
    origin: ShownOrigin,
}

#[derive(Serialize)]
struct ShownOrigin {
    layer: &'static str,
    /// The variable, flag or file.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

impl From<&Origin> for ShownOrigin {
    fn from(origin: &Origin) -> Self {
        let (layer, source) = match origin {
            Origin::Default => ("default", None),
            Origin::ConfigFile(path) => ("config_file", Some(path.display().to_string())),
            Origin::TokenFile(path) => ("token_file", Some(path.display().to_string())),
            Origin::Environment(name) => ("environment", Some((*name).to_owned())),
            Origin::Flag(name) => ("flag", Some(format!("--{name}"))),
        };
        Self { layer, source }
    }
}

/// Settings with their origins; secrets are hidden.
pub(super) fn settings(rows: Vec<SettingRow>) -> Vec<ShownSetting> {
    let shown = rows.into_iter().map(|row| ShownSetting {
        origin: (&row.origin).into(),
        key: row.key,
        value: row.json,
    });
    shown.collect()
}

fn show(key: Option<&str>, origin: bool, session: &Session) -> anyhow::Result<ExitStatus> {
    let rows: Vec<SettingRow> = session
        .resolved
        .rows()
        .into_iter()
        .filter(|row| key.is_none_or(|key| row.key.contains(key)))
        .collect();
    if let (true, Some(key)) = (rows.is_empty(), key) {
        let mut usage = Usage::new(format!("no setting's key contains `{key}`"));
        for near in nearest_settings(key) {
            usage = usage.hint(format!("did you mean `{near}`?"));
        }
        return Err(usage.into());
    }
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&Shown {
            config_file: session.resolved.config_file.clone(),
            settings: settings(rows),
            notices: session.resolved.notices.clone(),
        })?;
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::new().left("setting").left("value");
    if origin {
        table = table.left("origin");
    }
    for row in rows {
        let origin = row.origin.to_string();
        table.row([row.key, row.value, origin]);
    }
    printer.table(&table)?;
    Ok(ExitStatus::Done)
}
