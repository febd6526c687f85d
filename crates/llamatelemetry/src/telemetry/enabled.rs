//! The feature `telemetry` is on.

use crate::Error;
use crate::error::Cause;
use llamatelemetry_machine::{Machine, SamplerConfig};
use llamatelemetry_record::Sink;
use llamatelemetry_settings::{LogLevel, Settings};
use llamatelemetry_telemetry::{LogTap, ResourceFacts, Telemetry, energy::Totals as EnergyTotals};
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A running telemetry pipeline. Pass [`TelemetryHandle::sink`] to
/// [`LoadOptions::with_sink`](crate::LoadOptions::with_sink); shut it down before the program ends.
pub struct TelemetryHandle {
    telemetry: Arc<Telemetry>,
}

/// Starts the pipeline that the settings and the standard `OTEL_*` variables ask for: spans to
/// `console` if that is on, over OTLP if an endpoint is named.
pub fn setup_telemetry(
    settings: &Settings,
    console: Box<dyn Write + Send>,
) -> Result<TelemetryHandle, Error> {
    let facts = ResourceFacts {
        machine: Some(Machine::probe),
        sampler: Some(SamplerConfig::this_machine),
        // Where there is no such folder this program looks for itself alone.
        sampler_folder: llamatelemetry_server::runtime_folder(&settings.environment).ok(),
        ..ResourceFacts::default()
    };
    let telemetry = Telemetry::setup(settings, facts, Some(console)).map_err(Cause::Telemetry)?;
    Ok(TelemetryHandle {
        telemetry: Arc::new(telemetry),
    })
}

impl TelemetryHandle {
    /// Where records go in.
    pub fn sink(&self) -> Arc<dyn Sink> {
        self.telemetry.clone()
    }

    /// From now on this program's own `tracing` events are log records too, if signals go
    /// anywhere: those that pass the tap, which the program has added to its own subscriber.
    pub fn take_logs(&self, tap: &LogTap, level: LogLevel) {
        if self.telemetry.is_active() {
            tap.connect(&self.sink(), level);
        }
    }

    /// Where Prometheus may scrape metrics, if anywhere.
    pub fn prometheus(&self) -> Option<SocketAddr> {
        self.telemetry.prometheus()
    }

    /// What was asked for by variables and is not done, in sentences.
    pub fn notices(&self) -> &[String] {
        self.telemetry.notices()
    }

    /// The pipeline itself, for whoever shows what it knows.
    pub fn pipeline(&self) -> Arc<Telemetry> {
        self.telemetry.clone()
    }

    /// Joules of this machine's devices since the start; `None` where nothing measures them.
    pub fn energy_totals(&self) -> Option<EnergyTotals> {
        self.telemetry.energy_totals()
    }

    /// Sends what is waiting, for at most this long, and ends the pipeline. Returns what was lost
    /// and why, if anything was.
    pub fn shutdown(&self, limit: Duration) -> Option<String> {
        self.telemetry.shutdown(limit);
        self.telemetry.loss()
    }
}

impl fmt::Debug for TelemetryHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryHandle").finish_non_exhaustive()
    }
}
