//! The feature `telemetry` is off: the names are there and say so.

use crate::Error;
use crate::error::Cause;
use llamatelemetry_record::Sink;
use llamatelemetry_settings::Settings;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A telemetry pipeline, which this build cannot make.
#[derive(Debug)]
pub struct TelemetryHandle(std::convert::Infallible);

/// Refuses: this build has no telemetry.
pub fn setup_telemetry(
    _settings: &Settings,
    _console: Box<dyn Write + Send>,
) -> Result<TelemetryHandle, Error> {
    Err(Cause::NoTelemetry.into())
}

impl TelemetryHandle {
    /// Where records go in.
    pub fn sink(&self) -> Arc<dyn Sink> {
        match self.0 {}
    }

    /// Where Prometheus may scrape metrics, if anywhere.
    pub fn prometheus(&self) -> Option<SocketAddr> {
        match self.0 {}
    }

    /// What was asked for by variables and is not done, in sentences.
    pub fn notices(&self) -> &[String] {
        match self.0 {}
    }

    /// Sends what is waiting, for at most this long, and ends the pipeline. Returns what was lost
    /// and why, if anything was.
    pub fn shutdown(&self, _limit: Duration) -> Option<String> {
        match self.0 {}
    }
}
