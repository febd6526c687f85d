//! `OTEL_BSP_*`, `OTEL_BLRP_*` and `OTEL_METRIC_EXPORT_*`: how signals wait for their export.

use super::reader::Variables;
use crate::signal::Signal;
use std::time::Duration;

/// How the items of a signal wait for their export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchConfig {
    /// Requests, or log lines, that wait for the pipeline at most; more are dropped and counted.
    pub(crate) queue: usize,
    /// Items sent at once at most.
    pub(crate) batch: usize,
    /// How long an item waits for others.
    pub(crate) delay: Duration,
}

/// The names of a batch's variables.
struct Names {
    queue: &'static str,
    batch: &'static str,
    delay: &'static str,
}

impl BatchConfig {
    pub(super) fn read(variables: &mut Variables<'_>, signal: Signal) -> Self {
        // The specification's queue of 2048 overflows within one delay at 130 requests a second.
        let default = |delay| Self {
            queue: 16_384,
            batch: 512,
            delay,
        };
        let (names, default) = match signal {
            Signal::Traces => (
                Names {
                    queue: "OTEL_BSP_MAX_QUEUE_SIZE",
                    batch: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                    delay: "OTEL_BSP_SCHEDULE_DELAY",
                },
                default(Duration::from_secs(5)),
            ),
            Signal::Logs => (
                Names {
                    queue: "OTEL_BLRP_MAX_QUEUE_SIZE",
                    batch: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
                    delay: "OTEL_BLRP_SCHEDULE_DELAY",
                },
                default(Duration::from_secs(1)),
            ),
            // What is collected is sent at once; how often that is stands elsewhere.
            Signal::Metrics => return default(Duration::ZERO),
        };
        let count = |value: Option<u64>, default: usize| match value {
            None | Some(0) => default,
            Some(value) => usize::try_from(value).unwrap_or(usize::MAX),
        };
        let queue = count(variables.number(names.queue), default.queue);
        let batch = count(variables.number(names.batch), default.batch);
        Self {
            queue,
            batch: batch.min(u32::MAX as usize),
            delay: variables.milliseconds(names.delay).unwrap_or(default.delay),
        }
    }
}

/// How metrics leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsConfig {
    /// Time between two exports.
    pub(crate) interval: Duration,
    /// Whether counters and histograms are told since the last export, not since the start.
    pub(crate) temporality: Temporality,
    /// Histograms with fixed buckets instead of exponential ones.
    pub(crate) explicit_buckets: bool,
    /// Where Prometheus can fetch them, if it was asked for.
    pub(crate) prometheus: Option<(String, u16)>,
    pub(crate) exemplars: Exemplars,
}

/// Since when counters and histograms are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// Since the start.
    Cumulative,
    /// Since the last export.
    Delta,
}

/// Which measurements are kept as exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exemplars {
    /// Those of traces that are kept.
    TraceBased,
    All,
    None,
}

impl MetricsConfig {
    pub(super) fn read(variables: &mut Variables<'_>, prometheus: bool) -> Self {
        const DEFAULT: Duration = Duration::from_secs(60);
        let interval = variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL");
        let host = variables.text("OTEL_EXPORTER_PROMETHEUS_HOST");
        let port = port(variables);
        Self {
            interval: interval.filter(|time| !time.is_zero()).unwrap_or(DEFAULT),
            temporality: temporality(variables),
            explicit_buckets: explicit_buckets(variables),
            prometheus: prometheus.then(|| {
                // The specification's host; every other address must be asked for.
                (host.unwrap_or("localhost").to_owned(), port)
            }),
            exemplars: exemplars(variables),
        }
    }
}

fn port(variables: &mut Variables<'_>) -> u16 {
    const NAME: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
    const DEFAULT: u16 = 9464;
    let Some(text) = variables.text(NAME) else {
        return DEFAULT;
    };
    text.parse().unwrap_or_else(|_| {
        variables.notice(format!("{NAME} is no port; {DEFAULT} is used"));
        DEFAULT
    })
}

fn temporality(variables: &mut Variables<'_>) -> Temporality {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let Some(text) = variables.text(NAME) else {
        return Temporality::Cumulative;
    };
    match text.to_ascii_lowercase().as_str() {
        "cumulative" => Temporality::Cumulative,
        // They differ for asynchronous counters only, which `lowmemory` leaves cumulative.
        "delta" | "lowmemory" => Temporality::Delta,
        _ => {
            variables.notice(format!(
                "{NAME} is neither cumulative nor delta nor lowmemory; cumulative is used"
            ));
            Temporality::Cumulative
        }
    }
}

fn explicit_buckets(variables: &mut Variables<'_>) -> bool {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    match variables.text(NAME) {
        None | Some("base2_exponential_bucket_histogram") => false,
        Some("explicit_bucket_histogram") => true,
        Some(_) => {
            variables.notice(format!(
                "{NAME} is no aggregation; base2_exponential_bucket_histogram is used"
            ));
            false
        }
    }
}

fn exemplars(variables: &mut Variables<'_>) -> Exemplars {
    const NAME: &str = "OTEL_METRICS_EXEMPLAR_FILTER";
    match variables.text(NAME) {
        None | Some("trace_based") => Exemplars::TraceBased,
        Some("always_on") => Exemplars::All,
        Some("always_off") => Exemplars::None,
        Some(_) => {
            variables.notice(format!("{NAME} is no filter; trace_based is used"));
            Exemplars::TraceBased
        }
    }
}
