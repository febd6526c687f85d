//! The pipeline: from what a sink gets to signals at their outputs.
//!
//! The caller's thread pays for one push into a bounded queue; the thread `telemetry-pipeline`
//! does the rest.

mod joules;
mod queue;
mod rules;

use crate::config::Config;
use crate::console::Console;
use crate::conventions::Conventions;
use crate::energy::Totals;
use crate::file::FileOutput;
use crate::limits::{LogLimits, SpanLimits};
use crate::logs::{self, Repeats};
use crate::metrics::{Bridge, Metrics, PrometheusEndpoint};
use crate::otlp::{Kept, Otlp};
use crate::output::Output;
use crate::resource::{self, ResourceFacts};
use crate::sampler::Sampler;
use crate::signal::{Origin, OwnOrigin, Signal};
use crate::stored::{StoreConfig, StoreOutput};
use crate::{TelemetryError, mapping, names};
use joules::{Forward, Joules};
use llamatelemetry_machine::SamplerConfig;
use llamatelemetry_record::{
    Energy, Happening, LiveRequest, LoggedLine, RequestRecord, ServedModel, Sink, TraceContext,
    TraceId,
};
use llamatelemetry_settings::{Environment, Settings};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::Span;
use queue::{Bounds, Item, Queue, Waits, Work};
use rules::Rules;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long an end that nobody waits for may take.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The running pipeline. Dropping it sends what waits for two seconds at most.
#[derive(Debug)]
pub struct Telemetry {
    queue: Arc<Queue>,
    outputs: Vec<Arc<dyn Output>>,
    origin: OwnOrigin,
    sampler: Sampler,
    otlp: Option<Arc<Otlp>>,
    metrics: Option<Arc<Metrics>>,
    bridge: Bridge,
    joules: Option<Joules>,
    prometheus: Mutex<Option<PrometheusEndpoint>>,
    notices: Vec<String>,
    ended: AtomicBool,
}

/// What became of the spans, log records and metric points so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Those that the collector took.
    pub delivered: u64,
    /// Those that wait on disk: this program sends them or, if it ends before, the next one of the
    /// same home that sends to the same address.
    pub kept: u64,
    /// Those that were refused or dropped, and those that wait in memory only.
    pub lost: u64,
}

/// What the pipeline's thread works with.
struct Worker {
    queue: Arc<Queue>,
    outputs: Vec<Arc<dyn Output>>,
    sampler: Sampler,
    limits: SpanLimits,
    log_limits: LogLimits,
    conventions: Conventions,
    rules: Rules,
    repeats: Repeats,
    metrics: Option<Arc<Metrics>>,
    /// How often the outputs get the metrics, if they do.
    interval: Option<Duration>,
    /// What the thread finds out first, and what from.
    origin: OwnOrigin,
    facts: ResourceFacts,
    variables: Vec<(String, String)>,
    environment: Environment,
}

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
                rules: Rules::of(settings, &secrets)?,
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

    /// Whether signals go anywhere at all.
    pub fn is_active(&self) -> bool {
        !self.outputs.is_empty() || self.metrics.is_some()
    }

    /// What is counted, if anybody is told it.
    pub fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.metrics.as_ref()
    }

    /// Where Prometheus may scrape the metrics.
    pub fn prometheus(&self) -> Option<SocketAddr> {
        let endpoint = self.prometheus.lock();
        let endpoint = endpoint.unwrap_or_else(PoisonError::into_inner);
        endpoint.as_ref().map(PrometheusEndpoint::address)
    }

    /// What was asked for by variables and is not done, in sentences without values.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Writes and sends what waits now, for at most this long. Returns whether all was tried.
    pub fn flush(&self, limit: Duration) -> bool {
        if !self.is_active() {
            return true;
        }
        let until = after(limit);
        self.end_waiting();
        let mut all = self.queue.settle(limit);
        self.tell();
        for output in &self.outputs {
            all &= output.flush(until);
        }
        all
    }

    /// Waits until everything recorded so far is where it survives this program: in the spool on
    /// disk and in files. Returns whether it was, within this time.
    pub fn settle(&self, limit: Duration) -> bool {
        self.end_waiting();
        !self.is_active() || self.queue.settle(limit)
    }

    /// What became of the signals so far.
    pub fn delivery(&self) -> Delivery {
        self.otlp
            .as_ref()
            .map(|otlp| otlp.delivery())
            .unwrap_or_default()
    }

    /// Records, happenings and log lines that came faster than they could be worked off and were
    /// dropped before they became signals.
    pub fn overflowed(&self) -> u64 {
        self.queue.overflowed()
    }

    /// What was not delivered so far and why, in sentences without anything secret.
    pub fn loss(&self) -> Option<String> {
        let overflowed = self.overflowed();
        let dropped = (overflowed > 0).then(|| {
            format!("{overflowed} requests or log lines came too fast and were dropped unseen")
        });
        let outputs = self.outputs.iter().filter_map(|output| output.loss());
        let losses: Vec<String> = outputs.chain(dropped).collect();
        (!losses.is_empty()).then(|| losses.join("; "))
    }

    /// Writes and sends what waits, for at most this long, and ends the pipeline. What could not
    /// be delivered is counted and told once in the log.
    pub fn shutdown(&self, limit: Duration) -> Delivery {
        if !self.ended.swap(true, Ordering::AcqRel) {
            let until = after(limit);
            self.end_waiting();
            self.queue.close();
            if self.is_active() {
                self.queue.settle(limit);
                self.tell();
            }
            // Whoever scrapes has had its time: a process that ends serves nobody.
            let endpoint = self.prometheus.lock();
            drop(endpoint.unwrap_or_else(PoisonError::into_inner).take());
            for output in &self.outputs {
                output.shutdown(until);
            }
            if let Some(loss) = self.loss() {
                tracing::warn!("{loss}");
            }
        }
        self.delivery()
    }

    /// Joules of the devices since the start, if anything measures them.
    pub fn energy_totals(&self) -> Option<Totals> {
        self.joules.as_ref().and_then(Joules::totals)
    }

    /// Gives the outputs the metrics, unless the pipeline's thread still looks at the machine:
    /// outputs would wait for it, for as long as that takes.
    fn tell(&self) {
        if self.origin.is_known() {
            tell(self.metrics.as_deref(), &self.outputs);
        }
    }

    /// Records that wait for a reading behind their end get the energy that is known now.
    fn end_waiting(&self) {
        if let Some(joules) = &self.joules {
            joules.finish();
        }
    }

    fn push(&self, item: Item) {
        if self.is_active() {
            self.queue.push(item);
        }
    }
}

impl Sink for Telemetry {
    fn record(&self, record: Arc<RequestRecord>) {
        let joules = self.joules.as_ref().filter(|joules| joules.measures());
        let waits = if joules.is_some() {
            Waits::ForEnergy
        } else {
            Waits::ForNothing
        };
        self.push(Item::Record(record.clone(), waits));
        if let Some(joules) = joules {
            joules.ended(record);
        }
    }

    fn started(&self, live: &Arc<LiveRequest>) {
        if let Some(metrics) = &self.metrics {
            metrics.started(live);
            self.bridge.stir();
        }
        if let Some(joules) = &self.joules {
            joules.started(live);
        }
    }

    fn serves(&self, served: &Arc<dyn ServedModel>) {
        if let Some(metrics) = &self.metrics {
            self.bridge.watch(served, metrics);
        }
        if let Some(joules) = &self.joules {
            joules.serves(served);
        }
    }

    fn happened(&self, happening: Happening) {
        self.push(Item::Happening(Box::new(happening)));
    }

    fn samples(&self, trace_id: TraceId, parent: Option<&TraceContext>) -> bool {
        self.sampler.keeps(trace_id, parent)
    }

    fn logged(&self, line: LoggedLine) {
        self.push(Item::Line(Box::new(line)));
    }

    fn energy(&self, record: &RequestRecord) -> Option<Energy> {
        self.joules.as_ref()?.estimate(record)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.shutdown(LAST_WAIT);
    }
}

impl Worker {
    fn start(self) -> Result<(), TelemetryError> {
        const NAME: &str = "telemetry-pipeline";
        thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || self.run())
            .map_err(|source| TelemetryError::Thread { name: NAME, source })?;
        Ok(())
    }

    fn run(mut self) {
        self.introduce();
        let mut due = self.interval.map(|interval| Instant::now() + interval);
        loop {
            let next = match (due, self.repeats.next()) {
                (Some(due), Some(other)) => Some(due.min(other)),
                (due, other) => due.or(other),
            };
            match self.queue.take(next) {
                Work::Items(items) => items.into_iter().for_each(|item| self.work(item)),
                Work::Tick => self.tell_repeats(false),
                Work::End => return self.tell_repeats(true),
            }
            // Also where items come so fast that there never is nothing to do.
            let now = Instant::now();
            if let Some((at, interval)) = due.as_mut().zip(self.interval)
                && *at <= now
            {
                tell(self.metrics.as_deref(), &self.outputs);
                *at = now + interval;
            }
        }
    }

    /// Says who sends.
    fn introduce(&mut self) {
        let resource = resource::describe(
            std::mem::take(&mut self.facts),
            std::mem::take(&mut self.variables),
            &self.environment,
            // Random, as an instance's id is to be: a process id comes again.
            &TraceId::random().to_string(),
        );
        if let Some(metrics) = &self.metrics {
            metrics.introduce(resource::pairs(&resource));
        }
        let scope = InstrumentationScope {
            name: names::SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let schema_url = self.conventions.schema_url();
        self.origin.set(Origin::new(&resource, &scope, schema_url));
    }

    fn work(&mut self, item: Item) {
        match item {
            Item::Record(record, waits) => {
                let record = self.rules.record(record);
                self.observe(&record);
                if waits == Waits::ForNothing {
                    self.finish(&record);
                }
            }
            Item::Settled(record) => {
                let record = self.rules.record(record);
                self.finish(&record);
            }
            Item::Happening(mut happening) => {
                self.rules.happening(&mut happening);
                let parent = happening.parent.as_ref();
                let kept = self.sampler.keeps(happening.trace_id, parent);
                if let Some(metrics) = &self.metrics {
                    metrics.happened(&happening, kept && !self.outputs.is_empty());
                }
                if kept {
                    self.emit(vec![mapping::happening(&happening, &self.limits)]);
                }
            }
            Item::Line(line) => {
                let line = self.rules.line(*line);
                let line = line.and_then(|line| self.repeats.admit(line, Instant::now()));
                self.lines(line.as_slice());
            }
        }
    }

    /// Counts a record; its energy may come later.
    fn observe(&self, record: &RequestRecord) {
        let kept = self.sampler.keeps(record.trace_id, record.parent.as_ref());
        if let Some(metrics) = &self.metrics {
            // Only what goes somewhere can be found again.
            metrics.observe(record, kept && !self.outputs.is_empty());
        }
    }

    /// All is known of a record now, its energy too.
    fn finish(&self, record: &Arc<RequestRecord>) {
        let kept = self.sampler.keeps(record.trace_id, record.parent.as_ref());
        if let Some(metrics) = &self.metrics {
            metrics.settled(record, kept && !self.outputs.is_empty());
        }
        if !kept && !self.rules.emits_events() {
            return;
        }
        let mut spans = mapping::spans(&self.rules.for_spans(record), &self.limits);
        for span in &mut spans {
            self.conventions.translate(span);
        }
        let own = spans.iter().find(|span| span.span_id == record.span_id.0);
        let events = own
            .map(|span| self.rules.events(record, span, kept, &self.log_limits))
            .unwrap_or_default();
        for output in &self.outputs {
            if kept {
                output.spans(&spans);
            }
            if !events.is_empty() {
                output.logs(&events);
            }
        }
    }

    fn tell_repeats(&mut self, at_the_end: bool) {
        let lines = self.repeats.due(Instant::now(), at_the_end);
        self.lines(&lines);
    }

    fn lines(&self, lines: &[LoggedLine]) {
        if lines.is_empty() {
            return;
        }
        let observed = SystemTime::now();
        let records: Vec<_> = lines
            .iter()
            .map(|line| {
                let mut record = logs::record(line, observed);
                self.log_limits.apply(&mut record);
                record
            })
            .collect();
        for output in &self.outputs {
            output.logs(&records);
        }
    }

    fn emit(&self, mut spans: Vec<Span>) {
        for span in &mut spans {
            self.conventions.translate(span);
        }
        for output in &self.outputs {
            output.spans(&spans);
        }
    }
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

/// The end of this time from now on; a time without end lasts a year.
fn after(limit: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + YEAR)
}

/// Gives the outputs the metrics as they are now.
fn tell(metrics: Option<&Metrics>, outputs: &[Arc<dyn Output>]) {
    if let Some(metrics) = metrics.filter(|_| !outputs.is_empty()) {
        let metrics = metrics.collect();
        for output in outputs {
            output.metrics(&metrics);
        }
    }
}
