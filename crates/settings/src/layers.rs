//! Layers: default < config file < environment < flags.

use crate::{
    Environment, Home, Mirrors, ModelSettings, NetworkSettings, RuntimeSettings, Secret,
    ServerSettings, Settings, SettingsError, TelemetrySettings,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What was typed on the command line. `None` means: not typed.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--offline`
    pub offline: Option<bool>,
}

/// Which layer a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The config file.
    ConfigFile(PathBuf),
    /// An environment variable of this name.
    Environment(&'static str),
    /// A command-line flag.
    Flag(&'static str),
}

/// The origin of each setting, by its key.
pub type Origins = BTreeMap<&'static str, Origin>;

/// One line of `llt config show`.
#[derive(Debug, Clone)]
pub struct SettingRow {
    /// The key, as in the config file: `network.offline`.
    pub key: &'static str,
    /// The value as text, secrets hidden.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Settings with the origin of each.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// Where each came from.
    pub origins: Origins,
}

/// Resolves all layers.
pub fn resolve(environment: Environment, flags: &Flags) -> Result<Resolved, SettingsError> {
    let home_dir = PathBuf::from(environment.get_os("HOME").unwrap_or_default());
    let root = environment.get_os("LLAMATELEMETRY_HOME").map_or_else(
        || home_dir.join(".local/share/llamatelemetry"),
        PathBuf::from,
    );
    let hub_cache = environment
        .get_os("LLAMA_CACHE")
        .or_else(|| environment.get_os("HF_HUB_CACHE"))
        .or_else(|| environment.get_os("HUGGINGFACE_HUB_CACHE"))
        .map(PathBuf::from)
        .or_else(|| {
            environment
                .get_os("HF_HOME")
                .map(|home| PathBuf::from(home).join("hub"))
        })
        .unwrap_or_else(|| home_dir.join(".cache/huggingface/hub"));
    let settings = Settings {
        home: Home::new(root),
        network: NetworkSettings {
            offline: flags.offline.unwrap_or(false),
            give_up_after: Duration::from_secs(5),
            connections: 8,
            mirrors: Mirrors {
                releases: None,
                hub: environment.get("HF_ENDPOINT").map(Into::into),
            },
        },
        runtime: RuntimeSettings {
            server_path: environment.get_os("LLAMA_SERVER_PATH").map(PathBuf::from),
            ..RuntimeSettings::default()
        },
        models: ModelSettings {
            hub_token: environment.get("HF_TOKEN").map(Secret::new),
            hub_cache,
            folders: Vec::new(),
        },
        server: ServerSettings::default(),
        telemetry: TelemetrySettings {
            otel: environment
                .iter()
                .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
                .filter(|(name, _)| name.starts_with("OTEL_"))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..TelemetrySettings::default()
        },
        environment,
    };
    Ok(Resolved {
        settings,
        origins: Origins::new(),
    })
}
