//! The parts of `docs/` that the tables write; `cargo xtask generate` puts them there.

use crate::Settings;
use crate::served_model::MODEL_FIELDS;
use crate::table::{Fallback, SETTINGS, Setting};
use crate::variables::{Family, VARIABLES};
use std::fmt::Write as _;

/// Every setting, for `docs/settings.md`.
pub fn settings_reference() -> String {
    let mut page = String::new();
    for setting in SETTINGS {
        one_setting(&mut page, setting);
    }
    page
}

fn one_setting(page: &mut String, setting: &Setting) {
    let blank = Settings::before_layers(crate::Environment::default());
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        page.write_fmt(text).unwrap_or_default();
        page.push('\n');
    };
    line(format_args!("## `{}`\n\n{}\n", setting.key, setting.what));
    line(format_args!(
        "- Value: {}",
        (setting.field.expected)(&blank)
    ));
    match setting.default {
        Fallback::Value("") => line(format_args!("- Default: none")),
        Fallback::Value(value) => line(format_args!("- Default: `{value}`")),
        Fallback::Unset(meaning) => line(format_args!("- Default: not set ({meaning})")),
        Fallback::Found(place) => line(format_args!("- Default: {place}")),
    }
    let variables: Vec<String> = setting
        .variables
        .iter()
        .map(|source| match source.below {
            Some(below) => format!("`{below}` in `{}`", source.variable),
            None => format!("`{}`", source.variable),
        })
        .collect();
    if !variables.is_empty() {
        line(format_args!("- Environment: {}", variables.join(", then ")));
    }
    if let Some(flag) = setting.flag {
        let value = match (flag.words.first(), flag.value) {
            (Some((word, _)), _) => format!(" {word}"),
            (None, Some(value)) => format!(" {value}"),
            (None, None) => String::new(),
        };
        line(format_args!("- Flag: `--{}{value}`", flag.long));
    }
    if !setting.in_file {
        line(format_args!("- Not in the config file"));
    }
    line(format_args!(""));
}

/// Every key of a model's table, for `docs/settings.md`.
pub fn models_reference() -> String {
    let mut page = String::from("| key | what it does | value |\n|---|---|---|\n");
    for field in MODEL_FIELDS {
        let (key, what, expected) = (field.key, field.what, (field.expected)());
        // Writing to a String cannot fail.
        page.write_fmt(format_args!("| `{key}` | {what} | {expected} |\n"))
            .unwrap_or_default();
    }
    page
}

/// Every variable, for `docs/environment.md`.
pub fn variables_reference() -> String {
    let mut page = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        page.write_fmt(text).unwrap_or_default();
        page.push('\n');
    };
    let mut family = None;
    for variable in VARIABLES.iter() {
        if family != Some(variable.family) {
            if family.is_some() {
                line(format_args!(""));
            }
            family = Some(variable.family);
            line(format_args!("## {}\n", title(variable.family)));
            line(format_args!(
                "| variable | what it does | setting |\n|---|---|---|"
            ));
        }
        let key = variable
            .key
            .map(|key| format!("[`{key}`](settings.md#{})", key.replace('.', "")))
            .unwrap_or_default();
        let (name, what) = (variable.name, variable.what);
        line(format_args!("| `{name}` | {what} | {key} |"));
    }
    page
}

fn title(family: Family) -> &'static str {
    match family {
        Family::Ours => "Ours",
        Family::Llama => "llama.cpp's",
        Family::Hub => "The model hub's",
        Family::OpenTelemetry => "OpenTelemetry's",
        Family::Backends => "Telemetry backends'",
        Family::Network => "Proxies and certificates",
        Family::Programs => "Compilers and other programs",
        Family::System => "Terminal and system",
    }
}
