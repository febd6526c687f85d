//! Layers: default < config file < environment < flags.

use crate::field::Context;
use crate::file::{ConfigFile, Target};
use crate::served_model::{MODEL_FIELDS, MODELS_TABLE, ServedModel};
use crate::table::{Fallback, OTEL_TABLE, SETTINGS, Setting, setting};
use crate::{Environment, Settings, SettingsError, guard, nearest_settings, redact, variables};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use toml::de::DeValue;

/// What was typed on the command line, by the key of the setting.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    typed: BTreeMap<&'static str, Vec<OsString>>,
    config: Option<PathBuf>,
}

impl Flags {
    /// Takes the config file that was named on the command line.
    pub fn set_config(&mut self, path: PathBuf) {
        self.config = Some(path);
    }

    /// Adds what was typed for a setting; a list takes several.
    pub fn set(&mut self, key: &str, text: impl Into<OsString>) -> Result<(), SettingsError> {
        let known = setting(key).ok_or_else(|| SettingsError::NoSuchSetting {
            key: key.to_owned(),
            nearest: nearest_settings(key),
        })?;
        self.typed.entry(known.key).or_default().push(text.into());
        Ok(())
    }

    /// The same flags with one more.
    pub fn with(mut self, key: &str, text: impl Into<OsString>) -> Result<Self, SettingsError> {
        self.set(key, text)?;
        Ok(self)
    }
}

/// Which layer a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The config file.
    ConfigFile(PathBuf),
    /// The file in which the model hub's own tools keep their token.
    TokenFile(PathBuf),
    /// An environment variable of this name.
    Environment(&'static str),
    /// A command-line flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::ConfigFile(path) | Self::TokenFile(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// The origin of each setting, by its key.
pub type Origins = BTreeMap<&'static str, Origin>;

/// One line of `llt config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingRow {
    /// The key, as in the config file: `network.offline`.
    pub key: String,
    /// The value for documents; null where nothing is set. Secrets are hidden.
    pub json: serde_json::Value,
    /// The value as text; where nothing is set, what that means, in brackets.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What the setting does, in one sentence.
    pub what: &'static str,
}

/// Settings with the origin of each.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// Where each came from.
    pub origins: Origins,
    /// The config file that was read, if there was one.
    pub config_file: Option<PathBuf>,
    /// What is odd but does no harm: misspelt variables, a token that others can read.
    pub notices: Vec<String>,
    otel_origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// Every setting with its value and origin, in the table's order.
    pub fn rows(&self) -> Vec<SettingRow> {
        let plain = SETTINGS.iter().map(|setting| {
            let json = (setting.field.shown)(&self.settings);
            SettingRow {
                key: setting.key.to_owned(),
                value: shown_text(&json, setting),
                json,
                origin: self
                    .origins
                    .get(setting.key)
                    .cloned()
                    .unwrap_or(Origin::Default),
                what: setting.what,
            }
        });
        let otel = self.settings.telemetry.otel.iter().map(|(name, value)| {
            let value = redact::variable(name, value);
            SettingRow {
                key: format!("{OTEL_TABLE}.{name}"),
                json: value.clone().into(),
                value,
                origin: self
                    .otel_origins
                    .get(name)
                    .cloned()
                    .unwrap_or(Origin::Default),
                what: variables::what_otel(name),
            }
        });
        plain.chain(self.model_rows()).chain(otel).collect()
    }

    /// What the config file says of each model.
    fn model_rows(&self) -> impl Iterator<Item = SettingRow> {
        let origin = self
            .config_file
            .clone()
            .map_or(Origin::Default, Origin::ConfigFile);
        let unset = ServedModel::default();
        let models = self.settings.serve.models.iter();
        models.flat_map(move |(name, model)| {
            let said = MODEL_FIELDS.iter().filter_map(|field| {
                let json = (field.shown)(model);
                (json != (field.shown)(&unset)).then(|| SettingRow {
                    key: format!("{MODELS_TABLE}.{}.{}", quoted(name), field.key),
                    value: plain_text(&json),
                    json,
                    origin: origin.clone(),
                    what: field.what,
                })
            });
            said.collect::<Vec<_>>()
        })
    }
}

/// A part of a key as TOML writes it: in quotes where it is not a bare word.
fn quoted(name: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn shown_text(json: &serde_json::Value, setting: &Setting) -> String {
    use serde_json::Value;
    match json {
        Value::Null => match setting.default {
            Fallback::Unset(meaning) => format!("({meaning})"),
            _ => "(none)".to_owned(),
        },
        json => plain_text(json),
    }
}

fn plain_text(json: &serde_json::Value) -> String {
    use serde_json::Value;
    match json {
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(plain_text).collect();
            texts.join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Resolves all layers.
pub fn resolve(environment: Environment, flags: &Flags) -> Result<Resolved, SettingsError> {
    let user_home = environment.user_home();
    let mut layers = Layers {
        settings: Settings::before_layers(environment.clone()),
        origins: Origins::new(),
        notices: variables::misspelt(&environment)
            .iter()
            .map(ToString::to_string)
            .collect(),
        user_home,
        environment,
    };
    // The home comes first, for the config file lies in it.
    if let Some(home) = setting("home") {
        layers.default(home)?;
        layers.environment(home)?;
        layers.flag(home, flags)?;
    }
    if layers.settings.home.root().as_os_str().is_empty() {
        return Err(SettingsError::NoHome);
    }
    let file = layers.config_file(flags)?;
    let rest = || SETTINGS.iter().filter(|setting| setting.key != "home");
    for setting in rest() {
        layers.default(setting)?;
    }
    let mut otel_origins = match &file {
        Some(file) => layers.file(file)?,
        None => BTreeMap::new(),
    };
    layers.otel(&mut otel_origins);
    for setting in rest() {
        layers.environment(setting)?;
        layers.flag(setting, flags)?;
    }
    if layers.settings.models.hub_cache.as_os_str().is_empty() {
        // No variable and no user's folder: the cache is then ours alone.
        layers.settings.models.hub_cache = layers.settings.home.cache().join("huggingface/hub");
    }
    Ok(Resolved {
        settings: layers.settings,
        origins: layers.origins,
        config_file: file.map(|file| file.path),
        notices: layers.notices,
        otel_origins,
    })
}

struct Layers {
    settings: Settings,
    origins: Origins,
    notices: Vec<String>,
    user_home: Option<PathBuf>,
    environment: Environment,
}

impl Layers {
    fn default(&mut self, setting: &'static Setting) -> Result<(), SettingsError> {
        if let Fallback::Value(text) = setting.default
            && !text.is_empty()
        {
            self.store_text(setting, OsStr::new(text), Origin::Default)?;
        }
        if let Some(lookup) = setting.lookup
            && let Some(found) = lookup(&self.environment, &mut self.notices)
        {
            self.store_text(setting, &found.value, found.origin)?;
        }
        Ok(())
    }

    fn environment(&mut self, setting: &'static Setting) -> Result<(), SettingsError> {
        for source in setting.variables {
            let Some(value) = source.read(&self.environment) else {
                continue;
            };
            match self.store_text(setting, &value, Origin::Environment(source.variable)) {
                Ok(()) => return Ok(()),
                Err(error) if source.is_ours() => return Err(error),
                Err(error) => self.notices.push(format!("ignored: {error}")),
            }
        }
        Ok(())
    }

    fn flag(&mut self, setting: &'static Setting, flags: &Flags) -> Result<(), SettingsError> {
        let Some(texts) = flags.typed.get(setting.key) else {
            return Ok(());
        };
        let name = setting.flag.map_or(setting.key, |flag| flag.long);
        self.store_texts(setting, texts, Origin::Flag(name))
    }

    fn config_file(&self, flags: &Flags) -> Result<Option<ConfigFile>, SettingsError> {
        let named = flags.config.clone().or_else(|| {
            self.environment
                .get_os("LLAMATELEMETRY_CONFIG")
                .map(PathBuf::from)
        });
        match named {
            Some(path) => ConfigFile::read(path, true),
            None => ConfigFile::read(self.settings.home.config_file(), false),
        }
    }

    /// Applies a config file; returns where its standard variables came from.
    fn file(&mut self, file: &ConfigFile) -> Result<BTreeMap<String, Origin>, SettingsError> {
        let mut otel_origins = BTreeMap::new();
        let user_home = self.user_home.clone();
        let at = Context {
            folder: file.folder(),
            user_home: user_home.as_deref(),
        };
        let origin = || Origin::ConfigFile(file.path.clone());
        for entry in file.entries()? {
            match entry.target {
                Target::Setting(setting) => {
                    if setting.secret {
                        guard::check_secret(&file.path, setting.key)?;
                    }
                    if !(setting.field.set_toml)(&mut self.settings, entry.value.get_ref(), &at) {
                        let found = file.text_of(&entry.value);
                        return Err(self.wrong(setting, found, origin(), Some(entry.line)));
                    }
                    self.origins.insert(setting.key, origin());
                }
                Target::Model(name) => {
                    self.model(file, name, entry.value.into_inner(), &at)?;
                }
                Target::Otel(name) => {
                    if redact::is_secret(&name) {
                        guard::check_secret(&file.path, OTEL_TABLE)?;
                    }
                    let Some(text) = entry.value.get_ref().as_str() else {
                        return Err(SettingsError::Value {
                            key: OTEL_TABLE,
                            expected: format!("a text for {name}"),
                            found: None,
                            origin: origin(),
                            line: Some(entry.line),
                        });
                    };
                    otel_origins.insert(name.clone(), origin());
                    self.settings.telemetry.otel.insert(name, text.to_owned());
                }
            }
        }
        Ok(otel_origins)
    }

    /// One table of a model.
    fn model(
        &mut self,
        file: &ConfigFile,
        name: String,
        table: DeValue<'_>,
        at: &Context<'_>,
    ) -> Result<(), SettingsError> {
        let mut model = ServedModel::default();
        let DeValue::Table(fields) = table else {
            return Ok(());
        };
        for (key, value) in fields {
            let line = file.line(key.span().start);
            let known = MODEL_FIELDS
                .iter()
                .find(|field| field.key == key.get_ref().as_ref());
            let Some(field) = known else {
                return Err(file.unknown(format!("{MODELS_TABLE}.{name}.{}", key.get_ref()), line));
            };
            if !(field.set)(&mut model, value.get_ref(), at) {
                return Err(SettingsError::ModelValue {
                    model: name.into(),
                    key: field.key,
                    expected: (field.expected)(),
                    found: file.text_of(&value).into(),
                    path: file.path.clone(),
                    line,
                });
            }
        }
        self.settings.serve.models.insert(name, model);
        Ok(())
    }

    /// The standard variables of the environment, over those of the file.
    fn otel(&mut self, origins: &mut BTreeMap<String, Origin>) {
        for (name, value) in self.environment.iter() {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
                continue;
            };
            if !name.starts_with("OTEL_") || value.is_empty() {
                continue;
            }
            let known = variables::variable(name).map_or("OTEL_*", |variable| variable.name);
            origins.insert(name.to_owned(), Origin::Environment(known));
            self.settings
                .telemetry
                .otel
                .insert(name.to_owned(), value.to_owned());
        }
    }

    /// Stores what a variable says: a list in one text.
    fn store_text(
        &mut self,
        setting: &'static Setting,
        text: &OsStr,
        origin: Origin,
    ) -> Result<(), SettingsError> {
        let stored = (setting.field.set_text)(&mut self.settings, text, &Context::default());
        self.stored(stored, setting, text, origin)
    }

    /// Stores what a flag says: one item of a list a time it is typed.
    fn store_texts(
        &mut self,
        setting: &'static Setting,
        texts: &[OsString],
        origin: Origin,
    ) -> Result<(), SettingsError> {
        // The shell has expanded `~` and given relative paths their meaning.
        let stored = (setting.field.set_texts)(&mut self.settings, texts, &Context::default());
        let last = texts.last().map(OsString::as_os_str).unwrap_or_default();
        self.stored(stored, setting, last, origin)
    }

    fn stored(
        &mut self,
        stored: bool,
        setting: &'static Setting,
        text: &OsStr,
        origin: Origin,
    ) -> Result<(), SettingsError> {
        if stored {
            self.origins.insert(setting.key, origin);
            return Ok(());
        }
        let found = text.to_string_lossy().into_owned();
        Err(self.wrong(setting, found, origin, None))
    }

    fn wrong(
        &self,
        setting: &'static Setting,
        found: String,
        origin: Origin,
        line: Option<usize>,
    ) -> SettingsError {
        SettingsError::Value {
            key: setting.key,
            expected: (setting.field.expected)(&self.settings).to_owned(),
            found: (!setting.secret).then_some(found),
            origin,
            line,
        }
    }
}
