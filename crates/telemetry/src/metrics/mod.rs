//! Metrics: what is counted, and how others read it.
//!
//! [`Metrics`] takes finished requests, happenings and samples of the machine, and tells them as
//! OTLP ([`Metrics::collect`]) and as text for Prometheus ([`Metrics::prometheus`]). Histograms and
//! counters carry exemplars: a measurement leads to the trace it comes from. `docs/metrics.md`
//! defines every instrument of [`INSTRUMENTS`].

mod aggregate;
mod attributes;
mod bridge;
mod buckets;
mod endpoint;
mod inflight;
mod instrument;
mod machine;
mod names;
mod otlp;
mod registry;
mod requests;
#[cfg(test)]
mod sample;
mod text;

pub(crate) use bridge::Bridge;
pub use endpoint::PrometheusEndpoint;
pub use instrument::{Instrument, Kind};
pub use names::INSTRUMENTS;
pub use text::Format;

use crate::config::MetricsExport;
use crate::conventions::Profile;
use crate::energy::Totals;
use crate::otlp::Otlp;
use crate::signal::Signal;
use crate::value::unix_nanos;
use aggregate::Origin;
use attributes::Attributes;
use inflight::InFlight;
use llamatelemetry_machine::Sample;
use llamatelemetry_record::{Happening, LiveRequest, RequestRecord, What};
use names::Id;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use otlp::Collector;
pub(crate) use otlp::Temporality;
use registry::{Layout, Registry};
use requests::Requests;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

/// Which measurements become exemplars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ExemplarFilter {
    /// Those whose trace is kept.
    #[default]
    TraceBased,
    AlwaysOn,
    AlwaysOff,
}

/// All that is counted. Every method may be called from any thread and returns at once.
#[derive(Debug)]
pub struct Metrics {
    exemplars: ExemplarFilter,
    resource: OnceLock<Vec<(String, String)>>,
    otlp: OnceLock<Arc<Otlp>>,
    in_flight: Mutex<InFlight>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    registry: Registry,
    requests: Requests,
    otlp: Collector,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new(version: Profile, export: &MetricsExport) -> Self {
        let layout = Layout {
            version,
            exponential: export.exponential,
        };
        Self {
            exemplars: export.exemplars,
            resource: OnceLock::new(),
            otlp: OnceLock::new(),
            in_flight: Mutex::default(),
            state: Mutex::new(State {
                registry: Registry::new(layout),
                requests: Requests::default(),
                otlp: Collector::new(export.temporality, now()),
            }),
        }
    }

    /// Says who tells it all, once that is known.
    pub(crate) fn introduce(&self, resource: Vec<(String, String)>) {
        // Whoever was introduced first stays.
        drop(self.resource.set(resource));
    }

    /// A request was sent. It counts as in flight until its record comes or nobody holds it.
    pub fn started(&self, live: &Arc<LiveRequest>) {
        self.in_flight().started(live);
    }

    /// A request has ended. `kept` tells whether its trace is kept: only then do exemplars lead
    /// to it. Its energy comes later, by [`Metrics::settled`].
    pub fn observe(&self, record: &RequestRecord, kept: bool) {
        self.in_flight().ended(record.span_id);
        let exemplars = self.leads(kept);
        let mut state = self.state();
        let State {
            registry, requests, ..
        } = &mut *state;
        requests.ended(registry, record, exemplars);
    }

    /// The energy of a request that was observed before is known, or known not to be.
    pub fn settled(&self, record: &RequestRecord, kept: bool) {
        let exemplars = self.leads(kept);
        let mut state = self.state();
        let State {
            registry, requests, ..
        } = &mut *state;
        requests.energy(registry, record, exemplars);
    }

    /// Something that is no request has ended: a load, a restart, a tool.
    pub fn happened(&self, happening: &Happening, kept: bool) {
        let ended = unix_nanos(happening.started_at + happening.duration);
        let origin = self.leads(kept).then_some(Origin {
            at: ended,
            trace_id: happening.trace_id,
            span_id: happening.span_id,
        });
        let error = happening.failure.as_ref();
        let error = error.map(|failure| failure.kind.as_str());
        let seconds = happening.duration.as_secs_f64();
        let model = |model: &str| Attributes::default().with("gen_ai.request.model", model);
        let mut state = self.state();
        let mut put = |id: Id, attributes: &Attributes, value| {
            if id.instrument().versions.include(state.registry.version()) {
                let series = state.registry.series(id, attributes, ended);
                state.registry.record(series, value, origin);
            }
        };
        match &happening.what {
            What::ModelLoad { model: name, .. } => {
                let attributes = model(name).with_some("error.type", error);
                put(Id::ModelLoads, &attributes, 1.0);
                put(Id::ModelLoadDuration, &attributes, seconds);
            }
            What::Restart { model: name, .. } => {
                put(
                    Id::Restarts,
                    &model(name).with_some("error.type", error),
                    1.0,
                );
            }
            What::ToolExecution { name, .. } => {
                let attributes = Attributes::default()
                    .with("gen_ai.operation.name", "execute_tool")
                    .with("gen_ai.tool.name", name.as_str())
                    .with_some("error.type", error);
                put(Id::ToolDuration, &attributes, seconds);
            }
            _ => {}
        }
    }

    /// Everything as OTLP, for one exporter: where differences are asked for, each call tells what
    /// came since the last one.
    pub fn collect(&self) -> Vec<Metric> {
        self.refresh();
        let mut state = self.state();
        let State { registry, otlp, .. } = &mut *state;
        otlp.collect(registry, now())
    }

    /// Everything as text, cumulative, for any number of readers.
    pub fn prometheus(&self, format: Format) -> String {
        self.refresh();
        let resource = self.resource.get().map_or(&[][..], Vec::as_slice);
        text::render(&self.state().registry, resource, format)
    }

    /// The machine was looked at: what this sample says takes the place of the one before.
    pub fn sample(&self, sample: &Sample) {
        self.change(|registry| machine::take(registry, sample, unix_nanos(sample.wall)));
    }

    /// What the devices' energy has come to so far, by the energy meter.
    pub fn energy(&self, totals: &Totals) {
        let none = Attributes::default();
        self.change(|registry| {
            registry.set(Id::EnergyAttributed, &none, now(), totals.attributed);
            registry.set(Id::EnergyIdle, &none, now(), totals.idle);
            registry.set(Id::EnergyUnattributed, &none, now(), totals.unattributed);
        });
    }

    /// Tells from now on too what becomes of what this sends.
    pub(crate) fn audit(&self, otlp: Arc<Otlp>) {
        // Whoever was named first stays.
        drop(self.otlp.set(otlp));
    }

    /// Brings up to date what others keep and nobody announces.
    fn refresh(&self) {
        self.count_in_flight();
        let Some(otlp) = self.otlp.get() else { return };
        let none = Attributes::default();
        self.change(|registry| {
            for (signal, delivery) in otlp.deliveries() {
                let id = match signal {
                    Signal::Traces => Id::SpansExported,
                    Signal::Metrics => Id::PointsExported,
                    Signal::Logs => Id::LogsExported,
                };
                registry.set(id, &none, now(), delivery.delivered as f64);
                let signal = none.with("llamacpp.telemetry.signal", signal.items());
                registry.set(Id::SignalsKept, &signal, now(), delivery.kept as f64);
                registry.set(Id::SignalsLost, &signal, now(), delivery.lost as f64);
            }
        });
    }

    /// Changes series that somebody else keeps.
    fn change(&self, change: impl FnOnce(&mut Registry)) {
        change(&mut self.state().registry);
    }

    fn count_in_flight(&self) {
        let crowds = self.in_flight().count();
        let now = now();
        let of = |operation: &str| Attributes::default().with("gen_ai.operation.name", operation);
        let registry = &mut self.state().registry;
        for (operation, crowd) in crowds {
            let attributes = of(operation);
            registry.set(Id::RequestsActive, &attributes, now, crowd.active as f64);
            registry.set(Id::RequestsWaiting, &attributes, now, crowd.waiting as f64);
        }
    }

    fn leads(&self, kept: bool) -> bool {
        match self.exemplars {
            ExemplarFilter::TraceBased => kept,
            ExemplarFilter::AlwaysOn => true,
            ExemplarFilter::AlwaysOff => false,
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    unix_nanos(SystemTime::now())
}
