//! What the standard `OTEL_*` variables ask for.
//!
//! Every variable that is set is either followed, or named in a notice that says why it is not.

mod names;
mod otlp;
mod reader;
mod unmet;

pub(crate) use otlp::{Compression, Encoding, Endpoint, Identity, OtlpConfig};

use crate::TelemetryError;
use crate::conventions::Conventions;
use crate::limits::SpanLimits;
use crate::sampler::Sampler;
use llamatelemetry_settings::Settings;
use reader::Variables;
use std::time::Duration;

/// How spans wait for their export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchConfig {
    /// Spans that wait at most; more are dropped and counted.
    pub(crate) queue: usize,
    /// Spans sent at once at most.
    pub(crate) batch: usize,
    /// How long a span waits for others.
    pub(crate) delay: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            // The specification's 2048 overflows within one delay at 130 requests a second.
            queue: 16_384,
            batch: 512,
            delay: Duration::from_secs(5),
        }
    }
}

/// What the variables ask for.
#[derive(Debug)]
pub(crate) struct Config {
    /// Print the spans.
    pub(crate) console: bool,
    /// Send them.
    pub(crate) otlp: Option<OtlpConfig>,
    pub(crate) batch: BatchConfig,
    pub(crate) sampler: Sampler,
    pub(crate) limits: SpanLimits,
    /// The names that go out.
    pub(crate) conventions: Conventions,
    /// Attributes of the resource, `service.name` included if a variable gives it.
    pub(crate) resource: Vec<(String, String)>,
    /// What is asked for and not done.
    pub(crate) notices: Vec<String>,
}

impl Config {
    pub(crate) fn read(settings: &Settings) -> Result<Self, TelemetryError> {
        let mut variables = Variables::new(&settings.telemetry.otel);
        let config = Self::gather(settings, &mut variables)?;
        Ok(Self {
            notices: variables.into_notices(),
            ..config
        })
    }

    fn gather(settings: &Settings, variables: &mut Variables<'_>) -> Result<Self, TelemetryError> {
        let disabled = variables.flag("OTEL_SDK_DISABLED");
        let exporters = Exporters::read(variables);
        let batch = batch(variables);
        let limits = limits(variables);
        let sampler = sampler(variables);
        let resource = resource(variables);
        let asked = otlp::read(variables)?;
        let otlp = match exporters.otlp {
            Otlp::Wanted => asked.or_default(),
            Otlp::IfNamed => asked.if_named(),
            Otlp::Unwanted => None,
        };
        let otlp = otlp.filter(|otlp| {
            let allowed = !settings.network.offline || otlp.endpoint.is_here();
            if !allowed {
                variables.notice(format!(
                    "offline, so no spans are sent to {}",
                    otlp.endpoint
                ));
            }
            allowed && !disabled
        });
        let conventions = names::read(variables, &settings.telemetry);
        unmet::notice(variables, &settings.telemetry);
        Ok(Self {
            console: exporters.console && !disabled,
            otlp,
            batch,
            sampler,
            limits,
            conventions,
            resource,
            notices: Vec::new(),
        })
    }
}

/// `OTEL_TRACES_EXPORTER`.
struct Exporters {
    console: bool,
    otlp: Otlp,
}

/// Whether spans are sent.
enum Otlp {
    /// Yes, to the standard's default address if none is named.
    Wanted,
    /// The variable is not set: only if an address is named.
    IfNamed,
    /// No.
    Unwanted,
}

impl Exporters {
    fn read(variables: &mut Variables<'_>) -> Self {
        const NAME: &str = "OTEL_TRACES_EXPORTER";
        let mut exporters = Self {
            console: false,
            otlp: Otlp::IfNamed,
        };
        let Some(list) = variables.text(NAME) else {
            return exporters;
        };
        exporters.otlp = Otlp::Unwanted;
        for exporter in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            match exporter {
                "otlp" => exporters.otlp = Otlp::Wanted,
                "console" => exporters.console = true,
                "none" => {}
                other => variables.notice(format!(
                    "{NAME}: there is no exporter {other:?} here, only otlp, console and none"
                )),
            }
        }
        exporters
    }
}

fn batch(variables: &mut Variables<'_>) -> BatchConfig {
    let default = BatchConfig::default();
    let count = |value: Option<u64>, default: usize| match value {
        None | Some(0) => default,
        Some(value) => usize::try_from(value).unwrap_or(usize::MAX),
    };
    // Bounded, since the whole queue is set aside at the start.
    let queue = count(variables.number("OTEL_BSP_MAX_QUEUE_SIZE"), default.queue).min(1 << 20);
    BatchConfig {
        queue,
        batch: count(
            variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
            default.batch,
        )
        .min(queue),
        delay: variables
            .milliseconds("OTEL_BSP_SCHEDULE_DELAY")
            .unwrap_or(default.delay),
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
        Config::gather(&settings, &mut variables).unwrap();
        let listed: BTreeSet<_> = VARIABLES
            .iter()
            .filter(|variable| variable.family == Family::OpenTelemetry)
            .map(|variable| variable.name)
            .collect();
        assert_eq!(variables.names_read(), &listed);
    }
}
