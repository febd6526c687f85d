//! The pipeline: from records to exporters.

use crate::config::Config;
use crate::console::Console;
use crate::limits::SpanLimits;
use crate::otlp::Pipeline;
use crate::sampler::Sampler;
use crate::{TelemetryError, mapping};
use llamatelemetry_record::{RequestRecord, Sink};
use llamatelemetry_settings::Settings;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long an end that nobody waits for may take.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The running pipeline. Dropping it sends what waits for two seconds at most.
#[derive(Debug)]
pub struct Telemetry {
    sampler: Sampler,
    limits: SpanLimits,
    console: Option<Console>,
    otlp: Option<Pipeline>,
    notices: Vec<String>,
    ended: AtomicBool,
}

/// What became of the spans so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Spans that the collector took.
    pub delivered: u64,
    /// Spans that were to be sent and were not, or not yet.
    pub undelivered: u64,
}

impl Telemetry {
    /// Starts what the settings ask for: the console by `telemetry.console` or
    /// `OTEL_TRACES_EXPORTER`, OTLP by that or by an address named. `resource` describes the
    /// program; variables win over it. `console` is where span trees are printed, if at all.
    pub fn setup(
        settings: &Settings,
        resource: Vec<(String, String)>,
        console: Option<Box<dyn Write + Send>>,
    ) -> Result<Self, TelemetryError> {
        let config = Config::read(settings)?;
        let wanted = settings.telemetry.console || config.console;
        let resource = describe(resource, config.resource);
        let batch = config.batch;
        Ok(Self {
            sampler: config.sampler,
            limits: config.limits,
            console: console.filter(|_| wanted).map(Console::start).transpose()?,
            otlp: config
                .otlp
                .map(|otlp| Pipeline::start(otlp, batch, &resource))
                .transpose()?,
            notices: config.notices,
            ended: AtomicBool::new(false),
        })
    }

    /// Whether spans go anywhere at all.
    pub fn is_active(&self) -> bool {
        self.console.is_some() || self.otlp.is_some()
    }

    /// What was asked for by variables and is not done, in sentences without values.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Writes and sends what waits now, for at most this long. Returns whether all was tried.
    pub fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let left = || until.saturating_duration_since(Instant::now());
        let printed = self
            .console
            .as_ref()
            .is_none_or(|console| console.flush(left()));
        let sent = self.otlp.as_ref().is_none_or(|otlp| otlp.flush(left()));
        printed && sent
    }

    /// What became of the spans so far.
    pub fn delivery(&self) -> Delivery {
        let counts = self.otlp.as_ref().map(Pipeline::counts);
        let (delivered, undelivered) = counts.unwrap_or_default();
        Delivery {
            delivered,
            undelivered,
        }
    }

    /// What was lost so far and why, in a sentence without anything secret. Before the end, what
    /// waits still counts as lost.
    pub fn loss(&self) -> Option<String> {
        self.otlp.as_ref().and_then(Pipeline::loss)
    }

    /// Writes and sends what waits, for at most this long, and ends the pipeline. What could not
    /// be delivered is counted and told once in the log.
    pub fn shutdown(&self, limit: Duration) -> Delivery {
        if !self.ended.swap(true, Ordering::AcqRel) {
            let until = Instant::now() + limit;
            let left = || until.saturating_duration_since(Instant::now());
            if let Some(console) = &self.console {
                let unprinted = console.shutdown(left());
                if unprinted > 0 {
                    tracing::warn!(requests = unprinted, "spans were not printed");
                }
            }
            if let Some(otlp) = &self.otlp {
                otlp.shutdown(left());
            }
            if let Some(loss) = self.loss() {
                tracing::warn!("{loss}");
            }
        }
        self.delivery()
    }
}

impl Sink for Telemetry {
    fn record(&self, record: Arc<RequestRecord>) {
        if !self.is_active() || !self.sampler.keeps(record.trace_id, record.parent.as_ref()) {
            return;
        }
        let spans = mapping::spans(&record, &self.limits);
        match (&self.console, &self.otlp) {
            (Some(console), None) => console.push(spans),
            (console, otlp) => {
                if let Some(console) = console {
                    console.push(spans.clone());
                }
                if let Some(otlp) = otlp {
                    for span in spans {
                        otlp.push(span);
                    }
                }
            }
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.shutdown(LAST_WAIT);
    }
}

/// The resource: what the SDK must say of itself, what the program says, what variables say.
fn describe(program: Vec<(String, String)>, variables: Vec<(String, String)>) -> Resource {
    let own = [
        ("service.name", "llamatelemetry"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let all: BTreeMap<String, String> = own
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .chain(program)
        .chain(variables)
        .collect();
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(
            all.into_iter()
                .map(|(key, value)| KeyValue::new(key, value)),
        )
        .build()
}
