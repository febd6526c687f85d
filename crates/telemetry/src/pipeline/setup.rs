//! What the settings ask for, started.

use super::Telemetry;
use super::joules::{Forward, Joules};
use super::queue::{Bounds, Queue};
use super::rules::Rules;
use super::worker::Worker;
use crate::TelemetryError;
use crate::config::Config;
use crate::console::Console;
use crate::conventions::Profile;
use crate::file::FileOutput;
use crate::logs::Repeats;
use crate::metrics::{Bridge, Metrics, PrometheusEndpoint};
use crate::otlp::{Kept, Otlp};
use crate::output::Output;
use crate::resource::ResourceFacts;
use crate::signal::{OwnOrigin, Signal};
use crate::stored::{StoreConfig, StoreOutput};
use llamatelemetry_machine::SamplerConfig;
use llamatelemetry_settings::Settings;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

impl Telemetry {
    /// Starts what the settings ask for: the console by `telemetry.console` or
    /// `OTEL_TRACES_EXPORTER`, OTLP by that or by an address named. `facts` describe the program;
    /// variables win over them. `console` is where span trees are printed, if at all.
    pub fn setup(
        settings: &Settings,
        mut facts: ResourceFacts,
        console: Option<Box<dyn Write + Send>>,
    ) -> Result<Self, TelemetryError> {
        let Config {
            disabled,
            console: console_asked,
            sent,
            queue: (spans, lines),
            sampler,
            limits,
            conventions,
            metrics: export,
            log_limits,
            resource: variables,
            secrets,
            mut notices,
            ..
        } = Config::read(settings)?;
        notices.extend(rules_notice(settings, conventions.profile()));
        let origin = OwnOrigin::default();
        let mut outputs: Vec<Arc<dyn Output>> = Vec::new();
        let wanted = settings.telemetry.console || console_asked;
        if let Some(console) = console.filter(|_| wanted) {
            outputs.push(Arc::new(Console::start(console)?));
        }
        if let Some(path) = settings.telemetry.file.as_ref().filter(|_| !disabled) {
            outputs.push(Arc::new(FileOutput::open(path, origin.clone())?));
        }
        let store = StoreConfig::read(settings).filter(|_| !disabled);
        let told = (settings.telemetry.file.is_some() || store.is_some()) && export.wanted
            || sent.iter().any(|sent| sent.signal == Signal::Metrics);
        let otlp = if sent.is_empty() {
            None
        } else {
            let kept = Kept {
                folder: settings.home.telemetry().join("spool"),
                limit: settings.telemetry.spool_limit.0,
            };
            Some(Arc::new(Otlp::start(
                sent,
                &origin,
                kept,
                &settings.environment,
                &mut notices,
            )?))
        };
        if let Some(store) = store {
            outputs.push(Arc::new(StoreOutput::start(store, origin.clone())?));
        }
        outputs.extend(otlp.clone().map(|otlp| otlp as Arc<dyn Output>));
        let metrics = (told || export.prometheus.is_some())
            .then(|| Arc::new(Metrics::new(conventions.profile(), &export)));
        if let (Some(metrics), Some(otlp)) = (&metrics, &otlp) {
            metrics.audit(otlp.clone());
        }
        let prometheus = export.prometheus.zip(metrics.clone());
        let prometheus = prometheus
            .map(|(address, metrics)| PrometheusEndpoint::start(address, metrics))
            .transpose()?;
        let queue = Arc::new(Queue::new(Bounds { spans, lines }));
        let looks = (!disabled).then(|| looks(&mut facts)).flatten();
        let active = !outputs.is_empty() || metrics.is_some();
        let forward = if active {
            Forward::To(queue.clone())
        } else {
            Forward::Nowhere
        };
        let joules = looks
            .map(|looks| Joules::start(looks, forward, metrics.clone()))
            .transpose()?;
        if active {
            let worker = Worker {
                queue: queue.clone(),
                outputs: outputs.clone(),
                sampler,
                limits,
                log_limits,
                conventions,
                rules: Rules::of(settings, &secrets, conventions.profile())?,
                repeats: Repeats::default(),
                metrics: metrics.clone(),
                interval: told.then_some(export.interval),
                origin: origin.clone(),
                facts,
                variables,
                environment: settings.environment.clone(),
            };
            worker.start()?;
        }
        Ok(Self {
            owner: std::process::id(),
            queue,
            outputs,
            origin,
            sampler,
            otlp,
            metrics,
            bridge: Bridge::new(),
            joules,
            prometheus: Mutex::new(prometheus),
            notices,
            ended: AtomicBool::new(false),
        })
    }
}

/// What is asked for and these names do not have.
fn rules_notice(settings: &Settings, profile: Profile) -> Option<String> {
    let missing = settings.telemetry.emits_events() && !Rules::has_details(profile);
    missing.then(|| {
        format!(
            "the conventions {profile} define no event for a request's details, so none is sent; \
             content can be captured on spans"
        )
    })
}

/// How the machine is looked at, if it is.
fn looks(facts: &mut ResourceFacts) -> Option<SamplerConfig> {
    let folder = facts.sampler_folder.take();
    let looks = facts.sampler.take()?();
    Some(match folder {
        Some(folder) => looks.shared_in(folder),
        None => looks,
    })
}
