//! What the standard `OTEL_*` variables ask for.
//!
//! Every variable that is set is either followed, or named in a notice that says why it is not.

mod backend;
mod batch;
mod exporters;
mod metrics;
mod names;
mod otlp;
mod reader;
mod secrets;
mod unmet;

pub(crate) use batch::BatchConfig;
pub(crate) use metrics::MetricsExport;
pub(crate) use otlp::{Compression, Encoding, Endpoint, Identity, OtlpConfig};

use crate::TelemetryError;
use crate::conventions::Conventions;
use crate::limits::{LogLimits, SpanLimits};
use crate::sampler::Sampler;
use crate::signal::Signal;
use backend::Preset;
use exporters::{Exporters, Otlp};
use llamatelemetry_settings::{Secret, Settings};
use reader::Variables;

/// How one signal is sent.
#[derive(Debug)]
pub(crate) struct SignalConfig {
    pub(crate) signal: Signal,
    pub(crate) otlp: OtlpConfig,
    pub(crate) batch: BatchConfig,
}

/// What the variables ask for.
#[derive(Debug)]
pub(crate) struct Config {
    /// Nothing goes anywhere.
    pub(crate) disabled: bool,
    /// Print the spans.
    pub(crate) console: bool,
    /// The signals that are sent.
    pub(crate) sent: Vec<SignalConfig>,
    /// Records, and log lines, that wait for the pipeline at most.
    pub(crate) queue: (usize, usize),
    pub(crate) metrics: MetricsExport,
    pub(crate) sampler: Sampler,
    pub(crate) limits: SpanLimits,
    /// The names that go out.
    pub(crate) conventions: Conventions,
    pub(crate) log_limits: LogLimits,
    /// Attributes of the resource, `service.name` included if a variable gives it.
    pub(crate) resource: Vec<(String, String)>,
    /// Keys and headers, which are never to show.
    pub(crate) secrets: Vec<Secret>,
    /// What is asked for and not done.
    pub(crate) notices: Vec<String>,
}

impl Config {
    pub(crate) fn read(settings: &Settings) -> Result<Self, TelemetryError> {
        let preset = match settings.telemetry.backend {
            Some(backend) => Preset::of(backend, &settings.environment)?,
            None => Preset::default(),
        };
        let mut all = preset.variables.clone();
        all.extend(settings.telemetry.otel.clone());
        let mut variables = Variables::new(&all);
        let config = Self::gather(settings, &preset, &mut variables)?;
        Ok(Self {
            secrets: secrets::of(&all, preset.keys),
            notices: variables.into_notices(),
            ..config
        })
    }

    fn gather(
        settings: &Settings,
        preset: &Preset,
        variables: &mut Variables<'_>,
    ) -> Result<Self, TelemetryError> {
        let disabled = variables.flag("OTEL_SDK_DISABLED");
        let mut exporters = Vec::new();
        let mut sent = Vec::new();
        let mut queue = Vec::new();
        for signal in Signal::ALL {
            let wanted = Exporters::read(variables, signal);
            let batch = BatchConfig::read(variables, signal);
            let asked = otlp::read(variables, signal)?;
            let otlp = match wanted.otlp {
                Otlp::Wanted => asked.or_default(),
                // The general address is the backend's own here.
                Otlp::IfNamed if preset.refuses.contains(&signal) => asked.if_named_itself(),
                Otlp::IfNamed => asked.if_named(),
                Otlp::Unwanted => None,
            };
            exporters.push(wanted);
            queue.push(batch.queue);
            let otlp = otlp.filter(|otlp| allowed(settings, signal, otlp, variables) && !disabled);
            sent.extend(otlp.map(|otlp| SignalConfig {
                signal,
                otlp,
                batch,
            }));
        }
        if !preset.refuses.is_empty() && sent.iter().all(|sent| sent.signal == Signal::Traces) {
            variables.notice(format!(
                "{} takes spans only; metrics and logs are not sent",
                preset.name
            ));
        }
        let scraped = exporters.iter().any(|one| one.prometheus);
        let mut metrics = metrics::read(variables, scraped, settings.telemetry.prometheus);
        metrics.prometheus = metrics.prometheus.filter(|_| !disabled);
        metrics.wanted = !disabled
            && exporters
                .iter()
                .zip(Signal::ALL)
                .any(|(one, signal)| signal == Signal::Metrics && one.otlp != Otlp::Unwanted);
        let limits = limits(variables);
        let log_limits = log_limits(variables);
        let sampler = sampler(variables);
        let conventions = names::read(variables, &settings.telemetry);
        let mut resource_attributes = preset.resource.clone();
        resource_attributes.extend(resource(variables));
        unmet::notice(variables, &settings.telemetry);
        Ok(Self {
            disabled,
            console: exporters.iter().any(|one| one.console) && !disabled,
            sent,
            queue: (queue[0], queue[2]),
            metrics,
            sampler,
            limits,
            conventions,
            log_limits,
            resource: resource_attributes,
            secrets: Vec::new(),
            notices: Vec::new(),
        })
    }
}

/// Offline only this machine is reached.
fn allowed(
    settings: &Settings,
    signal: Signal,
    otlp: &OtlpConfig,
    variables: &mut Variables<'_>,
) -> bool {
    let allowed = !settings.network.offline || otlp.endpoint.is_here();
    if !allowed {
        let (items, endpoint) = (signal.items(), &otlp.endpoint);
        variables.notice(format!("offline, so no {items} are sent to {endpoint}"));
    }
    allowed
}

fn log_limits(variables: &mut Variables<'_>) -> LogLimits {
    let mut limit = |own: &'static str, general: &'static str| {
        let general = variables.number(general);
        let value = variables.number(own).or(general)?;
        Some(usize::try_from(value).unwrap_or(usize::MAX))
    };
    LogLimits {
        attributes: limit(
            "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_ATTRIBUTE_COUNT_LIMIT",
        )
        .unwrap_or(SpanLimits::default().attributes),
        value_length: limit(
            "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        ),
    }
}

fn limits(variables: &mut Variables<'_>) -> SpanLimits {
    let mut limit = |own: &'static str, general: &'static str| {
        let general = variables.number(general);
        let value = variables.number(own).or(general)?;
        Some(usize::try_from(value).unwrap_or(usize::MAX))
    };
    let default = SpanLimits::default();
    let attributes = limit(
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
    )
    .unwrap_or(default.attributes);
    let value_length = limit(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    );
    let mut count = |name: &'static str, default: usize| {
        let count = variables.number(name);
        count.map_or(default, |count| {
            usize::try_from(count).unwrap_or(usize::MAX)
        })
    };
    SpanLimits {
        attributes,
        value_length,
        events: count("OTEL_SPAN_EVENT_COUNT_LIMIT", default.events),
        links: count("OTEL_SPAN_LINK_COUNT_LIMIT", default.links),
        event_attributes: count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", default.event_attributes),
        link_attributes: count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", default.link_attributes),
    }
}

fn sampler(variables: &mut Variables<'_>) -> Sampler {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let argument = variables.text(ARGUMENT);
    let Some(name) = variables.text(NAME) else {
        return Sampler::default();
    };
    let ratio = match argument.map(str::parse) {
        None => 1.0,
        Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => ratio,
        Some(_) => {
            variables.notice(format!("{ARGUMENT} is no ratio between 0 and 1; 1 is used"));
            1.0
        }
    };
    Sampler::named(name, ratio).unwrap_or_else(|| {
        variables.notice(format!(
            "{NAME}: there is no sampler {name:?} here; parentbased_always_on is used"
        ));
        Sampler::default()
    })
}

fn resource(variables: &mut Variables<'_>) -> Vec<(String, String)> {
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut attributes = match variables.text(ATTRIBUTES).map(reader::pairs) {
        None => Vec::new(),
        Some(Some(pairs)) => pairs,
        Some(None) => {
            // The specification: on any error the whole value is discarded.
            variables.notice(format!("{ATTRIBUTES} is no list of key=value pairs"));
            Vec::new()
        }
    };
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        attributes.retain(|(key, _)| key != "service.name");
        attributes.push(("service.name".to_owned(), name.to_owned()));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_settings::{Environment, Family, Flags, VARIABLES, resolve};
    use std::collections::BTreeSet;

    #[test]
    fn the_variables_read_are_those_in_the_one_list() {
        let home = [("HOME", "/nonexistent")];
        let settings = resolve(Environment::from_pairs(home), &Flags::default())
            .unwrap()
            .settings;
        let mut variables = Variables::new(&settings.telemetry.otel);
        Config::gather(&settings, &Preset::default(), &mut variables).unwrap();
        let listed: BTreeSet<_> = VARIABLES
            .iter()
            .filter(|variable| variable.family == Family::OpenTelemetry)
            .map(|variable| variable.name)
            .collect();
        assert_eq!(variables.names_read(), &listed);
    }
}
