//! The pipeline: from what a sink gets to signals at their outputs.
//!
//! The caller's thread pays for one push into a bounded queue; the thread `telemetry-pipeline`
//! does the rest.

mod joules;
mod queue;
mod rules;
mod setup;
mod worker;

use crate::energy::Totals;
use crate::metrics::{Bridge, Metrics, PrometheusEndpoint};
use crate::otlp::Otlp;
use crate::output::Output;
use crate::sampler::Sampler;
use crate::signal::OwnOrigin;
use joules::Joules;
use llamatelemetry_machine::Sample;
use llamatelemetry_record::{
    Energy, Happening, LiveRequest, LoggedLine, RequestRecord, ServedModel, Sink, TraceContext,
    TraceId,
};
use queue::{Item, Queue, Waits};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use worker::tell;

/// How long an end that nobody waits for may take.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// How long a server is asked once more for its counters at the end.
const LAST_LOOK: Duration = Duration::from_millis(300);

/// The running pipeline. Dropping it sends what waits for two seconds at most. In a process that
/// was forked from the one that started it, it takes nothing, sends nothing and ends nothing: its
/// threads are not there, and its files are the other process's.
#[derive(Debug)]
pub struct Telemetry {
    /// The process that its threads run in.
    owner: u32,
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

impl Telemetry {
    /// Whether signals go anywhere at all.
    pub fn is_active(&self) -> bool {
        (!self.outputs.is_empty() || self.metrics.is_some()) && self.is_here()
    }

    /// Whether this is the process that started it, and not a fork of that. To be asked before any
    /// lock: a thread that held it at the fork is not there to give it up.
    fn is_here(&self) -> bool {
        self.owner == std::process::id()
    }

    fn joules(&self) -> Option<&Joules> {
        self.joules.as_ref().filter(|_| self.is_here())
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
            .filter(|_| self.is_here())
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
        if !self.is_here() {
            return None;
        }
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
        if self.is_here() && !self.ended.swap(true, Ordering::AcqRel) {
            let until = after(limit);
            self.end_waiting();
            // What llama-server counted since the last look.
            self.bridge.look_last(until.min(Instant::now() + LAST_LOOK));
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
        self.joules().and_then(Joules::totals)
    }

    /// The latest look at the machine, if anything looks at it.
    pub fn machine(&self) -> Option<Arc<Sample>> {
        self.joules().and_then(Joules::latest)
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
        if let Some(joules) = self.joules() {
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
        let joules = self.joules().filter(|joules| joules.measures());
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
        if let Some(metrics) = self.metrics.as_ref().filter(|_| self.is_here()) {
            metrics.started(live);
            self.bridge.stir();
        }
        if let Some(joules) = self.joules() {
            joules.started(live);
        }
    }

    fn serves(&self, served: &Arc<dyn ServedModel>) {
        if let Some(metrics) = self.metrics.as_ref().filter(|_| self.is_here()) {
            self.bridge.watch(served, metrics);
        }
        if let Some(joules) = self.joules() {
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
        self.joules()?.estimate(record)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.shutdown(LAST_WAIT);
    }
}

/// The end of this time from now on; a time without end lasts a year.
fn after(limit: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + YEAR)
}
