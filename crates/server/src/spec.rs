//! What to launch.

use crate::listener::{Listener, Nobody};
use crate::{LogContent, Purpose};
use llamatelemetry_settings::{Environment, ServerSettings, Settings};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A start may be silent for so long, unless the settings say otherwise.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// What to launch.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// The `llama-server` program.
    pub program: PathBuf,
    /// Folders of the runtime's own shared libraries.
    pub library_dirs: Vec<PathBuf>,
    /// The model file; of a split model the first part.
    pub model: PathBuf,
    /// The projector file of a multimodal model.
    pub projector: Option<PathBuf>,
    /// What the server is for.
    pub purpose: Purpose,
    /// The name that the server gives its model.
    pub alias: Option<String>,
    /// Context, slots, devices, further arguments. Its port is read by [`LaunchSpec::new`] only.
    pub options: ServerSettings,
    /// Where the server listens.
    pub listen: Listen,
    /// The caller's environment. Only [`PASSED_ON`](crate::PASSED_ON) of it reaches the server.
    pub environment: Environment,
    /// Variables set for the server on purpose, such as a backend's switches.
    pub extra_environment: Vec<(OsString, OsString)>,
    /// How long the server may give no sign of life while it starts.
    pub start_timeout: Duration,
    /// A folder for what may be thrown away: there it is remembered which flags a build knows.
    pub cache: Option<PathBuf>,
    /// Whether its log lines may quote what clients sent.
    pub log_content: LogContent,
    /// Who hears what happens to the server.
    pub listener: Arc<dyn Listener>,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listen {
    /// On a Unix socket in a private folder. Builds that cannot do that get a TCP port.
    #[default]
    UnixSocket,
    /// On this loopback TCP port, behind a random key; 0 lets the system choose.
    Loopback(u16),
}

impl LaunchSpec {
    /// What the settings say, for this program and model.
    pub fn new(
        program: impl Into<PathBuf>,
        model: impl Into<PathBuf>,
        settings: &Settings,
    ) -> Self {
        Self {
            program: program.into(),
            library_dirs: Vec::new(),
            model: model.into(),
            projector: None,
            purpose: Purpose::Generate,
            alias: None,
            listen: settings
                .server
                .port
                .map_or(Listen::UnixSocket, Listen::Loopback),
            start_timeout: settings.server.start_timeout.unwrap_or(START_TIMEOUT),
            options: settings.server.clone(),
            environment: settings.environment.clone(),
            extra_environment: Vec::new(),
            cache: Some(settings.home.cache()),
            log_content: if settings.telemetry.captures_content() {
                LogContent::Shown
            } else {
                LogContent::Withheld
            },
            listener: Arc::new(Nobody),
        }
    }
}
