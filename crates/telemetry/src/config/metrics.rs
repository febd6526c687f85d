//! What the variables say about metrics.

use super::reader::Variables;
use crate::metrics::{ExemplarFilter, Temporality};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where OpenTelemetry's Prometheus exporters listen.
const PROMETHEUS_PORT: u16 = 9464;

/// How metrics are kept and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsExport {
    /// Whether they may go anywhere: `OTEL_METRICS_EXPORTER` is not `none`.
    pub(crate) wanted: bool,
    /// How often they are sent.
    pub(crate) interval: Duration,
    pub(crate) temporality: Temporality,
    /// Exponential histograms over OTLP.
    pub(crate) exponential: bool,
    pub(crate) exemplars: ExemplarFilter,
    /// Where Prometheus may scrape them.
    pub(crate) prometheus: Option<SocketAddr>,
}

impl Default for MetricsExport {
    fn default() -> Self {
        Self {
            wanted: true,
            interval: Duration::from_secs(60),
            temporality: Temporality::default(),
            exponential: false,
            exemplars: ExemplarFilter::default(),
            prometheus: None,
        }
    }
}

/// Reads the variables. `scraped` tells whether `OTEL_METRICS_EXPORTER` names `prometheus`,
/// `setting` is the address of the setting `telemetry.prometheus`.
pub(super) fn read(
    variables: &mut Variables<'_>,
    scraped: bool,
    setting: Option<SocketAddr>,
) -> MetricsExport {
    let address = prometheus(variables);
    let prometheus = setting.or(scraped.then_some(address));
    if let Some(address) = prometheus.filter(|address| !address.ip().is_loopback()) {
        variables.notice(format!(
            "metrics are served to every machine that reaches {address}"
        ));
    }
    let interval = variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL");
    MetricsExport {
        wanted: true,
        interval: interval
            .filter(|interval| !interval.is_zero())
            .unwrap_or(MetricsExport::default().interval),
        temporality: choice(
            variables,
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            &[
                ("cumulative", Temporality::Cumulative),
                ("delta", Temporality::Delta),
                ("lowmemory", Temporality::LowMemory),
            ],
        ),
        exponential: choice(
            variables,
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            &[
                ("explicit_bucket_histogram", false),
                ("base2_exponential_bucket_histogram", true),
            ],
        ),
        exemplars: choice(
            variables,
            "OTEL_METRICS_EXEMPLAR_FILTER",
            &[
                ("trace_based", ExemplarFilter::TraceBased),
                ("always_on", ExemplarFilter::AlwaysOn),
                ("always_off", ExemplarFilter::AlwaysOff),
            ],
        ),
        prometheus,
    }
}

/// One of several words, in any case; the first of them where the variable is not set, or is set
/// to something else, which is told.
fn choice<T: Copy, const N: usize>(
    variables: &mut Variables<'_>,
    name: &'static str,
    words: &[(&'static str, T); N],
) -> T {
    let (default, first) = words[0];
    let Some(text) = variables.text(name) else {
        return first;
    };
    let found = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        variables.notice(format!(
            "{name} is none of {}; {default} is used",
            known.join(", ")
        ));
    }
    found.map_or(first, |(_, value)| *value)
}

/// Where `OTEL_EXPORTER_PROMETHEUS_*` say to listen.
fn prometheus(variables: &mut Variables<'_>) -> SocketAddr {
    const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
    const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let host = match variables.text(HOST) {
        None | Some("localhost") => local,
        Some(host) => host.parse().unwrap_or_else(|_| {
            variables.notice(format!("{HOST} is no IP address; {local} is used"));
            local
        }),
    };
    let port = variables.text(PORT).map(str::parse);
    let port = port.unwrap_or(Ok(PROMETHEUS_PORT)).unwrap_or_else(|_| {
        variables.notice(format!("{PORT} is no port; {PROMETHEUS_PORT} is used"));
        PROMETHEUS_PORT
    });
    SocketAddr::new(host, port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn gather(scraped: bool, pairs: &[(&str, &str)]) -> (MetricsExport, Vec<String>) {
        let all: BTreeMap<String, String> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut variables = Variables::new(&all);
        let export = read(&mut variables, scraped, None);
        (export, variables.into_notices())
    }

    #[test]
    fn nothing_set_is_the_standards_defaults() {
        let (export, notices) = gather(false, &[]);
        assert_eq!(export.prometheus, None);
        assert_eq!(export.interval, Duration::from_secs(60));
        assert_eq!(export.temporality, Temporality::Cumulative);
        assert!(!export.exponential && notices.is_empty());
    }

    #[test]
    fn what_is_set_is_followed() {
        let (export, notices) = gather(
            true,
            &[
                ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
                ("OTEL_EXPORTER_PROMETHEUS_PORT", "1234"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
                (
                    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                    "LowMemory",
                ),
                (
                    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                    "base2_exponential_bucket_histogram",
                ),
                ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
            ],
        );
        assert_eq!(export.prometheus, Some(([0, 0, 0, 0], 1234).into()));
        assert_eq!(export.interval, Duration::from_millis(500));
        assert_eq!(export.temporality, Temporality::LowMemory);
        assert!(export.exponential);
        assert_eq!(export.exemplars, ExemplarFilter::AlwaysOff);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains("0.0.0.0:1234"));
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        let (export, notices) = gather(
            true,
            &[
                ("OTEL_EXPORTER_PROMETHEUS_HOST", "my.host"),
                ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000"),
                ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "none"),
            ],
        );
        assert_eq!(export.prometheus, Some(([127, 0, 0, 1], 9464).into()));
        assert_eq!(notices.len(), 3, "{notices:?}");
    }
}
