//! The pipeline's thread: items into signals, signals to the outputs.

use super::queue::{Item, Queue, Waits, Work};
use super::rules::Rules;
use crate::conventions::Conventions;
use crate::limits::{LogLimits, SpanLimits};
use crate::logs::{self, Repeats};
use crate::metrics::Metrics;
use crate::output::Output;
use crate::resource::{self, ResourceFacts};
use crate::sampler::Sampler;
use crate::signal::{Origin, OwnOrigin};
use crate::{TelemetryError, mapping, names};
use llamatelemetry_record::{LoggedLine, RequestRecord, TraceId};
use llamatelemetry_settings::Environment;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// What the pipeline's thread works with.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue>,
    pub(super) outputs: Vec<Arc<dyn Output>>,
    pub(super) sampler: Sampler,
    pub(super) limits: SpanLimits,
    pub(super) log_limits: LogLimits,
    pub(super) conventions: Conventions,
    pub(super) rules: Rules,
    pub(super) repeats: Repeats,
    pub(super) metrics: Option<Arc<Metrics>>,
    /// How often the outputs get the metrics, if they do.
    pub(super) interval: Option<Duration>,
    /// What the thread finds out first, and what from.
    pub(super) origin: OwnOrigin,
    pub(super) facts: ResourceFacts,
    pub(super) variables: Vec<(String, String)>,
    pub(super) environment: Environment,
}

impl Worker {
    pub(super) fn start(self) -> Result<(), TelemetryError> {
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
                Work::End => {
                    self.tell_repeats(true);
                    return self.queue.ended();
                }
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
        let content = self.rules.content_on_spans(record);
        let mut spans = mapping::spans_with(record, content, &self.limits);
        for span in &mut spans {
            self.conventions.translate(span);
        }
        let own = spans.iter().find(|span| span.span_id == record.span_id.0);
        let mut events = own
            .map(|span| self.rules.events(record, span, kept, &self.log_limits))
            .unwrap_or_default();
        for event in &mut events {
            self.conventions.translate_log(event);
        }
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

/// Gives the outputs the metrics as they are now.
pub(super) fn tell(metrics: Option<&Metrics>, outputs: &[Arc<dyn Output>]) {
    if let Some(metrics) = metrics.filter(|_| !outputs.is_empty()) {
        let metrics = metrics.collect();
        for output in outputs {
            output.metrics(&metrics);
        }
    }
}
