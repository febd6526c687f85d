//! Every choice a user can make, where each came from, and the folder that state lives in.
//!
//! Layers, weakest first: built-in default < config file < environment < command-line flag.
//! [`Settings`] is the plain result that other crates read; [`Origins`] tells which layer each
//! value came from. The process environment is read in exactly one place,
//! [`Environment::from_process`], and every variable that is read stands in [`VARIABLES`].

mod byte_size;
mod capture;
mod environment;
mod error;
mod field;
mod file;
mod guard;
mod home;
mod layers;
mod nearest;
mod pages;
pub mod redact;
mod secret;
mod served_model;
mod source;
mod table;
mod values;
mod variables;

pub use byte_size::ByteSize;
pub use capture::CaptureContent;
pub use environment::Environment;
pub use error::SettingsError;
pub use field::duration;
pub use home::{FileLock, Home};
pub use layers::{Flags, Origin, Origins, Resolved, SettingRow, resolve};
pub use nearest::nearest;
pub use pages::{models_reference, settings_reference, variables_reference};
pub use secret::Secret;
pub use served_model::{KeepAlive, ServedModel};
pub use source::Source;
pub use table::{Fallback, Flag, FlagGroup, SETTINGS, Setting, nearest_settings, setting};
pub use values::{
    BackendChoice, Bootstrap, ConventionsProfile, GpuLayers, LogLevel, Mirrors, ModelSettings,
    NetworkSettings, RuntimeSettings, ServeSettings, ServerSettings, Settings, TelemetryBackend,
    TelemetrySettings,
};
pub use variables::{Family, Misspelt, VARIABLES, Variable, misspelt, variable};
