//! `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER`: where each signal goes.

use super::reader::Variables;
use crate::signal::Signal;

/// Where one signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exporters {
    /// Printed; spans only.
    pub(super) console: bool,
    /// Fetched by Prometheus; metrics only.
    pub(super) prometheus: bool,
    pub(super) otlp: Otlp,
}

/// Whether a signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otlp {
    /// Yes, to the standard's default address if none is named.
    Wanted,
    /// The variable is not set: only if an address is named.
    IfNamed,
    /// No.
    Unwanted,
}

impl Exporters {
    pub(super) fn read(variables: &mut Variables<'_>, signal: Signal) -> Self {
        let (name, others) = match signal {
            Signal::Traces => ("OTEL_TRACES_EXPORTER", "otlp, console and none"),
            Signal::Metrics => ("OTEL_METRICS_EXPORTER", "otlp, prometheus and none"),
            Signal::Logs => ("OTEL_LOGS_EXPORTER", "otlp and none"),
        };
        let mut exporters = Self {
            console: false,
            prometheus: false,
            otlp: Otlp::IfNamed,
        };
        let Some(list) = variables.text(name) else {
            return exporters;
        };
        exporters.otlp = Otlp::Unwanted;
        for exporter in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            match (exporter, signal) {
                ("otlp", _) => exporters.otlp = Otlp::Wanted,
                ("console", Signal::Traces) => exporters.console = true,
                ("prometheus", Signal::Metrics) => exporters.prometheus = true,
                ("none", _) => {}
                (other, _) => variables.notice(format!(
                    "{name}: there is no exporter {other:?} here, only {others}"
                )),
            }
        }
        exporters
    }
}
