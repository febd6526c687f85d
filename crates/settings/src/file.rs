//! The config file: keys with their values and lines.

use crate::served_model::{MODEL_FIELDS, MODELS_TABLE};
use crate::table::{OTEL_TABLE, SETTINGS, Setting, setting};
use crate::{SettingsError, guard, nearest, nearest_settings, variables};
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A config file that has been read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    text: String,
}

/// One value of the file.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) target: Target,
    pub(crate) value: Spanned<DeValue<'a>>,
    pub(crate) line: usize,
}

/// What a key of the file sets.
#[derive(Debug)]
pub(crate) enum Target {
    Setting(&'static Setting),
    /// A standard variable of this name.
    Otel(String),
    /// A model of `llt serve`: its whole table.
    Model(String),
}

impl ConfigFile {
    /// Reads a file. `None` if there is none and it did not have to be there.
    pub(crate) fn read(path: PathBuf, must_exist: bool) -> Result<Option<Self>, SettingsError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if !must_exist && is_absent(&error) => {
                return Ok(None);
            }
            Err(source) => return Err(SettingsError::Read { path, source }),
        };
        guard::check_config(&path)?;
        Ok(Some(Self { path, text }))
    }

    /// The folder that relative paths in the file start from.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// Every value of the file, each with the setting that it is for.
    pub(crate) fn entries(&self) -> Result<Vec<Entry<'_>>, SettingsError> {
        let table = DeTable::parse(&self.text).map_err(|error| SettingsError::Syntax {
            message: error.message().replace('\n', ", "),
            path: self.path.clone(),
            line: self.line(error.span().map_or(0, |span| span.start)),
        })?;
        let mut entries = Vec::new();
        self.collect("", table.into_inner(), &mut entries)?;
        // Line by line, so that the first mistake in the file is the one that is told.
        entries.sort_by_key(|entry| entry.line);
        Ok(entries)
    }

    fn collect<'a>(
        &self,
        prefix: &str,
        table: DeTable<'a>,
        entries: &mut Vec<Entry<'a>>,
    ) -> Result<(), SettingsError> {
        for (name, value) in table {
            let line = self.line(name.span().start);
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let target = match setting(&key) {
                Some(found) if !found.in_file => {
                    return Err(SettingsError::NotInFile {
                        key: found.key,
                        variable: found.variables.first().map_or("", |source| source.variable),
                        path: self.path.clone(),
                        line,
                    });
                }
                Some(found) => Target::Setting(found),
                None if prefix == OTEL_TABLE && variables::is_otel(name.get_ref()) => {
                    Target::Otel(name.get_ref().to_string())
                }
                None if prefix == MODELS_TABLE && value.get_ref().is_table() => {
                    Target::Model(name.get_ref().to_string())
                }
                None => match value.into_inner() {
                    DeValue::Table(inner) if is_prefix(&key) => {
                        self.collect(&key, inner, entries)?;
                        continue;
                    }
                    _ => return Err(self.unknown(key, line)),
                },
            };
            entries.push(Entry {
                target,
                value,
                line,
            });
        }
        Ok(())
    }

    /// A value as written, its first line.
    pub(crate) fn text_of(&self, value: &Spanned<DeValue<'_>>) -> String {
        let text = self.text.get(value.span()).unwrap_or_default();
        text.lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn unknown(&self, key: String, line: usize) -> SettingsError {
        let nearest = if let Some(field) = field_of_model(&key) {
            nearest(field, MODEL_FIELDS.iter().map(|field| field.key), 3)
        } else if let Some(name) = key.strip_prefix("telemetry.otel.") {
            nearest(name, variables::otel_names(), 3)
        } else {
            nearest_settings(&key)
        };
        SettingsError::UnknownKey {
            key,
            nearest,
            path: self.path.clone(),
            line,
        }
    }

    /// The line of a place in the text, counted from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

/// The field in a key below a model's table.
fn field_of_model(key: &str) -> Option<&str> {
    let below = key.strip_prefix(MODELS_TABLE)?.strip_prefix('.')?;
    Some(below.rsplit_once('.')?.1)
}

/// There is no such file; that a folder of its path is none either shows when the home is used.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether settings lie below this key.
fn is_prefix(key: &str) -> bool {
    let below = |whole: &str| {
        whole
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    key == OTEL_TABLE
        || key == MODELS_TABLE
        || below(OTEL_TABLE)
        || SETTINGS.iter().any(|setting| below(setting.key))
}
