//! The energy meter at work: samples of the machine in, settled records out.

use super::queue::{Item, Queue};
use crate::TelemetryError;
use crate::energy::{Meter, Reading, Totals, Watts};
use crate::metrics::Metrics;
use llamatelemetry_machine::sampler::{Detail, GpuProcess, GpuSample, Subscription};
use llamatelemetry_machine::{Sample, Sampler, SamplerConfig};
use llamatelemetry_record::{Energy, LiveRequest, RequestRecord, ServedModel};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long the thread waits for a sample before it looks at what waits for one.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most steps from a program on the GPU up to this one: a server, a wrapper around it, a shell.
const MOST_PARENTS: usize = 8;

/// A sampler of the machine and the meter that it feeds.
#[derive(Debug)]
pub(super) struct Joules {
    meter: Arc<Mutex<Meter>>,
    sampler: Arc<Sampler>,
    forward: Forward,
    served: Served,
}

/// The models that are served, whose processes are looked at too.
type Served = Arc<Mutex<Vec<Weak<dyn ServedModel>>>>;

/// What becomes of settled records.
#[derive(Debug)]
pub(super) enum Forward {
    /// They go on to be signals.
    To(Arc<Queue>),
    /// Nobody takes signals.
    Nowhere,
}

/// What the thread works with.
struct Feeder {
    meter: Arc<Mutex<Meter>>,
    sampler: Weak<Sampler>,
    /// `None` where nobody takes signals.
    queue: Option<Weak<Queue>>,
    metrics: Option<Arc<Metrics>>,
    served: Served,
    /// The processes that serve them now.
    pids: BTreeSet<u32>,
    /// The counter's last reading of each device: samples repeat it until the next.
    read: HashMap<String, Instant>,
    /// Other programs' share of each device at the last full look.
    foreign: HashMap<String, f64>,
}

impl Joules {
    /// Starts looking at the machine. Settled records are forwarded, sums go into the metrics.
    pub(super) fn start(
        config: SamplerConfig,
        forward: Forward,
        metrics: Option<Arc<Metrics>>,
    ) -> Result<Self, TelemetryError> {
        const NAME: &str = "telemetry-energy";
        let failed = |source| TelemetryError::Thread { name: NAME, source };
        let sampler = Arc::new(Sampler::start(config).map_err(failed)?);
        let meter = Arc::new(Mutex::new(Meter::new()));
        let subscription = sampler.subscribe();
        let served = Served::default();
        let feeder = Feeder {
            served: served.clone(),
            pids: BTreeSet::new(),
            meter: meter.clone(),
            sampler: Arc::downgrade(&sampler),
            queue: forward.queue().map(Arc::downgrade),
            metrics,
            read: HashMap::new(),
            foreign: HashMap::new(),
        };
        thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || feeder.run(&subscription))
            .map_err(failed)?;
        Ok(Self {
            meter,
            sampler,
            forward,
            served,
        })
    }

    /// The latest sample.
    pub(super) fn latest(&self) -> Option<Arc<Sample>> {
        self.sampler.latest()
    }

    /// A model is served: its processes are looked at, one after the other, while it is.
    pub(super) fn serves(&self, served: &Arc<dyn ServedModel>) {
        lock(&self.served).push(Arc::downgrade(served));
    }

    /// A request was sent.
    pub(super) fn started(&self, live: &Arc<LiveRequest>) {
        let mut meter = lock(&self.meter);
        // Where nothing measures, nothing is to be remembered.
        if meter.measures() {
            meter.started(live);
            drop(meter);
            self.sampler.busy(true);
        }
    }

    /// Whether there is anything that measures energy: only then do records wait for it.
    pub(super) fn measures(&self) -> bool {
        lock(&self.meter).measures()
    }

    /// A request has its record; it comes back as [`Item::Settled`].
    pub(super) fn ended(&self, record: Arc<RequestRecord>) {
        lock(&self.meter).ended(record, Instant::now());
    }

    /// The energy of a request that has just ended.
    pub(super) fn estimate(&self, record: &RequestRecord) -> Option<Energy> {
        lock(&self.meter).estimate(record)
    }

    /// Joules since the start, if anything measures them.
    pub(super) fn totals(&self) -> Option<Totals> {
        let meter = lock(&self.meter);
        meter.measures().then(|| meter.totals())
    }

    /// Gives all records that still wait what is known of their energy now.
    pub(super) fn finish(&self) {
        let mut meter = lock(&self.meter);
        let settled = meter.settle_all();
        hand_on(self.forward.queue().map(Arc::as_ref), settled);
    }
}

impl Feeder {
    fn run(mut self, subscription: &Subscription) {
        loop {
            let sample = subscription.recv_timeout(PATIENCE);
            let Some(sampler) = self.sampler.upgrade() else {
                return;
            };
            let queue = self.queue.as_ref().and_then(Weak::upgrade);
            self.follow(&sampler);
            let meter = self.meter.clone();
            let mut meter = lock(&meter);
            if let Some(sample) = &sample {
                self.feed(&mut meter, sample);
            }
            let settled = meter.settled(Instant::now());
            let busy = meter.is_busy();
            let totals = meter.measures().then(|| meter.totals());
            hand_on(queue.as_deref(), settled);
            drop(meter);
            if let Some(metrics) = &self.metrics {
                if let Some(totals) = &totals {
                    metrics.energy(totals);
                }
                if let Some(sample) = &sample {
                    metrics.sample(sample);
                }
            }
            sampler.busy(busy);
        }
    }

    /// Looks at the servers' processes as they are now.
    fn follow(&mut self, sampler: &Sampler) {
        let mut all = Vec::new();
        lock(&self.served).retain(|served| {
            let served = served.upgrade();
            let there = served.is_some();
            all.extend(served);
            there
        });
        // Asked and let go of without the lock: it may be the last hold on a server.
        let pids: BTreeSet<u32> = all.into_iter().filter_map(|served| served.pid()).collect();
        for pid in pids.difference(&self.pids) {
            sampler.watch(*pid);
        }
        for pid in self.pids.difference(&pids) {
            sampler.unwatch(*pid);
        }
        self.pids = pids;
    }

    fn feed(&mut self, meter: &mut Meter, sample: &Sample) {
        for gpu in &sample.gpus {
            // A MIG instance has no power of its own: its GPU's is counted.
            if gpu.device.parent.is_none() {
                self.feed_gpu(meter, gpu, sample.detail);
            }
        }
    }

    fn feed_gpu(&mut self, meter: &mut Meter, gpu: &GpuSample, detail: Detail) {
        let id = gpu.device.id();
        let values = &gpu.values;
        if detail == Detail::Full {
            let share = values.processes.as_deref().map_or(0.0, foreign_share);
            self.foreign.insert(id.clone(), share);
        }
        let foreign_share = self.foreign.get(&id).copied().unwrap_or(0.0);
        let reading = |at, joules, watts| Reading {
            at,
            joules,
            watts,
            foreign_share,
        };
        let now = values.power_instant_watts.map(Watts::Now);
        let watts = now.or(values.power_watts.map(Watts::Mean));
        let mut readings: Vec<Reading> = watts
            .map(|watts| reading(gpu.at, None, Some(watts)))
            .into_iter()
            .collect();
        let new = |energy: &Instant| self.read.get(&id) != Some(energy);
        if let Some(energy) = gpu.energy.filter(|energy| new(&energy.at)) {
            self.read.insert(id.clone(), energy.at);
            readings.push(reading(energy.at, Some(energy.joules), None));
        }
        readings.sort_by_key(|reading| reading.at);
        for reading in &readings {
            meter.reading(&id, reading);
        }
    }
}

impl Forward {
    fn queue(&self) -> Option<&Arc<Queue>> {
        match self {
            Self::To(queue) => Some(queue),
            Self::Nowhere => None,
        }
    }
}

/// Puts the energies into their records and hands them on. To be called with the meter locked: else
/// the queue could be closed between a record's way out of the one and into the other.
fn hand_on(queue: Option<&Queue>, settled: Vec<(Arc<RequestRecord>, Option<Energy>)>) {
    let Some(queue) = queue else {
        return;
    };
    for (mut record, energy) in settled {
        Arc::make_mut(&mut record).energy = energy;
        queue.push(Item::Settled(record));
    }
}

/// Share of the device's work that was done for programs that are not ours. Nothing, where none of
/// them can be told to be ours: then process numbers mean something else here than to the driver.
fn foreign_share(processes: &[GpuProcess]) -> f64 {
    let work = |process: &GpuProcess| process.utilization.unwrap_or(0.0);
    let (ours, others): (Vec<&GpuProcess>, Vec<&GpuProcess>) =
        processes.iter().partition(|process| is_ours(process.pid));
    let sum =
        |processes: &[&GpuProcess]| processes.iter().map(|process| work(process)).sum::<f64>();
    let (ours_work, others_work) = (sum(&ours), sum(&others));
    if ours.is_empty() || others_work <= 0.0 {
        0.0
    } else {
        others_work / (ours_work + others_work)
    }
}

/// Whether it is this program, or was started by it or its children.
fn is_ours(pid: u32) -> bool {
    let own = std::process::id();
    std::iter::successors(Some(pid), |pid| parent(*pid))
        .take(MOST_PARENTS)
        .any(|pid| pid == own)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may hold anything: the state and the parent follow the
    // last of them.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
