//! One model of `llt serve`, as the config file's table `[serve.models.NAME]` says.

use crate::GpuLayers;
use crate::field::{Context, FieldValue, store};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// The config file's table of models.
pub(crate) const MODELS_TABLE: &str = "serve.models";

/// How long a model that nobody asks stays loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// So long.
    For(Duration),
    /// Until its memory is needed or the program ends.
    Always,
}

/// One model of `llt serve`. What is `None` is as the general setting says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServedModel {
    /// What is loaded, by any name that `llt run` takes; `None`: what the table is called.
    pub model: Option<String>,
    /// Further names that requests may use.
    pub aliases: Vec<String>,
    /// It is never unloaded, neither when idle nor for another's sake.
    pub pin: bool,
    /// It is loaded at the start.
    pub preload: bool,
    /// How long it stays loaded when nobody asks it.
    pub idle: Option<KeepAlive>,
    /// Context length in tokens, of all slots together.
    pub context: Option<u32>,
    /// Slots.
    pub parallel: Option<u32>,
    /// Threads that compute.
    pub threads: Option<u32>,
    /// Layers kept on GPUs.
    pub gpu_layers: Option<GpuLayers>,
    /// Devices, by llama.cpp's names: of one server, or shared out among its replicas.
    pub devices: Option<Vec<String>>,
    /// Further arguments for llama-server, after those of the general setting.
    pub extra_args: Vec<String>,
    /// Servers that share the requests; `None`: one.
    pub replicas: Option<u32>,
    /// `LoRA` adapters: each is a model of its own, `NAME:ADAPTER`.
    pub adapters: BTreeMap<String, PathBuf>,
}

/// One key of a model's table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelField {
    pub(crate) key: &'static str,
    pub(crate) what: &'static str,
    pub(crate) expected: fn() -> &'static str,
    /// Stores what the config file says; false if the value cannot be that.
    pub(crate) set: fn(&mut ServedModel, &DeValue<'_>, &Context<'_>) -> bool,
    pub(crate) shown: fn(&ServedModel) -> Value,
}

macro_rules! model_field {
    ($place:ident, $what:literal) => {
        model_field!($place, $what, |_| true)
    };
    ($place:ident, $what:literal, $check:expr) => {
        ModelField {
            key: stringify!($place),
            what: $what,
            expected: || expected(|model: &ServedModel| &model.$place),
            set: |model, value, at| {
                store(&mut model.$place, FieldValue::from_toml(value, at), $check)
            },
            shown: |model| model.$place.shown(),
        }
    };
}

fn expected<T: FieldValue>(_place: fn(&ServedModel) -> &T) -> &'static str {
    T::EXPECTED
}

/// Every key of a model's table, in the order in which people meet them.
pub(crate) const MODEL_FIELDS: &[ModelField] = &[
    model_field!(
        model,
        "What is loaded, by any name that `llt run` takes. Without it: what the table is called."
    ),
    model_field!(aliases, "Further names that requests may use."),
    model_field!(
        pin,
        "Never unload it, neither when idle nor for another model's sake."
    ),
    model_field!(preload, "Load it at the start."),
    model_field!(
        idle,
        "How long it stays loaded when nobody asks it. Without it: `serve.idle`."
    ),
    model_field!(context, "Context length in tokens, of all slots together."),
    model_field!(
        parallel,
        "Slots: requests answered at the same time by one server.",
        |n| *n != Some(0)
    ),
    model_field!(threads, "Threads that compute.", |n| *n != Some(0)),
    model_field!(gpu_layers, "Layers kept on GPUs."),
    model_field!(
        devices,
        "Devices to use, by llama.cpp's names. One server splits the model over all of them; several replicas share them out."
    ),
    model_field!(
        extra_args,
        "Further arguments for llama-server, after those of `server.extra_args`."
    ),
    model_field!(
        replicas,
        "Servers of the same model that share its requests; each takes the memory of one.",
        |n| *n != Some(0)
    ),
    model_field!(
        adapters,
        "LoRA adapters, a name and a file each. Each is served as a model of its own, `NAME:ADAPTER`, by a server of its own."
    ),
];

impl FieldValue for KeepAlive {
    const EXPECTED: &'static str = "a duration such as `5m`, or `always`";
    fn from_text(text: &std::ffi::OsStr, at: &Context<'_>) -> Option<Self> {
        match text.to_str()?.trim() {
            "always" => Some(Self::Always),
            _ => Duration::from_text(text, at).map(Self::For),
        }
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        match value.as_str() {
            Some(text) => Self::from_text(text.as_ref(), at),
            None => Duration::from_toml(value, at).map(Self::For),
        }
    }
    fn shown(&self) -> Value {
        match self {
            Self::For(time) => time.shown(),
            Self::Always => "always".into(),
        }
    }
}

impl FieldValue for BTreeMap<String, PathBuf> {
    const EXPECTED: &'static str = "a table of names and paths";
    fn from_text(_text: &std::ffi::OsStr, _at: &Context<'_>) -> Option<Self> {
        None
    }
    fn from_toml(value: &DeValue<'_>, at: &Context<'_>) -> Option<Self> {
        let entries = value.as_table()?.iter();
        entries
            .map(|(name, path)| {
                let path = PathBuf::from_toml(path.get_ref(), at)?;
                Some((name.get_ref().to_string(), path))
            })
            .collect()
    }
    fn shown(&self) -> Value {
        let entries = self.iter();
        entries
            .map(|(name, path)| (name.clone(), path.shown()))
            .collect()
    }
}
