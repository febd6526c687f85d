//! Telemetry, where the feature is on; the same names with a plain refusal where it is off.

#[cfg_attr(feature = "telemetry", path = "enabled.rs")]
#[cfg_attr(not(feature = "telemetry"), path = "disabled.rs")]
mod switch;

pub use switch::{TelemetryHandle, setup_telemetry};
