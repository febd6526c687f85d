//! Every choice a user can make, where each came from, and the folder that state lives in.
//!
//! Layers, weakest first: built-in default < config file < environment < command-line flag.
//! [`Settings`] is the plain result that other crates read; [`Origins`] tells which layer each
//! value came from. The process environment is read in exactly one place,
//! [`Environment::from_process`], and every variable that is read stands in [`VARIABLES`].

mod environment;
mod error;
mod home;
mod layers;
mod secret;
mod values;
mod variables;

pub use environment::Environment;
pub use error::SettingsError;
pub use home::{FileLock, Home};
pub use layers::{Flags, Origin, Origins, Resolved, SettingRow, resolve};
pub use secret::Secret;
pub use values::{
    BackendChoice, GpuLayers, Mirrors, ModelSettings, NetworkSettings, RuntimeSettings,
    ServerSettings, Settings, TelemetrySettings,
};
pub use variables::{VARIABLES, Variable};
